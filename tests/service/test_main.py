"""The console script: one line for every failure, help for every command."""

from __future__ import annotations

import pytest

from tests.support.command import assert_one_line, run


@pytest.mark.parametrize("arguments", [("bogus",), ("serve", "--bogus"), ("analyze",), ("train", "--data", "x")])
def test_wrong_usage_is_one_line(arguments: tuple[str, ...]) -> None:
    assert_one_line(run(*arguments), 2, "--help")


@pytest.mark.parametrize("command", ["serve", "analyze", "simulate", "inspect", "train", "evaluate", "export", "bench"])
def test_every_command_has_help(command: str) -> None:
    done = run(command, "--help", COLUMNS="200")
    assert done.returncode == 0
    assert "Usage" in done.stdout


def test_what_fails_steers_no_terminal() -> None:
    done = run("analyze", "a\x1b[2J\x07.csv")
    assert_one_line(done, 1, r"a\x1b[2J\x07.csv")
