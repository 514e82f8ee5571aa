"""The reader of requests against protobuf's own parser, on messages that nobody would send."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest
from google.protobuf.internal import encoder
from google.protobuf.message import DecodeError
from hypothesis import example, given, settings
from hypothesis import strategies as st

from service.api.wire import CODE, EVENT_ID, FILE_ID, LOCATION_ID, NANOS, SECONDS, STEP, TYPE, NotPlain, WireScans
from service.pb.epcsentinel.v1 import anomaly_pb2 as pb
from tests.support.processes import spends_less
from tests.support.requests import many

_INTS = {"event_id": EVENT_ID, "location_id": LOCATION_ID, "file_id": FILE_ID}
_TEXTS = {"epc_code": CODE, "business_step": STEP, "event_type": TYPE}
_SCALARS = ("detector", "history", "explain", "operating_point")

_VARINT = encoder._VarintEncoder()  # type: ignore[attr-defined]  # how the library itself writes them


def _number(value: int) -> bytes:
    parts: list[bytes] = []
    _VARINT(parts.append, value)
    return b"".join(parts)


def _sized(content: bytes) -> bytes:
    return _number(len(content)) + content


def _field(number: int, kind: int, content: bytes) -> bytes:
    return _number(number << 3 | kind) + content


_ANY_NUMBER = st.sampled_from([0, 1, 2, 127, 128, 2**31 - 1, 2**31, 2**32 + 5, 2**63 - 1, 2**63, 2**64 - 1])
_OVERLONG = st.sampled_from(
    [b"\x80\x00", b"\xff" * 9 + b"\x01", b"\xff" * 9 + b"\x02", b"\x80" * 10, b"\xff" * 11, b""]
)
_TEXT = st.sampled_from(
    [b"", b"WMS_Inbound", "제품".encode(), b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"x" * 200, b"a\0"]
)


def _fields(known: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """Return bytes of a message: known fields and others, in any order, as often as it comes."""
    numbers = st.sampled_from([1, 2, 3, 4, 5, 6, 7, 8, 15, 16, 2_047, 2**29 - 1])
    others = st.one_of(
        st.builds(lambda number, value: _field(number, 0, _number(value)), numbers, _ANY_NUMBER),
        st.builds(lambda number, value: _field(number, 0, value), numbers, _OVERLONG),
        st.builds(lambda number, value: _field(number, 2, _sized(value)), numbers, _TEXT),
        st.builds(lambda number: _field(number, 1, b"12345678"), numbers),
        st.builds(lambda number: _field(number, 5, b"1234"), numbers),
        st.builds(lambda number: _field(number, 3, _field(1, 0, b"\x01") + _field(number, 4, b"")), numbers),
        st.sampled_from([b"", b"\x00", b"\x07", b"\x0c", b"\x0a\xff\xff\xff\xff\x7f", b"\x09123"]),
    )
    return st.lists(st.one_of(known, known, known, others), max_size=6).map(b"".join)


_TIME = _fields(
    st.builds(lambda number, value: _field(number, 0, _number(value)), st.sampled_from([1, 2]), _ANY_NUMBER)
)
_EVENT = _fields(
    st.one_of(
        st.builds(lambda number, value: _field(number, 0, _number(value)), st.sampled_from([1, 3, 7]), _ANY_NUMBER),
        st.builds(lambda number, value: _field(number, 2, _sized(value)), st.sampled_from([2, 4, 5]), _TEXT),
        _TIME.map(lambda time: _field(6, 2, _sized(time))),
    )
)
_MESSAGE = _fields(
    st.one_of(
        _EVENT.map(lambda event: _field(1, 2, _sized(event))),
        st.builds(lambda number, value: _field(number, 0, _number(value)), st.sampled_from([2, 3, 4, 5]), _ANY_NUMBER),
    )
)


def _read(raw: bytes) -> WireScans | None:
    try:
        scans = WireScans(raw)
        scans.read()
        for row in _TEXTS.values():
            scans.text(row)
    except NotPlain:
        return None
    return scans


def _as_read_by_protobuf(scans: WireScans, message: pb.AnalyzeRequest) -> None:
    assert len(scans) == len(message.data)
    for name, row in _INTS.items():
        assert scans.ints[row].tolist() == [getattr(event, name) for event in message.data]
    assert scans.ints[SECONDS].tolist() == [event.event_time.seconds for event in message.data]
    assert scans.ints[NANOS].tolist() == [event.event_time.nanos for event in message.data]
    assert scans.has_time.astype(bool).tolist() == [event.HasField("event_time") for event in message.data]
    for name, row in _TEXTS.items():
        number, texts = scans.text(row)
        said = [getattr(event, name) for event in message.data]
        assert [texts[at] for at in number.tolist()] == said
        assert texts == list(dict.fromkeys(said))
    for name in _SCALARS:
        bits = scans.scalar[message.DESCRIPTOR.fields_by_name[name].number]
        said = getattr(message, name)
        assert (bool(bits) if name == "explain" else int(np.int64(bits).astype(np.int32))) == said


def _differential(raw: bytes) -> None:
    scans, message = _read(raw), pb.AnalyzeRequest()
    try:
        message.MergeFromString(raw)
    except DecodeError:
        assert scans is None, "it is no message, and was read as one"
        return
    if scans is None:  # a group: what is left without it has to be read
        message.DiscardUnknownFields()
        scans = _read(message.SerializeToString())
    assert scans is not None
    _as_read_by_protobuf(scans, message)


@settings(max_examples=1_500, deadline=None)
@given(raw=_MESSAGE)
@example(raw=b"")
@example(raw=b"\x0a\x00")
@example(raw=bytes.fromhex("9a808080800000"))
@example(raw=bytes.fromhex("8a808080800000"))
@example(raw=bytes.fromhex("0a061201ff120161"))
def test_messages_of_any_fields_are_read_as_protobuf_reads_them(raw: bytes) -> None:
    _differential(raw)


@settings(max_examples=1_500, deadline=None)
@given(data=st.data())
def test_damaged_messages_are_read_as_protobuf_reads_them_or_refused(data: st.DataObject) -> None:
    raw = bytearray(many(12).SerializeToString())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(raw) - 1))
        change: Callable[[], object] = data.draw(
            st.sampled_from(
                [
                    lambda at=at: raw.__delitem__(at),
                    lambda at=at: raw.insert(at, 0x80),
                    lambda at=at: raw.__setitem__(at, 0xFF),
                ]
            )
        )
        change()
    _differential(bytes(raw[: data.draw(st.integers(0, len(raw)))]) if data.draw(st.booleans()) else bytes(raw))


def test_a_large_message_is_read_without_the_interpreter_and_is_the_same() -> None:
    body = many(6_000, pb.DETECTOR_RULES)
    _differential(body.SerializeToString())


@pytest.mark.parametrize("cut", [1, 2, 10, 40, 41])
def test_a_message_that_ends_early_is_not_read(cut: int) -> None:
    assert _read(many(3).SerializeToString()[:-cut]) is None


_ALIKE = (b"+ &|>^pG", b"TV@f^0wg")
"""Texts that FNV-1a takes to the same slot from every state that ends in 0x41, and to such a state again."""


def test_no_texts_can_be_made_up_that_all_want_the_same_slot() -> None:
    """With a hash that is no secret as a whole, 8,192 of these took a second; one prefix of 256 brings it to 0x41."""
    many = [b"".join(_ALIKE[number >> bit & 1] for bit in range(13)) for number in range(8_192)]
    raws = {
        prefix: b"".join(_field(1, 2, _sized(_field(2, 2, _sized(bytes([prefix]) + text)))) for text in many[::4])
        for prefix in range(1, 256)
    }
    spent_s = []
    for prefix, raw in raws.items():
        began_s = time.thread_time()
        assert _read(raw) is None or prefix < 0x80
        spent_s.append(time.thread_time() - began_s)
    limit_s = 50 * float(np.median(spent_s))
    assert all(spends_less(limit_s, lambda raw=raw: _read(raw)) for raw in raws.values())
