"""Requests for the tests: plain journeys in the domain's own words."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import grpc
from google.protobuf.json_format import Parse

from service.pb.epcsentinel.v1 import anomaly_pb2 as pb
from tests.support.gateway import ROOT

KIND_FIELDS = ("epc_fake", "epc_dup", "loc_err", "evt_order_err", "jump")

NORMAL_CODE = "001.8804823.1293291.010004.20250701.000004002"

Metadata = Sequence[tuple[str, str]]

_START = int(datetime(2025, 7, 1, 10, 34, 17, tzinfo=UTC).timestamp())


def scan(event_id: int, **fields: object) -> pb.ScanEvent:
    """Return a scan; by default an aggregation at location 1, one minute per event_id after 2025-07-01 10:34:17."""
    event = pb.ScanEvent(
        event_id=event_id,
        epc_code=NORMAL_CODE,
        location_id=1,
        business_step="Factory",
        event_type="Aggregation",
        file_id=1,
    )
    event.event_time.seconds = _START + 60 * event_id
    for name, value in fields.items():
        if name in ("seconds", "nanos"):
            setattr(event.event_time, name, value)
        else:
            setattr(event, name, value)
    return event


def request(
    *events: pb.ScanEvent,
    detector: pb.Detector.ValueType = pb.DETECTOR_UNSPECIFIED,
    history: pb.HistoryUse.ValueType = pb.HISTORY_USE_UNSPECIFIED,
) -> pb.AnalyzeRequest:
    """Return a request of the events."""
    return pb.AnalyzeRequest(data=events, detector=detector, history=history)


def many(count: int, detector: pb.Detector.ValueType = pb.DETECTOR_UNSPECIFIED) -> pb.AnalyzeRequest:
    """Return a request of ``count`` events of five-event EPCs."""
    events = (scan(at, epc_code=f"{NORMAL_CODE[:36]}{at // 5:09d}") for at in range(count))
    return request(*events, detector=detector)


def call(target: str, method: str, body: bytes, timeout: float = 60, metadata: Metadata = ()) -> bytes:
    """Call a method of AnomalyService with raw bytes and return the raw answer."""
    with grpc.insecure_channel(target, options=[("grpc.max_receive_message_length", -1)]) as channel:
        return bytes(
            channel.unary_unary(f"/epcsentinel.v1.AnomalyService/{method}")(body, timeout=timeout, metadata=metadata)
        )


def crowd(target: str, body: bytes, callers: int) -> tuple[int, list[grpc.RpcError]]:
    """Have so many callers send a body again and again until one of them is refused, however fast each is answered.

    Return how many calls were answered, and the refusals.
    """
    refusals: list[grpc.RpcError] = []

    def go_on(_number: int) -> int:
        own = 0
        while not refusals:
            try:
                call(target, "Analyze", body)
                own += 1
            except grpc.RpcError as error:
                refusals.append(error)
        return own

    with ThreadPoolExecutor(callers) as pool:
        return sum(pool.map(go_on, range(callers))), refusals


def analyze(target: str, body: pb.AnalyzeRequest, metadata: Metadata = ()) -> pb.AnalyzeResponse:
    return pb.AnalyzeResponse.FromString(call(target, "Analyze", body.SerializeToString(), metadata=metadata))


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
