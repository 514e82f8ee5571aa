"""What the README shows is what happens: every console block is run and its output compared.

``python -m tests.system.test_readme`` writes the true outputs into the README.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.gateway import ROOT, Gateway

README = ROOT / "README.md"
ADDRESS = "127.0.0.1:50051"
NEEDED = ("tests", "examples", "model_repository")  # what the commands read, relative to the repository
BLOCK = re.compile(r"```console\n(.*?)```", re.DOTALL)
NUMBER = re.compile(r"\d+\.\d+")
SCORE_TOLERANCE = 0.1
"""Of scores x 100: processors differ in the last digits of a float32."""


def steps(block: str) -> list[tuple[str, str]]:
    """Return the commands of a console block, each with the output shown below it."""
    parts = re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]
    return [(command, output) for command, _, output in (part.partition("\n") for part in parts)]


def run(command: str, folder: Path, target: str) -> str:
    """Return what a command prints: its stdout, or its stderr if it fails."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", command.replace(ADDRESS, target)],
        cwd=folder, env=os.environ | {"PATH": path}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    return (done.stdout if done.returncode == 0 else done.stderr).replace(target, ADDRESS)


def workplace(folder: Path) -> Path:
    """Return ``folder`` with links to what the commands read; what they write stays in it."""
    for name in NEEDED:
        (folder / name).symlink_to(ROOT / name)
    return folder


def outputs(block: str, folder: Path, target: str) -> Iterator[tuple[str, str, str]]:
    """Run a block; yield each command, the output shown, and the true one."""
    for command, shown in steps(block):
        yield command, shown, "".join(f"{line.rstrip()}\n" for line in run(command, folder, target).splitlines())


@pytest.fixture(scope="module")
def fresh_gateway() -> Iterator[Gateway]:
    """A gateway that remembers nothing of other tests."""
    with Gateway() as running:
        yield running


@pytest.mark.parametrize("block", BLOCK.findall(README.read_text()), ids=lambda block: block.split("\n", 1)[0][2:60])
def test_console_blocks_show_what_happens(block: str, fresh_gateway: Gateway, tmp_path: Path) -> None:
    for command, shown, true in outputs(block, workplace(tmp_path), fresh_gateway.target):
        assert NUMBER.sub("#", true) == NUMBER.sub("#", shown), command
        scores = [list(map(float, NUMBER.findall(text))) for text in (true, shown)]
        assert scores[0] == pytest.approx(scores[1], abs=SCORE_TOLERANCE), command


def test_the_model_commands_are_those_of_make_model() -> None:
    recipe = re.search(r"^model:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert recipe
    commands = recipe[1].replace("$(BIN)/", "").replace("$$", "$")  # as make hands them to the shell
    assert f"```sh {' '.join(commands.split())} ```" in " ".join(README.read_text().split())


def main() -> None:
    """Write the true outputs into the README."""
    with Gateway() as gateway, tempfile.TemporaryDirectory() as folder:
        place = workplace(Path(folder))

        def renewed(found: re.Match[str]) -> str:
            done = outputs(found[1], place, gateway.target)
            return "```console\n" + "".join(f"$ {command}\n{true}" for command, _, true in done) + "```"

        README.write_text(BLOCK.sub(renewed, README.read_text()))


if __name__ == "__main__":
    main()
