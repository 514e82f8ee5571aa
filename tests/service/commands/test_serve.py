"""``serve`` does not start with what it cannot use; that rules may stand in, `test_lineups` shows."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from service.commands.serve import serve
from service.settings import Settings
from tests.support.command import assert_one_line, run


def test_a_repository_that_is_none_is_one_line(tmp_path: Path) -> None:
    assert_one_line(run("serve", "--no-fallback", "--backend", f"onnx:{tmp_path}"), 1, str(tmp_path))


@pytest.mark.parametrize("setting", ["--flow", "--verdicts"])
def test_a_folder_that_cannot_be_written_is_said_at_the_start(setting: str) -> None:
    done = run("serve", "--port", "0", setting, "/proc/none", timeout_s=30)
    assert_one_line(done, 1, "/proc/none: No such file or directory; name a writable", setting)


@pytest.mark.parametrize(("text", "why"), [("x = 1", "key: Field required; each [[key]] has name"), ("[[key]", "']]'")])
def test_a_file_of_keys_that_is_none_is_named(tmp_path: Path, text: str, why: str) -> None:
    (keys := tmp_path / "keys.toml").write_text(text)
    assert_one_line(run("serve", "--auth-keys", keys), 2, f"--auth-keys: {keys}: ", why)


def test_every_setting_is_an_option() -> None:
    assert set(inspect.signature(serve).parameters) == set(Settings.model_fields)
