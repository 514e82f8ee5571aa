"""The replay command against a real gateway that restarts, dies or refuses; and against one that breaks on purpose."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from service.client.stream import Answered
from service.errors import CommandError
from service.jobs.replay import Plan, Player
from service.jobs.tally import Latencies, Tally
from service.pb.epcsentinel.v1 import anomaly_pb2 as pb
from service.rawfiles.columns import read_files
from service.rawfiles.folders import raw_files
from tests.support.command import FORGED, HEADER, NORMAL, SAMPLE, assert_one_line
from tests.support.gateway import ROOT, SERVICE, Gateway
from tests.support.processes import free_ports
from training.simulation.world import simulate


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("replayed")
    simulate(folder, 1000, 5, lambda _what, _done: None)
    return folder


@pytest.fixture(scope="session")
def rows(world: Path) -> int:
    return len(read_files(raw_files([world])).events)


@pytest.fixture(scope="session")
def six_seconds(world: Path) -> float:
    """The speed at which the world takes six seconds."""
    times = read_files(raw_files([world])).events.time_us
    return float(times.max() - times.min()) / 6e6


def replay(*arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "service", "replay", *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finished(process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    out, err = process.communicate(timeout=120)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def summary_of(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


# ---------------------------------------------------------------- a gateway that works


def test_every_event_is_judged_once_over_several_streams(
    start_gateway: Callable[..., Gateway], world: Path, rows: int
) -> None:
    running = start_gateway()
    done = finished(replay(world, "--target", running.target, "--streams", 3, "--json"))
    assert done.returncode == 0, done.stderr
    summary = summary_of(done)
    assert (summary["events"], summary["lost"], summary["retries"]) == (rows, 0, 0)
    assert summary["flagged"] > 0
    assert 0 < summary["latency_ms"]["p50"] <= summary["latency_ms"]["p99"] <= summary["latency_ms"]["max"]
    lines = [line for line in running.log() if line["event"] == "call"]
    assert [line["code"] for line in lines] == ["OK"] * 3
    assert sum(line["events"] for line in lines) == rows
    assert sum(line["requests"] for line in lines) == summary["requests"]


def test_findings_are_printed_as_they_come(gateway: Gateway, tmp_path: Path) -> None:
    path = tmp_path / "scans.csv"
    path.write_text(HEADER + NORMAL + FORGED)
    done = finished(replay(path, "--target", gateway.target, "--detector", "rules"))
    assert done.returncode == 0, done.stderr
    finding, *words = done.stdout.splitlines()
    assert finding.startswith("2025-07-01 10:35:17  2  forged  epcFake ")
    assert words[0].startswith("2 events in ")
    assert words[-1] == "0 retries, 0 events lost."


def test_the_speed_is_a_multiple_of_real_time(gateway: Gateway) -> None:
    times = read_files([SAMPLE]).events.time_us
    span_s = float(times.max() - times.min()) / 1e6
    done = finished(replay(SAMPLE, "--target", gateway.target, "--speed", span_s / 2, "--json"))
    summary = summary_of(done)
    assert summary["events"] == 13
    assert 2.0 <= summary["duration_s"] < 4.0
    assert summary["requests"] >= 5  # the scans are months apart: sent when they are due, not in one batch


def test_a_limit_of_time_loses_nothing(gateway: Gateway, world: Path, rows: int) -> None:
    summary = summary_of(finished(replay(world, "--target", gateway.target, "--batch", 1, "--limit-s", 1, "--json")))
    assert 0 < summary["events"] < rows
    assert summary["lost"] == 0
    assert summary["duration_s"] < 3


# ---------------------------------------------------------------- a gateway that does not


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_a_restart_of_the_gateway_costs_retries_and_no_event(
    world: Path, rows: int, six_seconds: float, ending: signal.Signals
) -> None:
    port = str(free_ports(1)[0])
    with Gateway("--port", port) as first:
        playing = replay(world, "--target", first.target, "--streams", 2, "--speed", six_seconds, "--json")
        first.wait_caller()
        time.sleep(2)
        assert playing.poll() is None, "the replay was over before the gateway was stopped"
        os.kill(first.pid, ending)
        first.wait()
    with Gateway("--port", port):
        done = finished(playing)
    assert done.returncode == 0, done.stderr
    summary = summary_of(done)
    assert (summary["events"], summary["lost"]) == (rows, 0)
    assert summary["retries"] >= 2
    assert summary["latency_ms"]["max"] > 500  # the outage is in the latency of who waited


def test_a_gateway_that_stays_away_costs_events_and_the_exit_code_says_so(world: Path, six_seconds: float) -> None:
    with Gateway() as doomed:
        playing = replay(world, "--target", doomed.target, "--speed", six_seconds, "--give-up-s", 1, "--json")
        doomed.wait_caller()
        time.sleep(2)
    done = finished(playing)
    summary = summary_of(done)
    assert done.returncode == 1
    assert summary["lost"] > 0
    [line] = done.stderr.splitlines()
    assert line.startswith(f"error: {summary['lost']} events that were sent got no answer: no gateway answers at")


def test_no_gateway_is_one_line() -> None:
    assert_one_line(finished(replay(SAMPLE, "--target", "127.0.0.1:1")), 1, "no gateway answers at 127.0.0.1:1")


def test_a_request_that_the_gateway_refuses_is_not_retried(start_gateway: Callable[..., Gateway], world: Path) -> None:
    small = start_gateway("--max-events-per-request", "10")
    done = finished(replay(world, "--target", small.target, "--batch", 50, "--json"))
    assert done.returncode == 1
    assert summary_of(done)["retries"] == 0
    assert "INVALID_ARGUMENT: requests[0].data: has 50 events, the limit is 10" in done.stderr


# ---------------------------------------------------------------- what goes over the wire


class Breaker:
    """A server of AnalyzeStream that keeps what it gets, and breaks every stream off after some requests."""

    def __init__(self, answers_per_stream: int) -> None:
        self._answers_per_stream = answers_per_stream
        self._lock = threading.Lock()
        self.streams: list[list[pb.AnalyzeRequest]] = []

    def handler(self) -> grpc.GenericRpcHandler:
        method = grpc.stream_stream_rpc_method_handler(
            self._serve, pb.AnalyzeRequest.FromString, pb.AnalyzeResponse.SerializeToString
        )
        return grpc.method_handlers_generic_handler(SERVICE, {"AnalyzeStream": method})

    def _serve(
        self, requests: Iterator[pb.AnalyzeRequest], context: grpc.ServicerContext
    ) -> Iterator[pb.AnalyzeResponse]:
        received: list[pb.AnalyzeRequest] = []
        with self._lock:
            self.streams.append(received)
        for request in requests:
            received.append(request)
            if len(received) > self._answers_per_stream:
                context.abort(grpc.StatusCode.UNAVAILABLE, "broken on purpose")
            yield pb.AnalyzeResponse(file_id=1)


@contextmanager
def breaking(breaker: Breaker) -> Iterator[str]:
    server = grpc.server(ThreadPoolExecutor(8))
    server.add_generic_rpc_handlers((breaker.handler(),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None)


def test_what_got_no_answer_is_sent_again_unchanged_and_in_order(world: Path, rows: int) -> None:
    breaker, tally, answered = Breaker(answers_per_stream=20), Tally(), []
    events = read_files(raw_files([world])).events
    events = events.take(np.lexsort((events.event_id, events.time_us)))
    with breaking(breaker) as target:
        plan = Plan(target, "rules", speed=0, batch=20, streams=2, limit_s=None, give_up_s=10)
        assert Player(plan, tally, answered.append).play(events, lambda: None) is None
    assert tally.events == rows
    assert tally.retries == len(breaker.streams) - 2 >= 4
    times: dict[str, tuple[int, int]] = {}
    for scan in (scan for one in answered for scan in one.request.data):
        moment = (scan.event_time.ToMicroseconds(), scan.event_id)
        assert times.get(scan.epc_code, (0, 0)) < moment  # each EPC's events once, and in the order of time
        times[scan.epc_code] = moment
    known = {one.request.SerializeToString() for one in answered}
    assert {request.SerializeToString() for stream in breaker.streams for request in stream} == known
    sent = [scan.event_id for stream in breaker.streams for request in stream for scan in request.data]
    assert len(sent) > rows  # some were sent twice


def test_an_epc_stays_in_one_stream(world: Path) -> None:
    breaker = Breaker(answers_per_stream=10_000)
    events = read_files(raw_files([world])).events
    with breaking(breaker) as target:
        plan = Plan(target, "rules", speed=0, batch=20, streams=3, limit_s=None, give_up_s=10)
        Player(plan, Tally(), lambda _: None).play(events, lambda: None)
    codes = [{scan.epc_code for request in stream for scan in request.data} for stream in breaker.streams]
    assert len(codes) == 3
    assert sum(map(len, codes)) == len(set().union(*codes)) == len(events.epc_codes)


# ---------------------------------------------------------------- files and numbers


def test_a_folder_stands_for_its_raw_files(world: Path, tmp_path: Path) -> None:
    assert [path.name for path in raw_files([world, SAMPLE])] == [
        "hws.csv", "icn.csv", "kum.csv", "ygs.csv", SAMPLE.name,
    ]  # fmt: skip
    (tmp_path / "locations.csv").write_text("location_id,scan_location\n")
    with pytest.raises(CommandError, match="no raw file in this folder"):
        raw_files([tmp_path])


def test_percentiles_are_those_of_numpy_within_two_percent() -> None:
    values = np.random.default_rng(1).lognormal(-4, 1, 5000)
    latencies = Latencies()
    for value in values.tolist():
        latencies.add(value)
    for percent in (50, 90, 99, 100):
        true = np.percentile(values, percent, method="inverted_cdf")
        assert true * 0.999 <= latencies.percentile_s(percent) <= true * 1.0201


def test_a_tally_counts_findings_by_kind() -> None:
    tally = Tally()
    finding = pb.EventFinding(event_id=1, jump=True, jump_score=90.0, epc_dup=True, epc_dup_score=80.0)
    response = pb.AnalyzeResponse(event_history=[finding], warning="no history")
    tally.add(Answered(pb.AnalyzeRequest(data=[pb.ScanEvent(event_id=1)]), response, 0.5))
    summary = tally.summary()
    assert {kind for kind, count in summary["findings"].items() if count} == {"jump", "epcDup"}
    assert (summary["flagged"], summary["degraded"], summary["latency_ms"]["max"]) == (1, 1, 500.0)
