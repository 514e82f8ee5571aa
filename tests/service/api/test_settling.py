"""Answers that settle, as callers of AnalyzeStream meet them: a real gateway process, real gRPC."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest

from service.api.requests import Question, encode_request
from service.api.settling import Room, Settling, alike
from service.client.stream import GatewayStream
from service.detect.names import DetectorName
from service.events.vocabulary import OperatingPoint
from service.pb.epcsentinel.v1 import anomaly_pb2 as pb
from service.rawfiles.columns import read_files
from service.rawfiles.folders import raw_files
from tests.support import worlds
from tests.support.gateway import Gateway
from tests.support.requests import analyze, found, journey, many, request, scan
from tests.support.wire import FORGED, line_of, numbered, read, stream, talk
from training.datasets.truth import load_truth
from training.simulation.world import simulate

PROVISIONAL, FINAL = pb.VERDICT_PROVISIONAL, pb.VERDICT_FINAL

SETTLE_S = 1.0


@pytest.fixture(scope="module")
def settling() -> Iterator[Gateway]:
    """A gateway whose answers settle after a second."""
    with Gateway("--settle-s", str(SETTLE_S)) as running:
        yield running


@pytest.fixture(scope="module")
def recalling() -> Iterator[Gateway]:
    """A gateway with a history whose answers settle at the end of the stream: no machine is too slow for that."""
    with Gateway("--settle-s", "3600") as running:
        yield running


@pytest.fixture(scope="module")
def patient() -> Iterator[Gateway]:
    """A gateway whose answers settle after an hour, or at the end of the stream, without a history beside it."""
    with Gateway("--settle-s", "3600", "--history", "none") as running:
        yield running


def split(answers: list[pb.AnalyzeResponse]) -> tuple[list[pb.AnalyzeResponse], list[pb.AnalyzeResponse]]:
    """Return (the provisional answers, the final ones), each in the order of the requests and with one per request."""
    provisional, final = ([one for one in answers if one.verdict == verdict] for verdict in (PROVISIONAL, FINAL))
    assert len(provisional) + len(final) == len(answers)
    assert [one.request_number for one in provisional] == list(range(len(provisional)))
    assert [one.request_number for one in final] == list(range(len(final)))
    return provisional, final


def asked(gateway: Gateway, bodies: list[bytes]) -> tuple[list[pb.AnalyzeResponse], list[pb.AnalyzeResponse]]:
    """Return both answers to each request of a stream that ends in order."""
    with stream(gateway.target, bodies) as call:
        answers, end = read(call)
    assert end.code() is grpc.StatusCode.OK
    provisional, final = split(answers)
    assert len(provisional) == len(final) == len(bodies)
    return provisional, final


def plain(answer: pb.AnalyzeResponse) -> bytes:
    """Return an answer as a gateway gives it whose answers do not settle."""
    copy = pb.AnalyzeResponse.FromString(answer.SerializeToString())
    copy.ClearField("verdict")
    copy.ClearField("request_number")
    return copy.SerializeToString()


def twins(item: int, detector: pb.Detector.ValueType = pb.DETECTOR_RULES) -> list[bytes]:
    """Return three requests: the way of an item to the hub, and its arrival at two hubs in the same second."""
    before = [scan for body in journey(item)[:3] for scan in pb.AnalyzeRequest.FromString(body).data]
    arrived = int(before[-1].event_time.seconds) + 4 * 3600
    arrivals = [
        scan(4 + at, epc_code=before[0].epc_code, location_id=place, business_step="Logistics_HUB",
             event_type="HUB_Inbound", seconds=arrived)
        for at, place in enumerate((13, 14))
    ]  # fmt: skip
    parts = (before, *([one] for one in arrivals))
    return [request(*events, detector=detector).SerializeToString() for events in parts]


def test_a_final_answer_follows_settle_s_later_while_nothing_is_asked(settling: Gateway) -> None:
    def waited_s() -> float:
        with talk(settling.target) as (ask, call):
            began = time.monotonic()
            assert [ask(body).verdict for body in journey(5001)[:3]] == [PROVISIONAL] * 3
            answers = [pb.AnalyzeResponse.FromString(next(call)) for _ in range(3)]
            took_s = time.monotonic() - began
        assert [(one.verdict, one.request_number) for one in answers] == [(FINAL, 0), (FINAL, 1), (FINAL, 2)]
        assert took_s >= SETTLE_S
        return took_s

    # A machine that does something else meanwhile lets one wait longer, and not each time.
    assert any(waited_s() < SETTLE_S * 1.125 + 0.5 for _ in range(5))


def test_final_answers_come_between_requests_that_never_pause(settling: Gateway) -> None:
    settled = threading.Event()

    def bodies() -> Iterator[bytes]:
        for number in itertools.count(1):
            is_last = settled.is_set()
            yield request(scan(number, file_id=number), detector=pb.DETECTOR_RULES).SerializeToString()
            if is_last:
                return
            time.sleep(0.002)

    with stream(settling.target, bodies()) as call:
        answers = []
        while not answers or answers[-1].verdict != FINAL:
            answers.append(pb.AnalyzeResponse.FromString(next(call)))
        settled.set()
        rest, end = read(call)
    assert end.code() is grpc.StatusCode.OK
    provisional, final = split([*answers, *rest])
    assert len(provisional) == len(final)
    assert any(one.verdict == PROVISIONAL for one in rest)
    assert [one.file_id for one in final] == [one.file_id for one in provisional]


def test_of_two_scans_in_one_second_the_first_is_flagged_by_revision(patient: Gateway) -> None:
    at_once, settled = map(found, asked(patient, twins(5002)))
    assert "epc_dup" not in at_once.get(4, [])
    assert "epc_dup" in at_once[5]
    assert "epc_dup" in settled[4]
    assert "epc_dup" in settled[5]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulated world with missed scans and blind gates."""
    folder = tmp_path_factory.mktemp("settling")
    simulate(folder, 3_000, seed=5)
    return folder


