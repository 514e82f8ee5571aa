"""Settings: flags, variables, defaults, and backends that are none."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.errors import SettingsError
from service.settings import OnnxTarget, TritonTarget, load_settings


def test_flags_win_over_variables_and_those_over_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EPC_SENTINEL_PORT", "1234")
    monkeypatch.setenv("EPC_SENTINEL_HOST", "::1")
    monkeypatch.setenv("EPC_SENTINEL_BACKEND", "triton://models.example:8001")
    settings = load_settings(port="99", log_format=None)
    assert (settings.port, settings.host, settings.log_format) == (99, "::1", "console")
    assert settings.target == TritonTarget("models.example:8001")
    assert settings.repository == Path("model_repository")
    assert load_settings(backend="onnx:/models").target == OnnxTarget(Path("/models"))


@pytest.mark.parametrize("backend", ["", "onnx:", "triton:", "triton://host", "http://host:1", "triton://h:1/x"])
def test_backends_that_are_none(backend: str) -> None:
    with pytest.raises(SettingsError, match=r"--backend is .* onnx:REPOSITORY nor triton://HOST:PORT"):
        load_settings(backend=backend)
