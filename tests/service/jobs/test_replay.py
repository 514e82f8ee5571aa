"""The replay command against a real gateway that restarts, dies or refuses."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from service.rawfiles.columns import read_files
from tests.support.command import FORGED, HEADER, NORMAL, SAMPLE, Command, assert_one_line
from tests.support.gateway import Gateway
from tests.support.observed import samples, scrape, value
from tests.support.processes import free_ports, wait_for
from training.simulation.world import simulate


def replay(*arguments: object) -> Command:
    return Command("replay", *arguments)


def summary_of(done: CompletedProcess[str]) -> dict[str, Any]:
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


def test_every_event_is_judged_once_over_several_streams(
    start_gateway: Callable[..., Gateway], replayed_world: Path, replayed_rows: int
) -> None:
    running = start_gateway()
    done = replay(replayed_world, "--target", running.target, "--streams", 3, "--json").finished()
    assert done.returncode == 0, done.stderr
    summary = summary_of(done)
    assert (summary["events"], summary["lost"], summary["retries"]) == (replayed_rows, 0, 0)
    assert summary["flagged"] > 0
    assert 0 < summary["latency_ms"]["p50"] <= summary["latency_ms"]["p99"] <= summary["latency_ms"]["max"]
    wait_for(lambda: sum(line["event"] == "call" for line in running.log()) == 3)
    lines = [line for line in running.log() if line["event"] == "call"]
    assert [line["code"] for line in lines] == ["OK"] * 3
    assert sum(line["events"] for line in lines) == replayed_rows
    assert sum(line["requests"] for line in lines) == summary["requests"]


def test_findings_are_printed_as_they_come(gateway: Gateway, tmp_path: Path) -> None:
    path = tmp_path / "scans.csv"
    path.write_text(HEADER + NORMAL + FORGED)
    done = replay(path, "--target", gateway.target, "--detector", "rules").finished()
    assert done.returncode == 0, done.stderr
    finding, *words = done.stdout.splitlines()
    assert finding.startswith("2025-07-01 10:35:17  2  forged  epcFake ")
    assert any(line.startswith("2 events in ") for line in words), "behind what the gateway remembers of other tests"
    assert words[-1] == "0 retries, 0 events lost."


def test_a_gateway_that_knows_another_network_is_told_of(start_gateway: Callable[..., Gateway], tmp_path: Path) -> None:
    """Before the numbers, by what it says once it has seen enough, and before that by how much it flags."""
    running = start_gateway()
    simulate(tmp_path / "few", 500, 1, network=5)
    simulate(tmp_path / "many", 1_100, 2, network=5)
    few, many = (
        replay(tmp_path / name, "--target", running.target, "--detector", "rules").finished().stdout.splitlines()
        for name in ("few", "many")
    )
    at = next(number for number, line in enumerate(few) if line.startswith("Warning: "))
    assert "of the events are flagged: is this the network that the gateway's model knows?" in few[at]
    assert " events in " in few[at + 1]
    at = next(number for number, line in enumerate(many) if line.startswith("Warning: "))
    assert "of the codes seen lately are of products that this model does not know: adopt it" in many[at]
    assert many[at].endswith(" answers)")
    assert not any("of the events are flagged" in line for line in many)


def test_the_speed_is_a_multiple_of_real_time(gateway: Gateway) -> None:
    times = read_files([SAMPLE]).events.time_us
    span_s = float(times.max() - times.min()) / 1e6
    done = replay(SAMPLE, "--target", gateway.target, "--speed", span_s / 2, "--json").finished()
    summary = summary_of(done)
    assert summary["events"] == 13
    assert 2.0 <= summary["duration_s"] < 4.0
    assert summary["requests"] >= 5  # the scans are months apart: sent when they are due, not in one batch


def test_a_limit_of_time_loses_nothing(gateway: Gateway, replayed_world: Path, replayed_rows: int) -> None:
    playing = replay(replayed_world, "--target", gateway.target, "--batch", 1, "--limit-s", 1, "--json")
    summary = summary_of(playing.finished())
    assert 0 < summary["events"] < replayed_rows
    assert summary["lost"] == 0
    assert summary["duration_s"] < 3


def wait_streams(gateway: Gateway, count: int) -> None:
    """Wait until a replay has so many streams and some answers."""

    def plays() -> bool:
        found = samples(scrape(gateway))
        return value(found, "calls_in_flight") == count and value(found, "events_total") > 100

    wait_for(plays)


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_a_restart_of_the_gateway_costs_retries_and_no_event(
    replayed_world: Path, replayed_rows: int, six_seconds: float, ending: signal.Signals
) -> None:
    port = str(free_ports(1)[0])
    with Gateway("--port", port, "--metrics-port", "0") as first:
        playing = replay(replayed_world, "--target", first.target, "--streams", 2, "--speed", six_seconds, "--json")
        wait_streams(first, 2)
        assert playing.process.poll() is None, "the replay was over before the gateway was stopped"
        stopped_s = time.monotonic()
        os.kill(first.pid, ending)
        first.wait()
    with Gateway("--port", port):
        outage_ms = 1e3 * (time.monotonic() - stopped_s)
        done = playing.finished()
    assert done.returncode == 0, done.stderr
    summary = summary_of(done)
    assert (summary["events"], summary["lost"]) == (replayed_rows, 0)
    assert summary["retries"] >= 2
    assert summary["latency_ms"]["max"] > outage_ms / 2, "the outage is in the latency of who waited"


def test_a_gateway_that_stays_away_costs_events_and_the_exit_code_says_so(
    replayed_world: Path, six_seconds: float
) -> None:
    with Gateway("--metrics-port", "0") as doomed:
        playing = replay(replayed_world, "--target", doomed.target, "--speed", six_seconds, "--give-up-s", 1, "--json")
        wait_streams(doomed, 1)
    done = playing.finished()
    summary = summary_of(done)
    assert done.returncode == 1
    assert summary["lost"] > 0
    [line] = done.stderr.splitlines()
    assert line.startswith(f"error: {summary['lost']} events that were sent got no answer: no gateway answers at")


def test_no_gateway_is_one_line() -> None:
    assert_one_line(replay(SAMPLE, "--target", "127.0.0.1:1").finished(), 1, "no gateway answers at 127.0.0.1:1")


def test_a_request_that_the_gateway_refuses_is_not_retried(
    start_gateway: Callable[..., Gateway], replayed_world: Path
) -> None:
    small = start_gateway("--max-events-per-request", "10")
    done = replay(replayed_world, "--target", small.target, "--batch", 50, "--json").finished()
    assert done.returncode == 1
    assert summary_of(done)["retries"] == 0
    assert "INVALID_ARGUMENT: requests[0].data: has 50 events, the limit is 10" in done.stderr
