"""Messages to columns and back."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
from google.protobuf.json_format import MessageToJson
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from service.api.requests import _PART_BYTES, _parts, decode_request, encode_request
from service.api.responses import build_responses
from service.detect.analyzer import Verdicts
from service.errors import InvalidRequest
from service.events.columns import Events
from service.events.vocabulary import EVENT_TYPES, KINDS, LEVELS, UNKNOWN
from service.pb.epcsentinel.v1 import anomaly_pb2 as pb
from tests.support.requests import NORMAL_CODE, many, request, scan

FAKE, DUP, LOC, ORDER, JUMP = range(len(KINDS))


def decode(body: pb.AnalyzeRequest, *, max_events: int = 50_000, one_file: bool = False) -> Events:
    return decode_request(body.SerializeToString(), max_events=max_events, one_file=one_file)[0]


def violations(body: pb.AnalyzeRequest, *, max_events: int = 50_000, one_file: bool = True) -> list[tuple[str, str]]:
    with pytest.raises(InvalidRequest) as caught:
        decode(body, max_events=max_events, one_file=one_file)
    return caught.value.violations


def verdicts(flags: NDArray[np.bool_], scores: NDArray[np.float32] | None = None) -> Verdicts:
    scores = np.where(flags, 0.9, 0.1).astype(np.float32) if scores is None else scores
    return Verdicts(scores, flags, "lstm-deep-learning", "", "")


# ---------------------------------------------------------------- large messages


def test_a_large_message_is_parsed_in_parts_and_is_the_same() -> None:
    body = many(6_000, pb.DETECTOR_RULES)
    raw = body.SerializeToString()
    parts = list(_parts(raw))
    assert len(parts) > 3
    assert max(map(len, parts)) <= 2 * _PART_BYTES
    merged = pb.AnalyzeRequest()
    for part in parts:
        merged.MergeFromString(part)
    assert merged == body


@pytest.mark.parametrize("at", [0, 2_500, 5_999])
def test_a_large_message_with_a_long_event_is_the_same(at: int) -> None:
    body = many(6_000)
    body.data[at].epc_code = "x" * 100_000
    assert decode(body).epc_codes == list(dict.fromkeys(scan.epc_code for scan in body.data))


def test_a_large_message_that_is_none_is_refused() -> None:
    raw = bytearray(many(6_000).SerializeToString())
    raw[3 * _PART_BYTES] ^= 0xFF
    for damaged in (bytes(raw), bytes(raw[:-3]), b"\xff" * len(raw), b"\n" * len(raw)):
        with pytest.raises(InvalidRequest, match=r"request|UTF-8"):
            decode_request(damaged, max_events=50_000, one_file=False)


# ---------------------------------------------------------------- requests

int64 = st.integers(-(2**63), 2**63 - 1)
# Surrogates cannot travel in protobuf strings.
codes = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
scans = st.builds(
    lambda epc_code, location_id, step, event_type, time_us, file_id: scan(
        0,
        epc_code=epc_code,
        location_id=location_id,
        business_step=step,
        event_type=event_type,
        seconds=time_us // 10**6,
        nanos=time_us % 10**6 * 1000,
        file_id=file_id,
    ),
    codes,
    int64,
    st.sampled_from((*LEVELS, "")),
    st.sampled_from((*EVENT_TYPES, "")),
    st.integers(-62_135_596_800 * 10**6, 253_402_300_799 * 10**6),
    int64,
)


@given(st.lists(scans, min_size=1, max_size=8), st.sampled_from(["lstm", "rules", "svm", "ensemble"]))
def test_what_the_client_encodes_is_what_the_server_decodes(events: list[pb.ScanEvent], detector: str) -> None:
    for event_id, event in enumerate(events):
        event.event_id = event_id
    first = decode(request(*events))
    raw = encode_request(first, detector).SerializeToString()
    second, name, _ = decode_request(raw, max_events=10, one_file=False)
    assert name == detector
    assert list(second.epc_codes) == list(first.epc_codes)
    for column in ("event_id", "epc", "location_id", "step", "event_type", "time_us", "file_id"):
        np.testing.assert_array_equal(getattr(first, column), getattr(second, column))


def test_columns_hold_what_the_messages_say() -> None:
    events = decode(
        request(
            scan(5, location_id=13, business_step="wms ", event_type="WMS_Inbound", seconds=-1, nanos=999_999_999),
            scan(3, epc_code="", business_step="?", event_type="?", seconds=1, nanos=1_999, file_id=8),
            scan(4),
        )
    )
    assert events.event_id.tolist() == [5, 3, 4]
    assert list(events.epc_codes) == [NORMAL_CODE, ""]
    assert events.epc.tolist() == [0, 1, 0]
    assert events.location_id.tolist() == [13, 1, 1]
    assert events.step.tolist() == [LEVELS.index("WMS"), UNKNOWN, 0]
    assert events.event_type.tolist() == [EVENT_TYPES.index("WMS_Inbound"), UNKNOWN, 0]
    assert events.time_us.tolist()[:2] == [-1, 1_000_001]
    assert events.file_id.tolist() == [1, 8, 1]


def test_all_violations_come_in_one_answer_and_name_their_fields() -> None:
    timeless = scan(1)
    timeless.ClearField("event_time")
    found = violations(request(timeless, scan(2, nanos=10**9), scan(2), scan(4, file_id=2), scan(2)))
    assert [field for field, _ in found] == [
        "data[0].event_time",
        "data[1].event_time",
        "data[2].event_id",
        "data[4].event_id",
        "data[3].file_id",
    ]
    assert "data[1]" in dict(found)["data[4].event_id"]
    assert "AnalyzeFiles" in dict(found)["data[3].file_id"]


def test_midnight_of_1970_is_a_time_like_any_other() -> None:
    assert decode(request(scan(1, seconds=0))).time_us.tolist() == [0]


@pytest.mark.parametrize(("seconds", "valid"), [
    (-62_135_596_800, True), (-62_135_596_801, False), (253_402_300_799, True), (253_402_300_800, False),
])  # fmt: skip
def test_times_are_those_of_the_years_1_to_9999(seconds: int, valid: bool) -> None:
    body = request(scan(1, seconds=seconds))
    if valid:
        assert decode(body).time_us.tolist() == [seconds * 10**6]
    else:
        assert violations(body)[0][0] == "data[0].event_time"


def test_the_limit_is_inclusive() -> None:
    assert len(decode(many(20), max_events=20)) == 20
    assert violations(many(21), max_events=20) == [("data", "has 21 events, the limit is 20: send several requests")]


# ---------------------------------------------------------------- responses


def test_the_json_is_the_shape_that_the_backend_stores() -> None:
    events = decode(request(scan(12347), scan(12348)))
    flags = np.zeros((2, 5), dtype=np.bool_)
    flags[0, [FAKE, LOC]] = True
    scores = np.full((2, 5), 0.2, dtype=np.float32)
    scores[0, [FAKE, LOC]] = 0.921, 0.786
    [answer] = build_responses(events, verdicts(flags, scores))
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
    [answer] = build_responses(decode(many(5)), verdicts(np.zeros((5, 5), dtype=np.bool_)))
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
    seven, three, five = build_responses(decode(body), verdicts(flags))
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
    answers = build_responses(events, verdicts(flags))
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
        started = time.perf_counter()
        build_responses(columns, verdicts(flags))
        return time.perf_counter() - started

    assert seconds(np.arange(count)) < 10 * seconds(np.zeros(count, dtype=np.int64)) + 0.5
