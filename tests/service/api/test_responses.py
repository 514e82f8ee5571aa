"""Judgements to messages: the shape that the backend stores."""

from __future__ import annotations

import json
import time

import numpy as np
from google.protobuf.json_format import MessageToJson
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from service.api.requests import decode_request, encode_request
from service.api.responses import build_responses
from service.detect.detector import Judgement
from service.detect.names import DetectorName, Method
from service.events.columns import Events
from service.events.vocabulary import KINDS
from service.pb.epcsentinel.v1 import anomaly_pb2 as pb
from tests.support.requests import NORMAL_CODE, many, request, scan

FAKE, DUP, LOC, _ORDER, JUMP = range(len(KINDS))


def decode(body: pb.AnalyzeRequest) -> Events:
    return decode_request(body.SerializeToString(), max_events=50_000, one_file=False).events


def judgement(flags: NDArray[np.bool_], scores: NDArray[np.float32] | None = None) -> Judgement:
    scores = np.where(flags, 0.9, 0.1).astype(np.float32) if scores is None else scores
    return Judgement(scores, flags, Method.LSTM)


def test_the_json_is_the_shape_that_the_backend_stores() -> None:
    events = decode(request(scan(12347), scan(12348)))
    flags = np.zeros((2, 5), dtype=np.bool_)
    flags[0, [FAKE, LOC]] = True
    scores = np.full((2, 5), 0.2, dtype=np.float32)
    scores[0, [FAKE, LOC]] = 0.921, 0.786
    [answer] = build_responses(events, judgement(flags, scores))
    counts = {
        "totalEvents": 2, "jumpCount": 0, "evtOrderErrCount": 0, "epcFakeCount": 1, "epcDupCount": 0, "locErrCount": 1,
    }  # fmt: skip
    wanted = {
        "fileId": "1",
        "method": "lstm-deep-learning",
        "EventHistory": [
            {"eventId": "12347", "epcFake": True, "epcFakeScore": 92.1, "locErr": True, "locErrScore": 78.6}
        ],
        "epcAnomalyStats": [{"epcCode": NORMAL_CODE, **counts}],
        "fileAnomalyStats": counts,
    }
    assert MessageToJson(answer, indent=None) == json.dumps(wanted)  # keys in this order, too


def test_a_clean_answer_still_has_its_zeros() -> None:
    [answer] = build_responses(decode(many(5)), judgement(np.zeros((5, 5), dtype=np.bool_)))
    assert not answer.event_history
    assert not answer.epc_anomaly_stats
    assert MessageToJson(answer).count("Count") == 5
    assert answer.file_anomaly_stats.HasField("total_events")


def test_files_findings_and_epcs_keep_the_order_of_the_request() -> None:
    body = request(
        scan(1, file_id=7, epc_code="b"),
        scan(2, file_id=3, epc_code="c"),
        scan(3, file_id=7, epc_code="a"),
        scan(4, file_id=3, epc_code="b"),
        scan(5, file_id=5, epc_code="b"),
        scan(6, file_id=7, epc_code="b"),
    )
    flags = np.zeros((6, 5), dtype=np.bool_)
    flags[[0, 2, 3, 5], JUMP] = True
    flags[5, DUP] = True
    seven, three, five = build_responses(decode(body), judgement(flags))
    assert [answer.file_id for answer in (seven, three, five)] == [7, 3, 5]
    assert [finding.event_id for finding in seven.event_history] == [1, 3, 6]
    assert [(stats.epc_code, stats.jump_count, stats.epc_dup_count) for stats in seven.epc_anomaly_stats] == [
        ("b", 2, 1),
        ("a", 1, 0),
    ]
    assert (seven.file_anomaly_stats.total_events, three.file_anomaly_stats.total_events) == (4, 1)
    assert [stats.epc_code for stats in three.epc_anomaly_stats] == ["b"]
    assert not five.event_history


@given(st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_counts_are_those_of_the_findings(count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    events = decode(request(*(scan(at, file_id=at % 3, epc_code=str(at % 5)) for at in range(count))))
    flags = rng.random((count, 5)) < 0.3
    answers = build_responses(events, judgement(flags))
    assert sum(answer.file_anomaly_stats.total_events for answer in answers) == flags.sum()
    for answer in answers:
        assert sum(stats.total_events for stats in answer.epc_anomaly_stats) == answer.file_anomaly_stats.total_events
        assert all(stats.total_events > 0 for stats in answer.epc_anomaly_stats)
        assert answer.file_anomaly_stats.loc_err_count == sum(finding.loc_err for finding in answer.event_history)


def test_as_many_files_as_events_cost_no_more_than_one_file() -> None:
    count = 20_000
    events = decode(many(count))
    flags = np.zeros((count, 5), dtype=np.bool_)
    flags[:, LOC] = True

    def seconds(file_id: NDArray[np.int64]) -> float:
        columns = Events(
            events.event_id, events.epc, events.epc_codes, events.location_id, events.step, events.event_type,
            events.time_us, file_id,
        )  # fmt: skip
        took = []
        for _ in range(3):
            started = time.process_time()  # not what others of the machine do meanwhile
            build_responses(columns, judgement(flags))
            took.append(time.process_time() - started)
        return min(took)

    assert seconds(np.arange(count)) < 10 * seconds(np.zeros(count, dtype=np.int64)) + 0.5


def test_a_code_with_dirt_around_is_the_item_and_is_answered_as_it_was_sent() -> None:
    spellings = [NORMAL_CODE, f"]C1{NORMAL_CODE}", f"{NORMAL_CODE}\x1d"]
    body = request(*(scan(at, epc_code=code, file_id=1 + at // 2) for at, code in enumerate(spellings * 2)))
    events = decode(body)
    assert list(events.epc_codes) == [NORMAL_CODE]
    flags = np.zeros((6, 5), dtype=np.bool_)
    flags[[1, 3, 5], FAKE] = True
    answers = build_responses(events, judgement(flags))
    assert [stats.epc_code for answer in answers for stats in answer.epc_anomaly_stats] == [
        spellings[1], spellings[0], spellings[2],
    ]  # fmt: skip
    assert [answer.warning.partition(" have ")[0] for answer in answers] == ["1 of 2 events"] * 2 + ["2 of 2 events"]
    assert "']C1' before" in answers[0].warning
    again = encode_request(events, DetectorName.LSTM)
    assert [scan.epc_code for scan in again.data] == [scan.epc_code for scan in body.data]
    part = events.take(np.array([4, 5]))
    assert part.sent_codes(np.arange(2)) == spellings[1:]


def test_clean_codes_cost_no_spelling() -> None:
    events = decode(many(20))
    assert events.spelling is None
    assert events.sent_codes(np.array([0])) == [events.epc_codes[0]]
