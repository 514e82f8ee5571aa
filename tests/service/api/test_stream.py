"""AnalyzeStream as callers meet it: a real gateway process, real gRPC.

The callers here use gRPC's blocking client: the one of grpc.aio may report INTERNAL in place of the status that the
server ended a stream with, if a request was being written then (https://github.com/grpc/grpc/issues/36066).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import grpc
import pytest
from google.protobuf.json_format import Parse

from service.pb.epcsentinel.v1 import anomaly_pb2 as pb
from tests.support.gateway import ROOT, Gateway
from tests.support.requests import NORMAL_CODE, call, many, request, scan
from tests.support.wire import fields_of, header_frames, recording_proxy
from tests.tools.bad_input import CASES, Case

PATH = "/epcsentinel.v1.AnomalyService/AnalyzeStream"
KIND_FIELDS = ("epc_fake", "epc_dup", "loc_err", "evt_order_err", "jump")
NO_HISTORY = pb.HISTORY_USE_OFF
OWN_CONNECTION = ("grpc.use_local_subchannel_pool", 1)
FORGED = request(*(scan(at, epc_code=f"forged {at}") for at in range(500)), detector=pb.DETECTOR_RULES)
"""24 KiB, and as much of answer."""


@contextmanager
def stream(
    target: str, bodies: Iterable[bytes], timeout_s: float | None = None, request_id: str = ""
) -> Iterator[grpc.Call]:
    """Open a stream, written from ``bodies`` in a thread of gRPC; it is cancelled at the end, unless it is over."""
    # A small window for the answers: otherwise the library takes 4 MiB of them before anybody reads.
    options = [OWN_CONNECTION, ("grpc.http2.bdp_probe", 0)]
    with grpc.insecure_channel(target, options=options) as channel:
        metadata = (("x-request-id", request_id),) if request_id else ()
        yield channel.stream_stream(PATH)(iter(bodies), timeout=timeout_s, metadata=metadata)


@contextmanager
def talk(
    target: str, request_id: str = "", timeout_s: float | None = None
) -> Iterator[tuple[Callable[[bytes], pb.AnalyzeResponse], grpc.Call]]:
    """Open a stream of a caller who waits for each answer; give what sends a request and returns its answer."""
    bodies: SimpleQueue[bytes | None] = SimpleQueue()
    with stream(target, iter(bodies.get, None), timeout_s, request_id) as call:

        def ask(body: bytes) -> pb.AnalyzeResponse:
            bodies.put(body)
            return pb.AnalyzeResponse.FromString(next(call))

        yield ask, call
        call.cancel()
        bodies.put(None)


def read(call: grpc.Call) -> tuple[list[pb.AnalyzeResponse], grpc.RpcError]:
    """Return the answers until the stream ends, and how it ended."""
    answers = []
    try:
        for raw in call:
            answers.append(pb.AnalyzeResponse.FromString(raw))
    except grpc.RpcError as error:
        return answers, error
    return answers, call  # its code is OK


def numbered(count: int, detector: pb.Detector.ValueType = pb.DETECTOR_RULES) -> Iterator[bytes]:
    """Yield requests of one event; request i has file_id i, which its answer repeats."""
    for at in range(count):
        yield request(scan(at, file_id=at), detector=detector).SerializeToString()


def line_of(gateway: Gateway, request_id: str, within_s: float = 10) -> dict[str, Any]:
    """Return the log line of a call; it is written after the caller knows the status."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if found := [line for line in gateway.log() if line.get("request_id") == request_id]:
            [line] = found
            return line
        time.sleep(0.02)
    raise AssertionError(f"no line of {request_id}")


# ---------------------------------------------------------------- answers


def test_two_thousand_requests_on_one_stream_get_one_answer_each_in_order(gateway: Gateway) -> None:
    with stream(gateway.target, numbered(2000), request_id="long") as call:
        answers, end = read(call)
    assert end.code() is grpc.StatusCode.OK
    assert [answer.file_id for answer in answers] == list(range(2000))
    line = line_of(gateway, "long")
    assert (line["event"], line["method"], line["code"]) == ("call", "AnalyzeStream", "OK")
    assert (line["requests"], line["events"], line["epcs"], line["judged_by"]) == (2000, 2000, 2000, "rule-based")


