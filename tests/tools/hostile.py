"""Requests that somebody sends who means harm: valid messages with hostile contents, broken bytes, forged tokens."""

from __future__ import annotations

import random
import string
from collections.abc import Callable

from service.pb.epcsentinel.v1 import anomaly_pb2 as pb
from tests.support.requests import NORMAL_CODE, Metadata, many, request, scan

_INT64 = (0, 1, -1, 2**31 - 1, 2**31, -(2**31), 2**53, 2**63 - 1, -(2**63))
_SECONDS = (0, 1, -1, 1_751_366_057, 253_402_300_799, -62_135_596_800, 253_402_300_800, -62_135_596_801, *_INT64)
_LEGAL_SECONDS = 6  # of them the first ones are of the years 1 to 9999
_NANOS = (0, 1, -1, 999_999_999, 1_000_000_000, 2**31 - 1, -(2**31))
_TEXTS = (
    "",
    NORMAL_CODE,
    "0" * 45,
    "." * 5_000,
    "7" * 100_000,
    "001.8804823.1293291.010004.20250230.000004002",
    "001.8804823.1293291.010004.99999999.000004002",
    "\u0660\u0660\u0661.8804823.1293291.010004.20250701.000004002",  # Arabic digits: str.isdigit() is true
    "²" * 9,
    "-01.+804823. 293291.1_0004.20250701.00000400e",
    "\x00",
    "\u202e\u0000\ufeff\U0010ffff",
    "e\u0301" * 400,
    "../../../../etc/passwd",
    "${jndi:ldap://x/y}%s%n%x{0}{0.__class__}",
    "'; DROP TABLE scan; --",
    "<script>alert(1)</script>",
    '{"a": [',
    "Factory",
    "WMS_Inbound",
    "\r\nlevel=info event=forged",
)


def hostile(rng: random.Random) -> bytes:
    """Return a valid AnalyzeRequest with contents that nobody expects."""
    message = pb.AnalyzeRequest(data=(_spoilt(rng, _odd(rng, at)) for at in range(rng.choice((1, 1, 2, 3, 5, 20)))))
    if rng.random() < 0.2:
        message.detector = rng.choice((-1, 1, 2, 3, 4, 5, 2**31 - 1))  # type: ignore[assignment]
    if rng.random() < 0.2:
        message.history = rng.choice((-1, 1, 2, 3))  # type: ignore[assignment]
    if rng.random() < 0.2:
        message.operating_point = rng.choice((-1, 1, 2, 3, 4))  # type: ignore[assignment]
    message.explain = rng.random() < 0.3
    return message.SerializeToString()


def odd(rng: random.Random) -> bytes:
    """Return an AnalyzeRequest whose contents nobody expects, and which has to be answered all the same."""
    message = request(*(_odd(rng, at) for at in range(rng.choice((1, 2, 5, 20, 60)))))
    message.explain = rng.random() < 0.3
    message.detector = rng.choice((0, 1, 2, 3, 4))  # type: ignore[assignment]
    return message.SerializeToString()


def hostile_explain(rng: random.Random) -> bytes:
    """Return a valid ExplainRequest of such events."""
    events = [_odd(rng, at) for at in range(rng.choice((0, 1, 3)))]
    asked = (0, *_INT64, *(event.event_id for event in events))
    return pb.ExplainRequest(
        data=events, event_id=rng.choice(asked), detector=rng.choice((0, 1, 2, 3, 4))
    ).SerializeToString()


def large(rng: random.Random) -> bytes:
    """Return a request that is worth some work: some hundred events of one item, or of many."""
    if rng.random() < 0.5:
        return many(rng.randrange(100, 600)).SerializeToString()
    same_time = rng.random() < 0.5
    events = (scan(at, **({"seconds": 1_751_366_057} if same_time else {})) for at in range(rng.randrange(50, 300)))
    return request(*events).SerializeToString()


def _odd(rng: random.Random, number: int) -> pb.ScanEvent:
    """Return an event that is data, however strange."""
    event = scan(number)
    for field in ("epc_code", "business_step", "event_type"):
        if rng.random() < 0.4:
            setattr(event, field, _text(rng))
    if rng.random() < 0.2:
        event.location_id = rng.choice(_INT64)
    if rng.random() < 0.3:
        event.event_time.seconds = rng.choice(_SECONDS[:_LEGAL_SECONDS])
    return event


