"""The console script: one line for every failure, help for every command."""

from __future__ import annotations

from pathlib import Path
from subprocess import CompletedProcess

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


def test_help_is_whole_in_a_narrow_terminal() -> None:
    told = " ".join(run("serve", "--help", COLUMNS="80").stdout.split())
    assert "--canary-model-version" in told
    assert "(default: onnx:model_repository)" in told
    assert "…" not in told
    commands = " ".join(run("--help", COLUMNS="80").stdout.split())
    assert "Find anomalies in raw scan files: a table on screen, or JSON or CSV." in commands


@pytest.mark.parametrize("group", [(), ("models",), ("audit",), ("flow",)])
def test_a_group_without_a_command_shows_its_help(group: tuple[str, ...]) -> None:
    done = run(*group)
    assert done.returncode == 2
    assert done.stderr.startswith(f"Usage: {' '.join(['epc-sentinel', *group])} [OPTIONS] COMMAND")


def test_wrong_usage_names_the_help_of_its_command_in_plain_words() -> None:
    assert_one_line(run("models", "show", "x"), 2, "should be a whole number (see epc-sentinel models show --help)")


def test_a_folder_that_cannot_be_made_is_named_and_nothing_unexpected(tmp_path: Path) -> None:
    (taken := tmp_path / "taken").write_text("")
    for out, why in ((taken, "File exists"), (taken / "below", "Not a directory"), ("/proc/none", "No such file")):
        assert_one_line_last(run("simulate", "--out", out, "--epcs", "500"), f"error: {out}: {why}")


def assert_one_line_last(done: CompletedProcess[str], begin: str) -> None:
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(begin)