def test_a_caller_may_wait_for_each_answer(gateway: Gateway) -> None:
    with talk(gateway.target) as (ask, _):
        for at, body in enumerate(numbered(20, pb.DETECTOR_LSTM)):
            answer = ask(body)
            assert (answer.file_id, answer.method) == (at, "lstm-deep-learning")


def test_a_stream_without_requests_is_fine(gateway: Gateway) -> None:
    with stream(gateway.target, []) as call:
        answers, end = read(call)
    assert (answers, end.code()) == ([], grpc.StatusCode.OK)


def test_each_request_of_a_stream_names_its_detector(gateway: Gateway) -> None:
    with talk(gateway.target) as (ask, _):
        for name, method in (("SVM", "svm-one-class"), ("LSTM", "lstm-deep-learning"), ("RULES", "rule-based")):
            answer = ask(request(scan(1), detector=pb.Detector.Value(f"DETECTOR_{name}")).SerializeToString())
            assert (answer.method, answer.warning) == (method, "")


def test_many_streams_at_once_do_not_mix(gateway: Gateway) -> None:
    def bodies(number: int) -> Iterator[bytes]:
        for at in range(5):
            yield request(scan(at, file_id=1000 * number + at), detector=pb.DETECTOR_RULES).SerializeToString()

    with grpc.insecure_channel(gateway.target) as channel:
        calls = [channel.stream_stream(PATH)(bodies(number)) for number in range(100)]
        answered = [[answer.file_id for answer in read(call)[0]] for call in calls]
    assert answered == [[1000 * number + at for at in range(5)] for number in range(100)]


def test_events_are_judged_without_what_comes_later(gateway: Gateway) -> None:
    """Analyze sees that the item is scanned 600 km away a minute later; a stream cannot see it."""
    first = scan(1, epc_code="001.8804823.1293291.010004.20250701.000009001")
    later = [scan(at, epc_code=first.epc_code, location_id=75, event_type="POS_Sell") for at in (2, 3)]
    bodies = [request(first, history=NO_HISTORY), request(first, *later, history=NO_HISTORY)]
    with stream(gateway.target, [body.SerializeToString() for body in bodies]) as call:
        answers, _ = read(call)
    alone, followed = ([one for one in answer.event_history if one.event_id == 1] for answer in answers)
    assert alone == followed
    assert any(one.event_id > 1 for one in answers[1].event_history)


def found(answers: list[pb.AnalyzeResponse]) -> dict[int, list[str]]:
    """Return the flagged kinds by event_id."""
    return {
        one.event_id: [name for name in KIND_FIELDS if getattr(one, name)]
        for answer in answers
        for one in answer.event_history
    }


def journey(item: int, history: pb.HistoryUse.ValueType = pb.HISTORY_USE_UNSPECIFIED) -> list[bytes]:
    """Return requests of one event each: the first four scans of the README's example, of another item."""
    example = Parse((ROOT / "examples" / "request.json").read_text(), pb.AnalyzeRequest())
    code = f"{NORMAL_CODE[:36]}{item:09d}"
    for event in example.data:
        event.epc_code = code
    return [request(event, history=history).SerializeToString() for event in example.data[:4]]


def test_the_past_of_a_stream_and_of_earlier_streams_is_known(gateway: Gateway) -> None:
    """The fourth scan is two minutes after the third one, and 50 km away."""
    with stream(gateway.target, journey(4101)) as call:
        assert "jump" in found(read(call)[0])[4]
    *earlier, last = journey(4102)
    with stream(gateway.target, earlier) as call:
        read(call)
    with stream(gateway.target, [last, last]) as call:  # the second time as a retry
        answers, _ = read(call)
    assert "jump" in found(answers)[4]
    assert answers[0] == answers[1]


