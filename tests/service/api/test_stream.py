"""AnalyzeStream as callers meet it: a real gateway process, real gRPC.

The callers here use gRPC's blocking client: the one of grpc.aio may report INTERNAL in place of the status that the
server ended a stream with, if a request was being written then (https://github.com/grpc/grpc/issues/36066).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import grpc

from service.pb.epcsentinel.v1 import anomaly_pb2 as pb
from tests.support.gateway import Gateway
from tests.support.processes import wait_for
from tests.support.requests import call, found, journey, request, scan
from tests.support.wire import FORGED, PATH, line_of, numbered, read, stream, talk

NO_HISTORY = pb.HISTORY_USE_OFF


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
            body = request(scan(1), detector=pb.Detector.Value(f"DETECTOR_{name}"), history=NO_HISTORY)
            answer = ask(body.SerializeToString())
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
    """Analyze sees that the item is two levels on, 50 km away, a minute later; a stream cannot see it."""
    first = scan(1, epc_code="001.8804823.1293291.010004.20250701.000009001")
    later = [scan(at, epc_code=first.epc_code, location_id=13, event_type="W_Stock_Inbound") for at in (2, 3)]
    bodies = [request(first, history=NO_HISTORY), request(first, *later, history=NO_HISTORY)]
    with stream(gateway.target, [body.SerializeToString() for body in bodies]) as call:
        answers, _ = read(call)
    alone, followed = ([one for one in answer.event_history if one.event_id == 1] for answer in answers)
    assert alone == followed
    assert any(one.event_id > 1 for one in answers[1].event_history)


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


def test_a_slow_reader_slows_the_writer_and_memory_stays_bounded(gateway: Gateway) -> None:
    """Nobody reads the answers, so the gateway must stop to read the requests, and the writer comes to a halt."""
    written = 0

    def bodies() -> Iterator[bytes]:
        nonlocal written
        while written < 100:
            written += 1
            yield FORGED.SerializeToString()

    with stream(gateway.target, bodies(), request_id="unread") as call:
        wait_for(lambda: written > 1)
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
