"""``make e2e`` leaves no process behind, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from tests.support.gateway import ROOT
from tests.support.processes import need

PARTS = 6  # two Tritons, Valkey, two gateways, Envoy


def processes(mark: str) -> set[int]:
    """Return the processes with ``mark`` in their environment, this story's and whatever it started."""
    found = set()
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (path / "environ").read_bytes() and (path / "cmdline").read_bytes():
                found.add(int(path.name))
        except OSError:
            continue
    return found


def tell(mark: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-u", "-m", "tests.tools.e2e"], cwd=ROOT, env=os.environ | {"E2E_MARK": mark},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


# One handler does for both signals, so each is tried at one stage: a story takes half a minute.
@pytest.mark.parametrize(("line", "number"), [("-- no canary", signal.SIGINT), ("-- canary 10 %", signal.SIGTERM)])
def test_a_signal_stops_every_part(line: str, number: signal.Signals) -> None:
    need((ROOT / ".triton" / "installed").exists(), "the real Triton is not installed: make test does it")
    mark = uuid.uuid4().hex
    story = tell(mark)
    assert story.stdout is not None
    for said in story.stdout:
        if said.startswith(line):
            break
    assert len(processes(mark)) > PARTS
    time.sleep(1)
    story.send_signal(number)
    rest = story.stdout.read()
    assert story.wait(60) == 128 + number, rest
    assert processes(mark) == set()
