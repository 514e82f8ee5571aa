"""The life of a gateway: a model server that comes and goes, a drain that loses no call, a port that is taken."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from structlog.testing import capture_logs

from service.gateway.server import _ended
from service.pb.epcsentinel.v1 import anomaly_pb2 as pb
from tests.servers.triton.fixture import TritonServer
from tests.support.gateway import Gateway
from tests.support.observed import samples, scrape, value
from tests.support.processes import free_ports, wait_for
from tests.support.requests import analyze, call, crowd, many, request, scan


@pytest.mark.parametrize("detector", [pb.DETECTOR_LSTM, pb.DETECTOR_SVM, pb.DETECTOR_ENSEMBLE])
def test_rules_answer_for_a_model_server_that_is_down(
    start_gateway: Callable[..., Gateway], bundled_repository: Path, detector: pb.Detector.ValueType
) -> None:
    down = start_gateway(
        "--backend", f"triton://127.0.0.1:{free_ports(1)[0]}", "--model-repository", str(bundled_repository)
    )
    response = analyze(down.target, request(scan(1, epc_code="forged"), detector=detector))
    assert response.method == "rule-based-fallback"
    assert "model server cannot be reached" in response.warning
    assert response.event_history[0].epc_fake
    for event in ("degraded", "svm degraded"):
        assert "model server" in down.wait_log(event)["reason"]


def test_without_fallback_a_model_server_that_is_down_is_unavailable(
    start_gateway: Callable[..., Gateway], bundled_repository: Path
) -> None:
    down = start_gateway(
        "--backend", f"triton://127.0.0.1:{free_ports(1)[0]}", "--model-repository", str(bundled_repository),
        "--no-fallback", ready=False,
    )  # fmt: skip
    with pytest.raises(grpc.RpcError) as caught:
        analyze(down.target, request(scan(1)))
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert "model server" in caught.value.details()
    assert analyze(down.target, request(scan(1), detector=pb.DETECTOR_RULES)).method == "rule-based"
    assert down.health() == down.health("") == "NOT_SERVING"


def test_the_gateway_follows_a_model_server_that_comes_and_goes(
    start_gateway: Callable[..., Gateway], bundled_repository: Path
) -> None:
    triton = TritonServer(bundled_repository)
    running = start_gateway(
        "--backend", f"triton://{triton.url}", "--model-repository", str(bundled_repository), "--no-fallback",
        "--probe-interval-s", "0.2", ready=False,
    )  # fmt: skip
    assert running.health() == "NOT_SERVING"
    with triton:
        running.wait_health("SERVING")
        assert analyze(running.target, many(20)).method == "lstm-deep-learning"
        running.wait_log("svm ready")  # each model has a probe of its own
        assert analyze(running.target, many(20, pb.DETECTOR_SVM)).method == "svm-one-class"
    running.wait_health("NOT_SERVING")


def test_sigterm_loses_no_call_in_flight_and_watchers_do_not_hold_it_up(start_gateway: Callable[..., Gateway]) -> None:
    running = start_gateway("--drain-s", "20", "--metrics-port", "0")
    body = many(20_000, pb.DETECTOR_RULES).SerializeToString()
    with ThreadPoolExecutor() as pool, watching(running.target) as states:
        calls = [pool.submit(call, running.target, "Analyze", body) for _ in range(4)]
        # A call that the server does not have yet is for the caller to send again.
        wait_for(lambda: sum(one.done() for one in calls) + value(samples(scrape(running)), "calls_in_flight") == 4)
        running.terminate()
        assert all(pb.AnalyzeResponse.FromString(one.result()).file_id == 1 for one in calls)
        assert running.wait() == 0
    assert states == ["SERVING", "NOT_SERVING"]
    with pytest.raises(grpc.RpcError) as caught:
        call(running.target, "Analyze", b"", timeout=5)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize("workers", [(), ("--workers", "2", "--history", "none")], ids=["1", "2"])
def test_a_terminal_that_closes_ends_it_by_a_drain_unless_nohup_rules_that_out(
    start_gateway: Callable[..., Gateway], workers: tuple[str, ...]
) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup may have begun the tests
    try:
        running = start_gateway(*workers)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        kept = start_gateway(*workers)
    finally:
        signal.signal(signal.SIGHUP, before)
    os.kill(running.pid, signal.SIGHUP)
    assert running.wait() == 0
    assert running.log()[-1]["event"] == "stopped"
    os.kill(kept.pid, signal.SIGHUP)
    assert analyze(kept.target, many(5)).file_id == 1
    assert not [line for line in kept.log() if line["event"] == "draining"]


def test_drain_ends_when_its_time_is_over(start_gateway: Callable[..., Gateway]) -> None:
    running = start_gateway("--drain-s", "0")
    body = many(50_000).SerializeToString()
    with ThreadPoolExecutor() as pool:
        calls = pool.submit(crowd, running.target, body, 6)
        running.wait_log("call")  # one is answered: some are judged at any time from now on
        running.terminate()
        assert running.wait() == 0
        _, failures = calls.result()
    assert {failure.code() for failure in failures} <= {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
    [line] = [line for line in running.log() if line["event"] == "drain time is over"]
    assert line["cut_off"] > 0
    codes = {line["code"] for line in running.log() if line["event"] == "call"}
    assert codes <= {"OK", "UNAVAILABLE"}, "that the gateway cut a call off is no caller's doing"
    assert "UNAVAILABLE" in codes


def test_what_does_not_end_keeps_no_gateway_from_its_end() -> None:
    async def scenario() -> None:
        with capture_logs() as lines:
            await _ended("ends", asyncio.sleep(0), 60)
            await _ended("never ends", asyncio.Event().wait(), 0.1)
        assert [(line["event"], line["what"]) for line in lines] == [("no end in time", "never ends")]
        with pytest.raises(ZeroDivisionError):
            await _ended("fails", asyncio.to_thread(lambda: 1 / 0), 60)

    asyncio.run(asyncio.wait_for(scenario(), 30))


@contextmanager
def watching(target: str) -> Iterator[list[str]]:
    """Collect the health states that a watcher is told."""
    states: list[str] = []
    first = threading.Event()

    def watch(stub: health_pb2_grpc.HealthStub) -> None:
        try:
            for answer in stub.Watch(health_pb2.HealthCheckRequest()):
                states.append(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))
                first.set()
        except grpc.RpcError:
            pass  # the server stopped

    with grpc.insecure_channel(target) as channel:
        thread = threading.Thread(target=watch, args=(health_pb2_grpc.HealthStub(channel),))
        thread.start()
        assert first.wait(10)
        yield states
        thread.join(10)


def test_a_port_in_use_is_one_line_not_a_shared_port(gateway: Gateway) -> None:
    port = gateway.target.rpartition(":")[2]
    with pytest.raises(RuntimeError, match='"reason": "cannot listen on 127'):
        Gateway("--port", port)
