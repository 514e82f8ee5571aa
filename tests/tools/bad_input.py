"""Requests that are unusable or strange, and how the gateway answers each.

``python -m tests.tools.bad_input HOST:PORT`` sends them to a running gateway and prints the table.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import UTC, datetime

import grpc
from google.protobuf.json_format import MessageToDict

from service.pb.epcsentinel.v1 import anomaly_pb2 as pb
from tests.support.requests import call, many, request, scan

_1970 = 0
_2100 = int(datetime(2100, 1, 1, tzinfo=UTC).timestamp())


def _without_time(event_id: int) -> pb.ScanEvent:
    event = scan(event_id)
    event.ClearField("event_time")
    return event


@dataclass(frozen=True)
class Case:
    """A request and its status; ``says`` is in the message of an error, ``kinds`` are flagged in an answer."""

    name: str
    body: bytes
    code: grpc.StatusCode
    says: str = ""
    fields: tuple[str, ...] = ()  # of the BadRequest details
    kinds: tuple[str, ...] = ()
    method: str = "Analyze"


def _bad(name: str, body: pb.AnalyzeRequest | bytes, says: str, *fields: str) -> Case:
    raw = body if isinstance(body, bytes) else body.SerializeToString()
    return Case(name, raw, grpc.StatusCode.INVALID_ARGUMENT, says, fields)


def _data(name: str, body: pb.AnalyzeRequest, *kinds: str, method: str = "Analyze") -> Case:
    return Case(name, body.SerializeToString(), grpc.StatusCode.OK, kinds=kinds, method=method)


CASES = (
    _bad("empty request", b"", "data: is empty", "data"),
    _bad("missing time", request(scan(1), _without_time(2)), "data[1].event_time: is missing", "data[1].event_time"),
    _bad(
        "duplicate ids",
        request(scan(7), scan(8), scan(7)),
        "data[2].event_id: 7 is the event_id of data[0] too",
        "data[2].event_id",
    ),
    _bad("two file ids", request(scan(1), scan(2, file_id=2)), "use AnalyzeFiles", "data[1].file_id"),
    _bad("100,000 events", many(100_000), "has 100000 events, the limit is 50000", "data"),
    _bad("garbage bytes", b"\xff\x00garbage\x07" * 9, "not a valid epcsentinel.v1.AnalyzeRequest", "request"),
    _bad("invalid UTF-8", request(scan(1, epc_code="AAAA")).SerializeToString().replace(b"AAAA", b"\xff" * 4),
         "not a valid epcsentinel.v1.AnalyzeRequest", "request"),
    _bad("unknown detector", pb.AnalyzeRequest(data=[scan(1)], detector=99), "99 is not a value", "detector"),  # type: ignore[arg-type]
    _bad("unknown history", pb.AnalyzeRequest(data=[scan(1)], history=9), "9 is not a value", "history"),  # type: ignore[arg-type]
    _bad("time before year 1", request(scan(1, seconds=-(2**62))), "outside the years", "data[0].event_time"),
    _bad("negative nanos", request(scan(1, nanos=-1)), "-1 nanos is outside", "data[0].event_time"),
    _bad(
        "several errors",
        request(_without_time(1), scan(2, nanos=-1), scan(1)),
        "data[0].event_time: is missing",
        "data[0].event_time", "data[1].event_time", "data[2].event_id",
    ),
    _data("unknown location", request(scan(1, location_id=999_999))),
    _data("empty epc code", request(scan(1, epc_code="")), "epcFake"),
    _data("10 kB epc code", request(scan(1, epc_code="7" * 10_240)), "epcFake"),
    _data("time in 1970", request(scan(1, seconds=_1970))),
    _data("time in 2100", request(scan(1, seconds=_2100))),
    _data("unknown step and type", request(scan(1, business_step="?", event_type=""))),
    _data("two file ids", request(scan(1), scan(2, file_id=2)), method="AnalyzeFiles"),
)  # fmt: skip


def main(target: str) -> None:
    """Send every case to ``target`` and print how it is answered."""
    for case in CASES:
        try:
            raw = call(target, case.method, case.body)
        except grpc.RpcError as error:
            print(f"{case.name:22} {case.method:13} {error.code().name:17} {error.details()}")
            continue
        kind = pb.AnalyzeFilesResponse if case.method == "AnalyzeFiles" else pb.AnalyzeResponse
        findings = str(MessageToDict(kind.FromString(raw)).get("EventHistory", "nothing found"))
        print(f"{case.name:22} {case.method:13} {'OK':17} {findings}")


if __name__ == "__main__":
    main(sys.argv[1])
