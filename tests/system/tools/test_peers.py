"""The gateway's peers answer, and are measured; the real measurement is ``python -m tests.tools.peers``."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from service.pb.epcsentinel.v1 import anomaly_pb2 as pb
from tests.support.gateway import ROOT
from tests.support.processes import STOP_S
from tests.tools.peers.detector import KINDS, LONGEST, THRESHOLD, Columns, Detector
from tests.tools.peers.load import Bodies, flagged, some_bodies
from tests.tools.peers.servers import GATEWAY, PEERS, running
from tests.tools.peers.with_grpc import to_columns


@pytest.fixture(scope="module")
def bodies() -> Bodies:
    """Requests of 500 events as messages and as JSON."""
    return some_bodies([500])[500]


def columns_of(bodies: Bodies) -> Columns:
    """Return the columns of the first request."""
    return to_columns(pb.AnalyzeRequest.FromString(bodies.messages[0].body))


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("name", PEERS)
def test_a_peer_answers_what_its_detector_flags_and_is_gone_afterwards(
    name: str, processes: int, bodies: Bodies
) -> None:
    columns = columns_of(bodies)
    flags = Detector().scores(columns) >= THRESHOLD
    expected = {
        event: {kind for kind, flag in zip(KINDS, row, strict=True) if flag}
        for event, row in zip(columns.event_id, flags.tolist(), strict=True)
        if any(row)
    }
    with running(name, processes) as server:
        assert asyncio.run(flagged(name, server, bodies)) == expected
        family = server.pids()
    assert len(family) >= processes
    deadline = time.monotonic() + STOP_S
    while left := [pid for pid in family if alive(pid)]:
        assert time.monotonic() < deadline, left
        time.sleep(0.05)
    assert 0.02 < len(expected) / len(flags) < 0.3


def alive(pid: int) -> bool:
    """Return whether there is such a process, and not only the record of one that has ended."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def test_each_event_gets_the_scores_of_its_item_alone(bodies: Bodies) -> None:
    """Batches of many lengths, and items longer than the network sees: nobody is judged by a stranger's events."""
    columns = columns_of(bodies)
    scores = Detector().scores(columns)
    code = columns.epc_code[0]
    of_item = [at for at, other in enumerate(columns.epc_code) if other == code]
    lists = [[column[at] for at in of_item] for column in columns[:-1]]
    alone = Detector().scores(Columns(*lists, columns.time_s[of_item]))
    np.testing.assert_allclose(alone, scores[of_item], atol=0.01)
    long = Columns(*(column[:1] * (LONGEST + 8) for column in columns[:-1]), columns.time_s[0] + np.arange(LONGEST + 8))
    assert Detector().scores(long).any(axis=1).sum() == LONGEST


def test_all_are_measured_in_one_run() -> None:
    done = subprocess.run(
        [
            sys.executable, "-m", "tests.tools.peers",
            "--rounds", "1", "--seconds", "0.3", "--sizes", "50", "--processes", "1",
        ],
        cwd=ROOT, env=os.environ | {"COLUMNS": "140"}, capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for name in (GATEWAY, *PEERS):
        [row] = [line for line in done.stdout.splitlines() if line.startswith("| 1 ") and f"| {name} " in line]
        rate = int(row.split("|")[4].replace(",", ""))
        assert rate > 100