def _spoilt(rng: random.Random, event: pb.ScanEvent) -> pb.ScanEvent:
    """Change what makes an event unusable, now and then."""
    for field in ("file_id", "event_id"):
        if rng.random() < 0.1:
            setattr(event, field, rng.choice(_INT64))
    if rng.random() < 0.2:
        event.event_time.seconds = rng.choice(_SECONDS)
    if rng.random() < 0.1:
        event.event_time.nanos = rng.choice(_NANOS)
    if rng.random() < 0.05:
        event.ClearField("event_time")
    return event


def _text(rng: random.Random) -> str:
    if rng.random() < 0.7:
        return rng.choice(_TEXTS)
    return "".join(rng.choices(string.printable + "\u00e9\u4e2d\U0001f600", k=rng.randrange(60)))


def broken(rng: random.Random) -> bytes:
    """Return bytes that were a message once, or never."""
    body = bytearray(rng.choice((hostile, hostile_explain))(rng)[:4_000])
    for _ in range(rng.randrange(1, 6)):
        body = rng.choice(_DAMAGES)(rng, body)
    return bytes(body)


def _flip(rng: random.Random, body: bytearray) -> bytearray:
    if body:
        body[rng.randrange(len(body))] ^= 1 << rng.randrange(8)
    return body


def _cut(rng: random.Random, body: bytearray) -> bytearray:
    return body[: rng.randrange(len(body) + 1)]


def _insert(rng: random.Random, body: bytearray) -> bytearray:
    at = rng.randrange(len(body) + 1)
    return body[:at] + rng.randbytes(rng.randrange(1, 12)) + body[at:]


def _repeat(rng: random.Random, body: bytearray) -> bytearray:
    at = rng.randrange(len(body) + 1)
    return body[:at] + body[at : at + 50] * rng.randrange(2, 20) + body[at:]


def _huge_length(rng: random.Random, body: bytearray) -> bytearray:
    return body + rng.choice(
        (b"\x0a\xff\xff\xff\xff\x07", b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", b"\x0a\x80")
    )


def _nested_groups(rng: random.Random, body: bytearray) -> bytearray:
    return body + b"\x2b" * rng.randrange(1, 3_000)


def _noise(rng: random.Random, _body: bytearray) -> bytearray:
    return bytearray(rng.randbytes(rng.randrange(300)))


_DAMAGES: tuple[Callable[[random.Random, bytearray], bytearray], ...] = (
    _flip, _flip, _cut, _insert, _repeat, _huge_length, _nested_groups, _noise,
)  # fmt: skip


def bad_metadata(rng: random.Random, token: str) -> Metadata:
    """Return metadata whose token is none: ``token`` damaged, or something else."""
    at = rng.randrange(len(token))
    other = rng.choice(string.ascii_letters.replace(token[at], ""))
    value = rng.choice(
        (
            f"Bearer {token[:at]}{other}{token[at + 1 :]}",
            f"Bearer {token[:at]}",
            f"Bearer {token}{other}",
            f"Bearer{token}",
            f"Basic {token}",
            "Bearer " + "x" * rng.randrange(6_000),
            "Bearer " + ".".join(rng.randbytes(30).hex() for _ in range(3)),
            "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9.",
            "",
        )
    )
    return (("authorization", value),) if value else ()


def extra_metadata(rng: random.Random) -> Metadata:
    """Return further metadata, odd ones now and then."""
    if rng.random() < 0.9:
        return ()
    return rng.choice(
        (
            (("x-request-id", "a" * 3_000),),
            (("x-request-id", '"}\\n{"event": "forged"'),),
            (("x-request-id", "a"), ("x-request-id", "b")),
            (("x-noise-bin", rng.randbytes(100)),),  # type: ignore[arg-type]
            (("traceparent", "00-" + "f" * 500),),
            (("grpc-accept-encoding", "nonsense"),),
            (("accept-language", rng.choice(("ko", "ko-KR;q=x,,;", "*;q=-1", "../../ko", "x" * 2_000))),),
        )
    )