def test_a_missed_scan_explains_by_revision_what_looked_wrong(patient: Gateway, world: Path) -> None:
    events = read_files(raw_files([world])).events
    truth = load_truth(world / "truth.parquet", events)
    noise = dict(zip(events.event_id.tolist(), truth.details["noise"].tolist(), strict=True))
    wrong = dict(zip(events.event_id.tolist(), (truth.labels >= 0.5).any(axis=1).tolist(), strict=True))
    order = np.lexsort((events.event_id, events.time_us))
    bodies = []
    for begin in range(0, len(order), 100):
        piece = events.take(order[begin : begin + 100])
        piece.file_id[:] = 1
        body = encode_request(piece, DetectorName.LSTM, OperatingPoint.SENSITIVE)
        bodies.append(body.SerializeToString())
    at_once, settled = (found(answers).keys() for answers in asked(patient, bodies))

    def excused(flagged: set[int]) -> set[int]:
        return {one for one in flagged if noise[one] in ("missed_scan", "blind_gate") and not wrong[one]}

    assert len(excused(at_once)) >= 10
    assert len(excused(settled)) <= len(excused(at_once)) / 4
    hits, false_alarms = (
        [len([one for one in each if wrong[one] == is_wrong]) for each in (at_once, settled)]
        for is_wrong in (True, False)
    )
    assert hits[1] >= hits[0]
    assert false_alarms[1] < false_alarms[0] / 2


def test_without_the_setting_nothing_changes(gateway: Gateway, patient: Gateway) -> None:
    # Without the history: of traffic each of the two gateways knows what other tests have sent it.
    others = [pb.AnalyzeRequest(data=one.data, history=pb.HISTORY_USE_OFF) for one in (FORGED, many(30))]
    bodies = [*journey(5101, pb.HISTORY_USE_OFF), *(one.SerializeToString() for one in others)]
    with stream(gateway.target, bodies) as call:
        expected = list(call)
    assert len(expected) == len(bodies)
    assert all(plain(pb.AnalyzeResponse.FromString(raw)) == raw for raw in expected)
    assert [plain(answer) for answer in asked(patient, bodies)[0]] == expected


@pytest.mark.parametrize("detector", ["RULES", "LSTM"])
def test_a_request_that_is_sent_again_gets_its_provisional_answer_and_no_older_final_one(
    recalling: Gateway, detector: str
) -> None:
    before, first, second = twins(5000 + len(detector), pb.Detector.Value(f"DETECTOR_{detector}"))
    [_, early], [_, early_final] = asked(recalling, [before, first])
    assert "epc_dup" not in found([early_final]).get(4, [])
    [_, later, repeated], [*_, repeated_final] = asked(recalling, [second, first, first])
    assert plain(early) == plain(later) == plain(repeated)
    assert "epc_dup" in found([repeated_final])[4]


@pytest.mark.parametrize("detector", ["LSTM", "SVM", "ENSEMBLE"])
def test_at_two_places_in_one_second_the_later_one_is_flagged_and_then_both(recalling: Gateway, detector: str) -> None:
    before, first, second = twins(6004 + len(detector), pb.Detector.Value(f"DETECTOR_{detector}"))
    provisional, final = asked(recalling, [before, first, second])
    assert ["epc_dup" in found([provisional[at]]).get(3 + at, []) for at in (1, 2)] == [False, True]
    assert ["epc_dup" in found([final[at]]).get(3 + at, []) for at in (1, 2)] == [True, True]


