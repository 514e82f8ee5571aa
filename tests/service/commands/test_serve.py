"""``serve`` does not start with what it cannot use; that rules may stand in, `test_lineups` shows."""

from __future__ import annotations

import inspect
from pathlib import Path

from service.commands.serve import serve
from service.settings import Settings
from tests.support.command import assert_one_line, run


def test_a_repository_that_is_none_is_one_line(tmp_path: Path) -> None:
    assert_one_line(run("serve", "--no-fallback", "--backend", f"onnx:{tmp_path}"), 1, str(tmp_path))


def test_every_setting_is_an_option() -> None:
    assert set(inspect.signature(serve).parameters) == set(Settings.model_fields)
