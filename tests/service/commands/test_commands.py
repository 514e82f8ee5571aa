"""The console script: usage, settings, extras, and one line for every failure."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.command import assert_one_line, run
from tests.support.gateway import ROOT


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


def test_a_repository_that_is_none_is_one_line(tmp_path: Path) -> None:
    assert_one_line(run("serve", "--backend", f"onnx:{tmp_path}"), 1, str(tmp_path))


@pytest.mark.parametrize("arguments", [("bogus",), ("serve", "--bogus"), ("analyze",), ("train", "--data", "x")])
def test_wrong_usage_is_one_line(arguments: tuple[str, ...]) -> None:
    assert_one_line(run(*arguments), 2, "--help")


@pytest.mark.parametrize("command", ["serve", "analyze", "simulate", "inspect", "train", "evaluate", "export", "bench"])
def test_every_command_has_help(command: str) -> None:
    done = run(command, "--help", COLUMNS="200")
    assert done.returncode == 0
    assert "Usage" in done.stdout


def test_training_commands_without_the_extra_name_it() -> None:
    program = (
        "import sys; sys.modules.update(torch=None, pandas=None)\n"  # the documented way to make an import fail
        "from service.__main__ import main; sys.argv[1:] = ['train', '--data', 'x', '--out', 'y']; main()"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert_one_line(done, 1, 'pip install "epc-sentinel[train]"')