def test_a_gateway_without_history_knows_the_stream_itself(start_gateway: Callable[..., Gateway]) -> None:
    forgetful = start_gateway("--history", "none")
    with stream(forgetful.target, journey(4105)) as call:
        assert "jump" in found(read(call)[0])[4]
    with stream(forgetful.target, journey(4105)[3:]) as call:  # of an earlier stream it knows nothing
        assert "jump" not in found(read(call)[0]).get(4, [])
    with stream(forgetful.target, journey(4105, NO_HISTORY)) as call:
        assert "jump" not in found(read(call)[0]).get(4, [])


def test_without_history_a_request_is_all_that_is_known(gateway: Gateway) -> None:
    with stream(gateway.target, journey(4103, NO_HISTORY)) as call:
        assert "jump" not in found(read(call)[0]).get(4, [])


def test_analyze_uses_the_history_on_request(gateway: Gateway) -> None:
    requests = [pb.AnalyzeRequest.FromString(body) for body in journey(4104)]

    def ask(*wanted: pb.AnalyzeRequest, history: pb.HistoryUse.ValueType) -> dict[int, list[str]]:
        body = pb.AnalyzeRequest(data=[scan for one in wanted for scan in one.data], history=history)
        return found([pb.AnalyzeResponse.FromString(call(gateway.target, "Analyze", body.SerializeToString()))])

    ask(*requests[:3], history=pb.HISTORY_USE_ON)
    assert "jump" not in ask(requests[3], history=NO_HISTORY).get(4, [])
    assert "jump" in ask(requests[3], history=pb.HISTORY_USE_ON)[4]


# ---------------------------------------------------------------- flow control


def test_a_slow_reader_slows_the_writer_and_memory_stays_bounded(gateway: Gateway) -> None:
    """Nobody reads the answers, so the gateway must stop to read the requests, and the writer comes to a halt."""
    written = 0

    def bodies() -> Iterator[bytes]:
        nonlocal written
        while written < 100:
            written += 1
            yield FORGED.SerializeToString()

    with stream(gateway.target, bodies(), request_id="unread") as call:
        before = -1
        while written != before:
            before = written
            time.sleep(1.5)
        # 64 KiB of requests wait in each end's buffers, as do 64 KiB of answers: all of 24 KiB and more.
        assert 2 <= written <= 16
        with talk(gateway.target) as (ask, _):  # the one that waits holds up nobody else
            assert ask(next(numbered(1))).file_id == 0
        answers, end = read(call)  # and all goes on as soon as somebody reads
    assert (len(answers), end.code()) == (100, grpc.StatusCode.OK)


# ---------------------------------------------------------------- ends


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
        with stream(gateway.target, (body for _ in range(1000)), timeout_s=1.5, request_id=request_id) as call:
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
        with stream(gateway.target, (body for _ in range(1000)), request_id=request_id) as call:
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


# ---------------------------------------------------------------- drain


def test_sigterm_sends_streams_away_in_time(start_gateway: Callable[..., Gateway]) -> None:
    running = start_gateway("--drain-s", "20")

    def busy(number: int, told: SimpleQueue[int]) -> tuple[list[int], grpc.RpcError]:
        with stream(running.target, numbered(100_000), request_id=f"busy-{number}") as call:
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
        started = time.monotonic()
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
    assert time.monotonic() - started < 15  # streams do not hold the gateway until its time is over
    assert not [line for line in running.log() if line["event"] == "drain time is over"]


def test_a_stream_without_answers_is_sent_away_trailers_only(start_gateway: Callable[..., Gateway]) -> None:
    """A proxy may then retry it at another gateway by itself."""
    running = start_gateway()
    with recording_proxy(running.target) as (target, received), talk(target) as (_, call):
        time.sleep(1)  # the stream has to reach the gateway
        running.terminate()
        answers, end = read(call)
    assert (answers, end.code()) == ([], grpc.StatusCode.UNAVAILABLE)
    assert "open a new stream" in end.details()
    assert header_frames(received) == 1
    assert running.wait() == 0
