"""The command inspect: the report on the console, one line where a folder is unusable."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.command import run
from tests.support.folders.flawed import Page, flawed
from tests.support.foreign import FILES, MALFORMED_PER_FILE, write_foreign_world
from training.datasets.dataset import QUARANTINE


def inspect(*arguments: object) -> subprocess.CompletedProcess[str]:
    return run("inspect", *arguments)


def test_the_command_on_a_foreign_world(tmp_path: Path) -> None:
    write_foreign_world(tmp_path, 1_000, 4)
    done = inspect(tmp_path, "--out", tmp_path / "report.html")
    assert (done.returncode, done.stderr) == (0, "")
    bad = MALFORMED_PER_FILE * len(FILES)
    for text in (*FILES, f"{bad} rows set aside", "yesterday", "Werk Köln 1", "Correlations", "Warning: "):
        assert text in done.stdout
    assert Page((tmp_path / "report.html").read_text(encoding="utf-8")).tags.count("img") == 6
    assert len((tmp_path / QUARANTINE).read_text(encoding="utf-8").splitlines()) == 1 + bad


def test_nothing_steers_the_terminal(tmp_path: Path) -> None:
    done = inspect(flawed(tmp_path))
    assert done.returncode == 0
    assert "\x1b" not in done.stdout
    assert r"\x1b[31m" in done.stdout
    assert not (tmp_path / QUARANTINE).exists()  # only --out writes files


def test_a_terminal_without_the_letters_gets_escapes(tmp_path: Path) -> None:
    write_foreign_world(tmp_path, 1_000, 4)
    done = run("inspect", tmp_path, PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert "Werk K\\xf6ln 1" in done.stdout


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda folder: (folder / "a.csv").unlink(), "2 of 2 rows cannot be used: event_time is no time"),
        (lambda folder: (folder / "locations.csv").unlink(), "locations.csv: not found"),
    ],
)
def test_unusable_folders_are_one_line(tmp_path: Path, change: object, says: str) -> None:
    flawed(tmp_path)
    assert callable(change)
    change(tmp_path)
    done = inspect(tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    [line] = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert says in line
