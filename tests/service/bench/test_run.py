"""The bench command measures: every cell has numbers that can be true together."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from service.api.requests import decode_request
from service.bench.run import CONCURRENCIES, SIZES, requests_of
from service.runtime.timing import STAGES
from tests.support.gateway import ROOT
from tests.support.worlds import code, journey, to_events


def bench(*flags: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "service", "bench", "--rounds", "1", "--seconds", "0.1", *flags]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)


def test_requests_hold_whole_items_of_one_file() -> None:
    scans = [scan for serial in range(40) for scan in journey(code(serial=serial))]
    events = to_events(scans)
    requests = requests_of(events, 50)
    sent = [decode_request(request.body, max_events=1_000, one_file=True)[0] for request in requests]
    assert [len(part) for part in sent] == [request.events for request in requests]
    assert all(len(part) >= 50 for part in sent)
    codes = [name for part in sent for name in part.epc_codes]
    assert len(codes) == len(set(codes)), "an item is in two requests"


def test_every_cell_is_measured(tmp_path: Path) -> None:
    done = bench("--json", str(tmp_path / "bench.json"))
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "bench.json").read_text())
    servers = ("embedded", *(["workers"] if report["cores"] > 1 else []), "echo")
    cells = {(load["server"], load["events_per_request"], load["concurrency"]): load for load in report["loads"]}
    assert set(cells) == {(name, size, n) for name in servers for size in SIZES for n in CONCURRENCIES}
    for size in SIZES:
        assert cells["embedded", size, 8]["client_cpu_s_per_million_events"] > 0
        stages = report["stages_us_per_event"][str(size)]
        assert set(stages) == set(STAGES)
        assert min(stages.values()) > 0
        for n in CONCURRENCIES:
            gateway, echo = cells["embedded", size, n], cells["echo", size, n]
            assert 0 < gateway["p50_ms"] <= gateway["p99_ms"]
            share = gateway["events_per_s"] / gateway["bound_events_per_s"]
            assert gateway["share_of_bound"] == pytest.approx(share), "of the one round"
            # A server that does nothing costs less than one that judges.
            assert 0 <= echo["server_cpu_s_per_million_events"] < gateway["server_cpu_s_per_million_events"]
    for loads in report["mixed"].values():
        assert 0 < loads[0]["p50_ms"] <= loads[0]["p99_ms"]
    small, large = (
        report["mixed"][name][0]["server_cpu_s_per_million_events"] for name in ("small_alone", "large_alone")
    )
    assert 0 < large < small
    assert report["peak_rss_mib"]["embedded"] > 50
    assert 0 <= report["cores_of_others"] <= report["cores"]
    assert "of the bound" in done.stdout
    assert "us of the server per event" in done.stdout


def test_too_little_data_is_one_line() -> None:
    done = bench("--data", str(ROOT / "tests" / "data" / "real_events_sample.tsv"))
    assert done.returncode == 1
    assert (
        done.stderr.splitlines()[-1]
        == "error: 13 events are too few to make a request of 50: give a larger file with --data"
    )
