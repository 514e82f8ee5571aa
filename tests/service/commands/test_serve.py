"""``serve`` does not start with what it cannot use."""

from __future__ import annotations

from pathlib import Path

from tests.support.command import assert_one_line, run


def test_a_repository_that_is_none_is_one_line(tmp_path: Path) -> None:
    assert_one_line(run("serve", "--backend", f"onnx:{tmp_path}"), 1, str(tmp_path))
