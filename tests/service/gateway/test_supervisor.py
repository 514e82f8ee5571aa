"""Several gateways on one port: what they share, what each has by itself, and what becomes of all when one dies."""

from __future__ import annotations

import functools
import json
import math
import os
import signal
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import grpc
import pytest

from service.client.retries import retried
from service.gateway.heart import LOOK_S, SILENT_LOOKS
from service.pb.epcsentinel.v1 import anomaly_pb2 as pb
from tests.support.command import run
from tests.support.gateway import Gateway
from tests.support.observed import entries, samples, scrape, value
from tests.support.processes import stand_still, wait_for
from tests.support.requests import call, many

CONNECTIONS = 24  # all of them on one of two workers: once in eight million
WORKERS = ("--workers", "2", "--history", "none", "--onnx-threads", "1")
SMALL, LARGE = many(20).SerializeToString(), many(5_000).SerializeToString()


def call_on_many(target: str, body: bytes = SMALL) -> list[bytes]:
    """Return the answer on each of many connections of their own, that are open at the same time."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    with ExitStack() as stack, ThreadPoolExecutor(CONNECTIONS) as pool:
        channels = [stack.enter_context(grpc.insecure_channel(target, options)) for _ in range(CONNECTIONS)]
        methods = [channel.unary_unary("/epcsentinel.v1.AnomalyService/Analyze") for channel in channels]
        return list(pool.map(lambda method: bytes(method(body, timeout=60)), methods))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("workers")


@pytest.fixture(scope="module")
def two(folder: Path) -> Iterator[Gateway]:
    files = ("--audit-log", str(folder / "audit.jsonl"), "--detection-log", str(folder / "detections"))
    with Gateway(*WORKERS, "--metrics-port", "0", *files) as running:
        yield running


def test_every_call_is_answered_once_counted_once_and_written_once(two: Gateway, folder: Path) -> None:
    before = samples(scrape(two))
    answers = call_on_many(two.target)
    assert len(set(answers)) == 1
    after = samples(scrape(two))
    counted = {
        number: value(after, "requests_total", worker=number, code="OK", method="Analyze") for number in ("1", "2")
    }
    assert min(counted.values()) > 0, "one worker got no connection"
    was = value(before, "requests_total", code="OK", method="Analyze")
    assert sum(counted.values()) - (0 if math.isnan(was) else was) == CONNECTIONS
    assert value(after, "events_total") == 20 * sum(counted.values())
    assert value(after, "request_duration_seconds_count", worker="1") == counted["1"]
    assert value(after, "worker_restarts_total") == 0
    wait_for(lambda: len(entries(folder / "audit-worker1.jsonl")) == counted["1"])
    wait_for(lambda: len(entries(folder / "audit-worker2.jsonl")) == counted["2"])
    assert not (folder / "audit.jsonl").exists()


def test_the_answer_is_that_of_one_process(two: Gateway, gateway: Gateway) -> None:
    assert call(two.target, "Analyze", LARGE) == call(gateway.target, "Analyze", LARGE)


def test_drift_is_told_by_worker(two: Gateway) -> None:
    port = two.wait_log("listening")["metrics_port"]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/drift", timeout=10) as answer:
        state = json.loads(answer.read())
    assert set(state["workers"]) == {"1", "2"}
    assert all("epc_lstm/1" in models for models in state["workers"].values())


def test_nobody_else_gets_the_port(two: Gateway) -> None:
    port = two.target.rpartition(":")[2]
    for flags in ((), WORKERS):
        done = run("serve", "--port", port, *flags)
        assert done.returncode == 1
        assert done.stderr.splitlines() == [
            f"error: cannot listen on 127.0.0.1:{port}: in use, or not an address of this machine;"
            " choose others with --host and --port"
        ]


def test_a_worker_that_dies_is_replaced(two: Gateway) -> None:
    old = two.workers()
    assert len(old) == 2
    os.kill(min(old), signal.SIGKILL)
    wait_for(lambda: not Path(f"/proc/{min(old)}").exists())
    assert len(call_on_many(two.target)) == CONNECTIONS, "the other one does not serve"
    wait_for(lambda: len(two.workers() - old) == 1)
    wait_for(lambda: len([line for line in two.log() if line["event"] == "worker listening"]) == 3)
    call_on_many(two.target)
    found = samples(scrape(two))
    assert value(found, "worker_restarts_total") == 1
    assert all(value(found, "requests_total", worker=number) > 0 for number in ("1", "2"))


def test_a_worker_that_hangs_is_replaced_and_costs_no_call(start_gateway: Callable[..., Gateway]) -> None:
    gateway = start_gateway(*WORKERS, "--metrics-port", "0")
    old = gateway.workers()
    options = [*retried(), ("grpc.use_local_subchannel_pool", 1)]
    with ExitStack() as stack, ThreadPoolExecutor(CONNECTIONS) as pool:
        channels = [stack.enter_context(grpc.insecure_channel(gateway.target, options)) for _ in range(CONNECTIONS)]
        methods = [channel.unary_unary("/epcsentinel.v1.AnomalyService/Analyze") for channel in channels]
        ask = functools.partial(pool.map, lambda method: bytes(method(SMALL, timeout=60)), methods)
        assert len(set(ask())) == 1
        stand_still(min(old))
        began = time.monotonic()
        assert len(set(ask())) == 1, "the connections of the worker that hangs have got answers too"
        assert 4 < time.monotonic() - began < 30
    wait_for(lambda: len(gateway.workers() - old) == 1)
    assert len([line for line in gateway.log() if line["event"] == "a worker hangs and is killed"]) == 1
    wait_for(lambda: len([line for line in gateway.log() if line["event"] == "worker listening"]) == 3)
    assert value(samples(scrape(gateway)), "worker_restarts_total") == 1


def test_a_machine_that_stands_still_is_no_worker_that_hangs(start_gateway: Callable[..., Gateway]) -> None:
    """As by `docker pause`: all are stopped, the process that minds the workers too."""
    gateway = start_gateway(*WORKERS)
    pids = [*gateway.workers(), gateway.pid]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(SILENT_LOOKS * LOOK_S + 1)
    for pid in reversed(pids):  # who minds them looks first
        os.kill(pid, signal.SIGCONT)
    time.sleep(2)
    assert len(call_on_many(gateway.target)) == CONNECTIONS
    assert gateway.workers() == set(pids[:-1])


def test_a_stop_drains_every_worker(start_gateway: Callable[..., Gateway], tmp_path: Path) -> None:
    log = ("--audit-log", str(tmp_path / "audit.jsonl"))
    gateway = start_gateway(*WORKERS, "--drain-s", "60", "--metrics-port", "0", *log)

    def accepted() -> float:
        found = samples(scrape(gateway))
        return value(found, "calls_in_flight") + sum(
            len(entries(file)) for file in tmp_path.glob("audit-worker*.jsonl")
        )

    with ThreadPoolExecutor(1) as pool:
        answers = pool.submit(call_on_many, gateway.target, LARGE)
        wait_for(lambda: accepted() >= CONNECTIONS)  # a call that no worker has yet is for the caller to send again
        gateway.terminate()
        assert all(pb.AnalyzeResponse.FromString(answer).file_id == 1 for answer in answers.result())
    assert gateway.wait() == 0
    assert sum(len(entries(tmp_path / f"audit-worker{number}.jsonl")) for number in (1, 2)) == CONNECTIONS
    assert [line for line in gateway.log() if line["event"] == "stopped" and "worker" not in line]


def test_workers_go_when_their_parent_is_killed(start_gateway: Callable[..., Gateway]) -> None:
    gateway = start_gateway(*WORKERS)
    pids = gateway.workers()
    assert len(pids) == 2
    os.kill(gateway.pid, signal.SIGKILL)
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))
    assert gateway.wait() == -signal.SIGKILL


def test_what_cannot_work_is_one_line(tmp_path: Path) -> None:
    done = run("serve", "--workers", "2")
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "error: --workers 2 needs another --history than memory, which processes do not share:"
        " none (streams know what they brought themselves), or a server such as valkey://HOST:PORT"
    ]
    done = run("serve", "--port", "0", "--backend", f"onnx:{tmp_path}", "--no-fallback", *WORKERS)
    assert done.returncode == 1
    assert [line for line in done.stderr.splitlines() if line.startswith("error")] == [
        f"error: no model in {tmp_path}: it has no folder epc_lstm/<version>; make one with"
        " 'epc-sentinel export RUN --out REPO' or name another repository"
    ]
