"""How streams end: unusable requests, limits, deadlines, callers who leave, and a gateway that drains."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

import grpc
import pytest

from service.pb.epcsentinel.v1 import anomaly_pb2 as pb
from tests.support.gateway import Gateway
from tests.support.observed import samples, scrape, value
from tests.support.processes import wait_for
from tests.support.requests import many
from tests.support.wire import FORGED, fields_of, header_frames, line_of, numbered, read, recording_proxy, stream, talk
from tests.tools.bad_input import CASES, Case


@pytest.mark.parametrize("case", [case for case in CASES if case.code is not grpc.StatusCode.OK], ids=lambda c: c.name)
def test_an_unusable_request_ends_the_stream_and_is_named(gateway: Gateway, case: Case) -> None:
    with stream(gateway.target, [*numbered(2), case.body, *numbered(1)]) as call:
        answers, end = read(call)
    assert [answer.file_id for answer in answers] == [0, 1]
    assert end.code() is case.code
    assert case.says in end.details()  # as Analyze says it, with the place in front
    assert fields_of(end) == [f"requests[2].{name}" if name != "request" else "requests[2]" for name in case.fields]
    assert gateway.health() == "SERVING"


def test_a_request_over_the_byte_limit_ends_the_stream(start_gateway: Callable[..., Gateway]) -> None:
    small = start_gateway("--max-message-bytes", "2000")
    with stream(small.target, [*numbered(1), many(100).SerializeToString()], request_id="big") as call:
        _, end = read(call)
    assert end.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert line_of(small, "big")["code"] == "CANCELLED"
    assert not [line for line in small.log() if line["level"] == "error"]


@pytest.mark.parametrize("doing", ["waits for requests", "judges", "waits for a reader"])
def test_the_deadline_is_that_of_the_stream(gateway: Gateway, doing: str) -> None:
    request_id = f"late-{doing.replace(' ', '-')}"
    if doing == "waits for requests":
        with talk(gateway.target, request_id, timeout_s=1.5) as (_, call):
            _, end = read(call)
    else:
        body = (many(2000) if doing == "judges" else FORGED).SerializeToString()
        with stream(gateway.target, itertools.repeat(body), timeout_s=1.5, request_id=request_id) as call:
            time.sleep(2 if doing == "waits for a reader" else 0)
            _, end = read(call)
    assert end.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    # The caller's own clock may be the first to end the call: to the gateway he leaves then.
    assert line_of(gateway, request_id)["code"] in {"DEADLINE_EXCEEDED", "CANCELLED"}


@pytest.mark.parametrize("doing", ["waits for requests", "judges", "waits for a reader"])
def test_a_caller_who_leaves_ends_his_stream(gateway: Gateway, doing: str) -> None:
    request_id = f"gone-{doing.replace(' ', '-')}"
    if doing == "waits for requests":
        with talk(gateway.target, request_id) as (ask, _):
            ask(next(numbered(1)))
    else:
        body = (many(2000) if doing == "judges" else FORGED).SerializeToString()
        with stream(gateway.target, itertools.repeat(body), request_id=request_id) as call:
            next(call)
            time.sleep(2 if doing == "waits for a reader" else 0)  # by then the windows are full
    line = line_of(gateway, request_id)
    assert line["code"] == "CANCELLED"
    assert line["requests"] < 100
    assert request_id not in {line.get("request_id") for line in gateway.log() if line["level"] == "error"}


def test_without_fallback_a_stream_ends_with_its_model_server(
    start_gateway: Callable[..., Gateway], bundled_repository: Path
) -> None:
    down = start_gateway(
        "--backend", "triton://127.0.0.1:1", "--model-repository", str(bundled_repository), "--no-fallback",
        ready=False,
    )  # fmt: skip
    with stream(down.target, [*numbered(2), *numbered(1, pb.DETECTOR_LSTM)]) as call:
        answers, end = read(call)
    assert (len(answers), end.code()) == (2, grpc.StatusCode.UNAVAILABLE)
    assert "model server" in end.details()


def test_sigterm_sends_streams_away_in_time(start_gateway: Callable[..., Gateway]) -> None:
    running = start_gateway("--drain-s", "20")

    def busy(number: int, told: SimpleQueue[int]) -> tuple[list[int], grpc.RpcError]:
        with stream(running.target, numbered(10**9), request_id=f"busy-{number}") as call:
            first = pb.AnalyzeResponse.FromString(next(call)).file_id
            told.put(number)
            answers, end = read(call)
            return [first, *(answer.file_id for answer in answers)], end

    with ThreadPoolExecutor() as pool, talk(running.target) as (ask, idle):
        ask(next(numbered(1)))
        told: SimpleQueue[int] = SimpleQueue()
        streams = [pool.submit(busy, number, told) for number in range(4)]
        for _ in streams:
            told.get(timeout=30)
        running.terminate()
        answers, end = read(idle)
        assert (answers, end.code()) == ([], grpc.StatusCode.UNAVAILABLE)
        assert "open a new stream" in end.details()
        for number, one in enumerate(streams):
            answered, end = one.result()
            # The words may be lost, and the last answers with them: closing a connection that is being written to
            # resets it. So a caller is to send again whatever got no answer.
            assert end.code() is grpc.StatusCode.UNAVAILABLE
            assert answered == list(range(len(answered)))
            line = line_of(running, f"busy-{number}")
            assert line["code"] == "UNAVAILABLE"
            assert line["requests"] >= len(answered)
        assert running.wait() == 0
    # Streams do not hold the gateway until its time is over.
    assert not [line for line in running.log() if line["event"] == "drain time is over"]


def test_a_stream_without_answers_is_sent_away_trailers_only(start_gateway: Callable[..., Gateway]) -> None:
    """A proxy may then retry it at another gateway by itself."""
    running = start_gateway("--metrics-port", "0")
    with recording_proxy(running.target) as (target, received), talk(target) as (_, call):
        wait_for(lambda: value(samples(scrape(running)), "calls_in_flight") == 1)
        running.terminate()
        answers, end = read(call)
    assert (answers, end.code()) == ([], grpc.StatusCode.UNAVAILABLE)
    assert "open a new stream" in end.details()
    assert header_frames(received) == 1
    assert running.wait() == 0
