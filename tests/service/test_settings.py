"""Settings: what wins over what, and what a bad one is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.errors import SettingsError
from service.settings import OnnxTarget, TritonTarget, load_settings
from tests.support.command import assert_one_line, run


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


def test_bad_settings_are_one_line_each_naming_flag_or_variable() -> None:
    done = run("serve", "--port", "abc", EPC_SENTINEL_LOG_FORMAT="xml")
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert [line.split(" is ")[0] for line in lines] == ["error: --port", "error: EPC_SENTINEL_LOG_FORMAT"]
    assert "'abc'" in lines[0]
    assert "50051" not in lines[1]
    assert "console or json" in lines[1]


def test_the_variable_that_kubernetes_injects_is_explained() -> None:
    done = run("serve", EPC_SENTINEL_PORT="tcp://10.0.0.1:50051")
    assert_one_line(done, 2, "EPC_SENTINEL_PORT", "enableServiceLinks: false")