def test_without_history_the_final_answer_is_what_analyze_says_of_the_request(patient: Gateway) -> None:
    bodies = [*journey(5005, pb.HISTORY_USE_OFF), many(100).SerializeToString()]
    for body in bodies:
        one = pb.AnalyzeRequest.FromString(body)
        one.history = pb.HISTORY_USE_OFF
        [final] = asked(patient, [one.SerializeToString()])[1]
        assert plain(final) == analyze(patient.target, one).SerializeToString()


def test_the_final_answers_are_what_analyze_says_of_all_events(patient: Gateway) -> None:
    scans = [one for body in (*twins(5005), *journey(5010)) for one in pb.AnalyzeRequest.FromString(body).data]
    whole = request(*scans, *many(100).data)
    for at, one in enumerate(whole.data):
        one.event_id = 1000 + at
    parts = [whole.data[at : at + 13] for at in range(0, len(whole.data), 13)]
    _, finals = asked(patient, [request(*part).SerializeToString() for part in parts])
    findings = list(analyze(patient.target, whole).event_history)
    assert findings
    assert [one for final in finals for one in final.event_history] == findings


def test_findings_of_final_answers_say_why_and_ensembles_keep_their_members(patient: Gateway) -> None:
    bodies = []
    for body in [*journey(5006), FORGED.SerializeToString()]:
        one = pb.AnalyzeRequest.FromString(body)
        one.detector, one.explain = pb.DETECTOR_ENSEMBLE, True
        bodies.append(one.SerializeToString())
    _, final = asked(patient, bodies)
    assert len(final[-1].event_history) == len(FORGED.data)
    for answer in final:
        assert answer.HasField("ml_summary_stats")
        for finding in answer.event_history:
            assert finding.HasField("ml_combined_score")
            assert finding.epc_fake_reason or finding.jump_reason or finding.loc_err_reason


def test_the_client_of_replays_takes_the_first_answers(settling: Gateway) -> None:
    line = GatewayStream(settling.target, give_up_s=10, on_retry=lambda: None)
    for body in journey(5009):
        line.send(pb.AnalyzeRequest.FromString(body))
        answered = line.receive()
        assert answered.request == pb.AnalyzeRequest.FromString(body)
        assert answered.response.verdict == PROVISIONAL
        time.sleep(SETTLE_S / 2)
    line.finish()
    line.close()


def test_a_caller_who_leaves_gets_nothing_and_leaves_nothing(settling: Gateway) -> None:
    with talk(settling.target, "left") as (ask, _):
        assert ask(journey(5007)[0]).verdict == PROVISIONAL
    assert line_of(settling, "left")["code"] == "CANCELLED"
    time.sleep(SETTLE_S * 1.5)
    assert not [line for line in settling.log() if line["level"] == "error"]
    assert settling.health() == "SERVING"


def test_an_unusable_request_ends_the_stream_without_final_answers(patient: Gateway) -> None:
    with stream(patient.target, [*numbered(2), request().SerializeToString()]) as call:
        answers, end = read(call)
    assert end.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert [one.verdict for one in answers] == [PROVISIONAL] * 2


def test_a_gateway_that_drains_settles_first(start_gateway: Callable[..., Gateway]) -> None:
    running = start_gateway("--settle-s", "3600")
    with talk(running.target) as (ask, call):
        asked_for = [ask(body) for body in journey(5008)]
        running.terminate()
        answers, end = read(call)
    assert end.code() is grpc.StatusCode.UNAVAILABLE
    assert [(one.verdict, one.request_number) for one in answers] == [(FINAL, at) for at in range(len(asked_for))]
    assert running.wait() == 0


def test_without_room_the_oldest_settle_early() -> None:
    async def waits() -> None:
        room = Room(most=25)
        one, other = Settling(60, room), Settling(60, room)
        for number in range(2):
            one.add(number, b"0123456789")
        assert 60 <= one.left_s() <= 67.5
        assert one.take() == []
        other.add(0, b"0123456789")
        assert one.left_s() == 0
        assert [each.number for each in one.take()] == [0]
        assert one.take() == other.take() == []
        other.close()
        assert [each.number for each in one.take(every=True)] == [1]
        assert (room.used, one.left_s()) == (0, None)

    asyncio.run(waits())


def test_requests_are_judged_at_once_if_they_ask_the_same_from_one_history() -> None:
    events = worlds.to_events(worlds.normal_scans()[:2])
    asks = [
        (DetectorName.LSTM, None),
        (DetectorName.RULES, None),
        (DetectorName.LSTM, None),
        (DetectorName.LSTM, False),
    ]
    assert alike([Question(events, *ask) for ask in [*asks, asks[-1]]]) == [[0, 2], [1], [3], [4]]
