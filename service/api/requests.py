"""AnalyzeRequest messages to columns and back; refuses unusable requests. `responses` beside it builds the answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter
from typing import Any, NamedTuple, TypeVar

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray

from service.detect.names import DetectorName as DetectorName  # noqa: PLC0414 - clients need this wing alone
from service.errors import InvalidRequest
from service.events.columns import Events, code_columns, step_codes, type_codes
from service.events.vocabulary import EVENT_TYPES, LEVELS, OperatingPoint
from service.pb.epcsentinel.v1 import anomaly_pb2 as pb
from service.runtime.threads import give_way
from service.runtime.timing import timed

Violation = tuple[str, str]  # field of the request, what is wrong with it and how to fix it

DETECTOR_NAMES = {
    pb.DETECTOR_UNSPECIFIED: DetectorName.LSTM,
    pb.DETECTOR_LSTM: DetectorName.LSTM,
    pb.DETECTOR_RULES: DetectorName.RULES,
    pb.DETECTOR_SVM: DetectorName.SVM,
    pb.DETECTOR_ENSEMBLE: DetectorName.ENSEMBLE,
}
HISTORY_USES = {pb.HISTORY_USE_UNSPECIFIED: None, pb.HISTORY_USE_ON: True, pb.HISTORY_USE_OFF: False}
POINTS = {
    pb.OPERATING_POINT_UNSPECIFIED: None,
    pb.OPERATING_POINT_PRECISE: OperatingPoint.PRECISE,
    pb.OPERATING_POINT_BALANCED: OperatingPoint.BALANCED,
    pb.OPERATING_POINT_SENSITIVE: OperatingPoint.SENSITIVE,
}
DETECTOR_VALUES = {name: value for value, name in DETECTOR_NAMES.items()}
POINT_VALUES = {point: value for value, point in POINTS.items()}

_INT_FIELDS, _TEXT_FIELDS = ("event_id", "location_id", "file_id"), ("epc_code", "business_step", "event_type")
_TIME_FIELDS = ("seconds", "nanos")

_PART_BYTES = 100_000
"""Bytes of a large message that are parsed at once: 0.3 ms."""

_Request = TypeVar("_Request", pb.AnalyzeRequest, pb.ExplainRequest)

_EVENT_TAG = pb.AnalyzeRequest.DATA_FIELD_NUMBER << 3 | 2
_SLICE = 1_000
"""Events that are read at once: their objects stay in the cache, and no other thread waits for the interpreter longer
than the 0.1 ms of a column of them."""

_MIN_SECONDS = -62_135_596_800  # 0001-01-01T00:00:00Z
_MAX_SECONDS = 253_402_300_799  # 9999-12-31T23:59:59Z
_MAX_NANOS = 999_999_999


class Question(NamedTuple):
    """What an AnalyzeRequest asks."""

    events: Events
    detector: DetectorName
    history: bool | None  # use and store what is known beside the request; None: as configured
    point: OperatingPoint | None = None  # None: as configured
    explain: bool = False  # whether findings say why


def decode_request(raw: bytes, *, max_events: int, one_file: bool) -> Question:
    """Return what a serialised AnalyzeRequest asks.

    Args:
        raw: the bytes as they came over the wire.
        max_events: the most events that one request may carry.
        one_file: more than one file_id is an error.

    Raises:
        InvalidRequest: with every violation of the request.
    """
    request = _parsed(raw, pb.AnalyzeRequest())
    return _question(request, max_events, one_file=one_file)._replace(explain=request.explain)


def decode_explain(raw: bytes, *, max_events: int) -> tuple[Question, int]:
    """Return what a serialised ExplainRequest asks, and the event_id that it asks about; as `decode_request`."""
    request = _parsed(raw, pb.ExplainRequest())
    return _question(request, max_events, one_file=False)._replace(explain=True), request.event_id


def _parsed(raw: bytes, request: _Request) -> _Request:
    """Return ``request`` with what the bytes say; raises InvalidRequest if they are no such message."""
    try:
        with timed("decode") as stage:
            for part in _parts(raw):
                give_way()
                request.MergeFromString(part)
            stage.events = len(request.data)
    except DecodeError:
        raise InvalidRequest([("request", f"is not a valid {request.DESCRIPTOR.full_name} message")]) from None
    return request


def _question(request: pb.AnalyzeRequest | pb.ExplainRequest, max_events: int, *, one_file: bool) -> Question:
    detector = DETECTOR_NAMES.get(request.detector)
    violations: list[Violation] = []
    if detector is None:
        violations.append(("detector", f"{request.detector} is not a value of epcsentinel.v1.Detector"))
    if request.history not in HISTORY_USES:
        violations.append(("history", f"{request.history} is not a value of epcsentinel.v1.HistoryUse"))
    if request.operating_point not in POINTS:
        violations.append(
            ("operating_point", f"{request.operating_point} is not a value of epcsentinel.v1.OperatingPoint")
        )
    data = request.data
    if not data:
        violations.append(("data", "is empty: send at least one event"))
    elif len(data) > max_events:
        # Refused early: a request that will not be served must not cost the decoding of its columns.
        violations.append(("data", f"has {len(data)} events, the limit is {max_events}: send several requests"))
    if violations or detector is None:
        raise InvalidRequest(violations)
    events = _decode_events(data, one_file=one_file)
    return Question(events, detector, HISTORY_USES[request.history], POINTS[request.operating_point])


def _parts(raw: bytes) -> Iterator[bytes]:
    """Yield a message in parts of about `_PART_BYTES`, cut between events; merged they are the same as the whole.

    The parser keeps the interpreter until a part is done, 15 ms for 50,000 events in one.
    """
    begin = at = 0
    while len(raw) - begin > 2 * _PART_BYTES:
        while at < begin + _PART_BYTES and raw[at] == _EVENT_TAG and raw[at + 1] < 0x80:  # shorter than 128 bytes
            at += 2 + raw[at + 1]
        if at < begin + _PART_BYTES:
            break  # a longer event, another field, no message at all: the parser knows what to do with it
        yield raw[begin:at]
        begin = at
    yield raw[begin:]


def _decode_events(data: Sequence[pb.ScanEvent], *, one_file: bool) -> Events:
    """Return the events as columns; raises InvalidRequest with every violation found in them."""
    with timed("decode", 0):  # these events were counted when the message was parsed
        ints, texts = _read_columns(data)
        event_id, file_id, seconds, nanos = (ints[name] for name in ("event_id", "file_id", "seconds", "nanos"))
        epc, epc_codes, spelling = code_columns(texts["epc_code"])
        events = Events(
            event_id=event_id,
            epc=epc,
            epc_codes=epc_codes,
            location_id=ints["location_id"],
            step=step_codes(texts["business_step"]),
            event_type=type_codes(texts["event_type"]),
            time_us=seconds * 1_000_000 + nanos // 1_000,
            file_id=file_id,
            spelling=spelling,
        )
    with timed("validate", len(data)):
        violations = [*_time_violations(data, seconds, nanos), *_id_violations(event_id)]
        if one_file:
            violations += _file_violations(file_id)
    if violations:
        raise InvalidRequest(violations)
    return events


def _read_columns(data: Sequence[pb.ScanEvent]) -> tuple[dict[str, NDArray[np.int64]], dict[str, list[str]]]:
    """Return the columns of whole numbers and of texts, by field; seconds and nanos are those of the event_time."""
    ints = {name: np.empty(len(data), dtype=np.int64) for name in (*_INT_FIELDS, *_TIME_FIELDS)}
    texts: dict[str, list[str]] = {name: [] for name in _TEXT_FIELDS}
    for begin in range(0, len(data), _SLICE):
        give_way()
        rows = data[begin : begin + _SLICE]
        times = list(map(attrgetter("event_time"), rows))
        for name, column in ints.items():
            value, source = attrgetter(name), times if name in _TIME_FIELDS else rows
            column[begin : begin + len(rows)] = np.fromiter(map(value, source), dtype=np.int64, count=len(rows))
        for name, texts_so_far in texts.items():
            texts_so_far.extend(map(attrgetter(name), rows))
    return ints, texts


def _time_violations(
    data: Sequence[pb.ScanEvent], seconds: NDArray[np.int64], nanos: NDArray[np.int64]
) -> Iterable[Violation]:
    # An absent time reads as zero, so only the zeros need the slow question whether they are present.
    for at in np.flatnonzero((seconds == 0) & (nanos == 0)).tolist():
        if not data[at].HasField("event_time"):
            yield f"data[{at}].event_time", "is missing: set the time of the scan"
    for at in np.flatnonzero((seconds < _MIN_SECONDS) | (seconds > _MAX_SECONDS)).tolist():
        yield f"data[{at}].event_time", f"{seconds[at]} seconds since 1970 is outside the years 1 to 9999"
    for at in np.flatnonzero((nanos < 0) | (nanos > _MAX_NANOS)).tolist():
        yield f"data[{at}].event_time", f"{nanos[at]} nanos is outside 0 to {_MAX_NANOS}"


def _id_violations(event_id: NDArray[np.int64]) -> Iterable[Violation]:
    ordered = np.sort(event_id)
    if (ordered[1:] != ordered[:-1]).all():
        return
    _, first, index = np.unique(event_id, return_index=True, return_inverse=True)
    first_of = first[index]  # [N] position of the first event with the same id
    for at in np.flatnonzero(first_of != np.arange(len(event_id))).tolist():
        yield (
            f"data[{at}].event_id",
            f"{event_id[at]} is the event_id of data[{first_of[at]}] too: ids are unique in a request",
        )


def _file_violations(file_id: NDArray[np.int64]) -> Iterable[Violation]:
    for at in np.flatnonzero(file_id != file_id[0])[:1].tolist():
        yield (
            f"data[{at}].file_id",
            f"is {file_id[at]}, that of data[0] is {file_id[0]}: send a request per file, or use AnalyzeFiles",
        )


def encode_request(
    events: Events, detector: DetectorName, point: OperatingPoint | None = None, *, explain: bool = False
) -> pb.AnalyzeRequest:
    """Return the request that `decode_request` reads back as ``events``, ``detector``, ``point`` and ``explain``."""
    request = pb.AnalyzeRequest(
        detector=DETECTOR_VALUES[detector], operating_point=POINT_VALUES[point], explain=explain
    )
    types, steps = (*EVENT_TYPES, ""), (*LEVELS, "")  # the code UNKNOWN = -1 picks the empty name
    codes = events.sent_codes(np.arange(len(events)))
    for code, *row in zip(codes, *(column.tolist() for column in _columns(events)), strict=True):
        event_id, location_id, step, event_type, time_us, file_id = row
        scan = request.data.add(
            event_id=event_id,
            epc_code=code,
            location_id=location_id,
            business_step=steps[step],
            event_type=types[event_type],
            file_id=file_id,
        )
        scan.event_time.seconds, micros = divmod(time_us, 1_000_000)
        scan.event_time.nanos = micros * 1_000
    return request


def _columns(events: Events) -> tuple[NDArray[Any], ...]:
    return (
        events.event_id,
        events.location_id,
        events.step,
        events.event_type,
        events.time_us,
        events.file_id,
    )
