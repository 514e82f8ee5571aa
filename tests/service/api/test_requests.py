"""Messages to columns and back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.api.requests import decode_request, encode_request
from service.detect.names import DetectorName
from service.errors import InvalidRequest
from service.events.columns import Events
from service.events.vocabulary import EVENT_TYPES, LEVELS, UNKNOWN, OperatingPoint
from service.pb.epcsentinel.v1 import anomaly_pb2 as pb
from tests.support.requests import NORMAL_CODE, many, request, scan


def decode(body: pb.AnalyzeRequest, *, max_events: int = 50_000, one_file: bool = False) -> Events:
    return decode_request(body.SerializeToString(), max_events=max_events, one_file=one_file)[0]


def violations(body: pb.AnalyzeRequest, *, max_events: int = 50_000, one_file: bool = True) -> list[tuple[str, str]]:
    with pytest.raises(InvalidRequest) as caught:
        decode(body, max_events=max_events, one_file=one_file)
    return caught.value.violations


@pytest.mark.parametrize("at", [0, 2_500, 5_999])
def test_a_large_message_with_a_long_event_is_the_same(at: int) -> None:
    body = many(6_000)
    body.data[at].epc_code = "x" * 100_000
    assert decode(body).epc_codes == list(dict.fromkeys(scan.epc_code for scan in body.data))


def test_a_large_message_that_is_none_is_refused() -> None:
    raw = bytearray(many(6_000).SerializeToString())
    raw[300_000] ^= 0xFF
    for damaged in (bytes(raw), bytes(raw[:-3]), b"\xff" * len(raw), b"\n" * len(raw)):
        with pytest.raises(InvalidRequest, match=r"request|UTF-8"):
            decode_request(damaged, max_events=50_000, one_file=False)


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


@given(
    st.lists(scans, min_size=1, max_size=8),
    st.sampled_from(["lstm", "rules", "svm", "ensemble"]),
    st.sampled_from([None, *OperatingPoint]),
)
def test_what_the_client_encodes_is_what_the_server_decodes(
    events: list[pb.ScanEvent], detector: str, asked: OperatingPoint | None
) -> None:
    for event_id, event in enumerate(events):
        event.event_id = event_id
    first = decode(request(*events))
    raw = encode_request(first, detector, asked, explain=True).SerializeToString()
    second, name, _, point, explain = decode_request(raw, max_events=10, one_file=False)
    assert (name, point, explain) == (detector, asked, True)
    assert list(second.epc_codes) == list(first.epc_codes)
    for column in ("event_id", "epc", "location_id", "step", "event_type", "time_us", "file_id"):
        np.testing.assert_array_equal(getattr(first, column), getattr(second, column))


@pytest.mark.parametrize("hours", [-9, 0, 3])
def test_a_null_date_of_a_site_east_of_utc_is_sent_as_the_first_time_that_there_is(hours: int) -> None:
    """`0001-01-01` where clocks are ahead is a time of the year 0, which the contract does not have."""
    events = decode(request(scan(1)))
    sent = replace(events, time_us=events.time_us * 0 + (-62_135_596_800 + hours * 3_600) * 10**6)
    [told] = encode_request(sent, DetectorName.LSTM).data
    assert told.event_time.ToJsonString() == f"0001-01-01T{max(hours, 0):02}:00:00Z"


def test_an_operating_point_that_there_is_not_is_refused_by_the_name_of_its_field() -> None:
    body = request(scan(1))
    body.operating_point = 4
    assert violations(body) == [("operating_point", "4 is not a value of epcsentinel.v1.OperatingPoint")]


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
