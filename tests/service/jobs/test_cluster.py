"""Analyze on a real Dask cluster of two workers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from distributed import Client, LocalCluster

from tests.support.command import run
from training.simulation.world import simulate

PIECES = ("--max-events-per-request", "300")  # so that there are some


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1"
    ) as running:
        yield running


def test_two_workers_give_the_answer_of_one_machine(cluster: LocalCluster, tmp_path: Path) -> None:
    simulate(tmp_path, 500, 5)
    files = sorted(str(tmp_path / f"{name}.csv") for name in ("icn", "kum"))
    here = run("analyze", *files, *PIECES, "--json")
    there = run("analyze", *files, *PIECES, "--json", "--cluster", cluster.scheduler_address)
    assert there.returncode == 0, there.stderr
    assert there.stdout == here.stdout
    assert "eventId" in here.stdout
    with Client(cluster) as client:
        done = client.run(lambda dask_worker: dask_worker.state.executed_count)
    assert min(done.values()) > 0, "one of the workers did nothing"


def test_what_fails_there_is_one_line_here(cluster: LocalCluster, tmp_path: Path) -> None:
    sample = "tests/data/real_events_sample.tsv"
    bad = run("analyze", sample, "--backend", f"onnx:{tmp_path}", "--cluster", cluster.scheduler_address)
    assert bad.returncode == 1
    assert bad.stderr.splitlines()[-1] == (
        f"error: no model in {tmp_path}: it has no folder epc_lstm/<version>; make one with"
        " 'epc-sentinel export RUN --out REPO' or name another repository"
    )
    both = run("analyze", sample, "--cluster", cluster.scheduler_address, "--target", "127.0.0.1:1")
    assert both.returncode == 2
    assert both.stderr.splitlines() == ["error: --target and --cluster exclude each other: one of them judges"]
