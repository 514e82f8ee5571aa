"""AnalyzeRequest messages to columns and back; refuses unusable requests. `responses` beside it builds the answers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple, TypeVar

import numpy as np
from google.protobuf.message import DecodeError, Message
from numpy.typing import NDArray

from service.api.wire import (
    CODE,
    EVENT_ID,
    FILE_ID,
    LOCATION_ID,
    NANOS,
    SECONDS,
    STEP,
    TYPE,
    NotPlain,
    WireScans,
    are_sound,
)
from service.detect.names import DetectorName as DetectorName  # noqa: PLC0414 - clients need this wing alone
from service.errors import InvalidRequest
from service.events.columns import Events, clean_codes, step_codes, type_codes
from service.events.groups import Groups
from service.events.vocabulary import OperatingPoint
from service.events.words import OWN_WORDS, Wording
from service.pb.epcsentinel.v1 import anomaly_pb2 as pb
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

_Request = TypeVar("_Request", pb.AnalyzeRequest, pb.ExplainRequest)

_MIN_SECONDS = -62_135_596_800  # 0001-01-01T00:00:00Z
_MAX_SECONDS = 253_402_300_799  # 9999-12-31T23:59:59Z
_MAX_NANOS = 999_999_999
_MIN_US, _MAX_US = _MIN_SECONDS * 1_000_000, _MAX_SECONDS * 1_000_000 + 999_999


class Question(NamedTuple):
    """What an AnalyzeRequest asks."""

    events: Events
    detector: DetectorName
    history: bool | None  # use and store what is known beside the request; None: as configured
    point: OperatingPoint | None = None  # None: as configured
    explain: bool = False  # whether findings say why


def decode_request(raw: bytes, *, max_events: int, one_file: bool, words: Wording = OWN_WORDS) -> Question:
    """Return what a serialised AnalyzeRequest asks.

    Args:
        raw: the bytes as they came over the wire.
        max_events: the most events that one request may carry.
        one_file: more than one file_id is an error.
        words: in which the events are told.

    Raises:
        InvalidRequest: with every violation of the request.
    """
    fields = pb.AnalyzeRequest
    scans, question = _read(raw, fields(), max_events, words, one_file=one_file)
    return question._replace(explain=bool(scans.scalar[fields.EXPLAIN_FIELD_NUMBER]))


def decode_explain(raw: bytes, *, max_events: int, words: Wording = OWN_WORDS) -> tuple[Question, int]:
    """Return what a serialised ExplainRequest asks, and the event_id that it asks about; as `decode_request`."""
    fields = pb.ExplainRequest
    scans, question = _read(raw, fields(), max_events, words, one_file=False)
    return question._replace(explain=True), scans.scalar[fields.EVENT_ID_FIELD_NUMBER]


def _read(
    raw: bytes, message: _Request, max_events: int, words: Wording, *, one_file: bool
) -> tuple[WireScans, Question]:
    try:
        return _question(raw, message, max_events, words, one_file=one_file)
    except NotPlain:
        plain = _plain(raw, message)
    return _question(plain, message, max_events, words, one_file=one_file)


def _plain(raw: bytes, message: Message) -> bytes:
    """Return the fields that are known, as protobuf writes them; raises InvalidRequest if it is no message."""
    try:
        message.MergeFromString(raw)
    except DecodeError:
        raise InvalidRequest([("request", f"is not a valid {message.DESCRIPTOR.full_name} message")]) from None
    message.DiscardUnknownFields()  # type: ignore[attr-defined]
    return message.SerializeToString()


def _question(
    raw: bytes, message: _Request, max_events: int, words: Wording, *, one_file: bool
) -> tuple[WireScans, Question]:
    with timed("decode") as stage:
        scans = WireScans(raw)
        detector, history, point = (_enum(scans, message, name) for name in ("detector", "history", "operating_point"))
        violations: list[Violation] = []
        if detector not in DETECTOR_NAMES:
            violations.append(("detector", f"{detector} is not a value of epcsentinel.v1.Detector"))
        if history not in HISTORY_USES:
            violations.append(("history", f"{history} is not a value of epcsentinel.v1.HistoryUse"))
        if point not in POINTS:
            violations.append(("operating_point", f"{point} is not a value of epcsentinel.v1.OperatingPoint"))
        if not len(scans):
            violations.append(("data", "is empty: send at least one event"))
        elif len(scans) > max_events:
            # Refused early: a request that will not be served must not cost the reading of its events.
            violations.append(("data", f"has {len(scans)} events, the limit is {max_events}: send several requests"))
        if violations:
            raise InvalidRequest(violations)
        scans.read()
        events = _events(scans, words)
        stage.events = len(events)
    _validate(scans, one_file=one_file)
    return scans, Question(events, DETECTOR_NAMES[detector], HISTORY_USES[history], POINTS[point])


def _enum(scans: WireScans, message: _Request, name: str) -> Any:  # noqa: ANN401 - a value of the enum, or another number
    """Return the int32 that an enum is on the wire."""
    value = scans.scalar[message.DESCRIPTOR.fields_by_name[name].number] & 0xFFFF_FFFF
    return value - (value >> 31 << 32)


def _events(scans: WireScans, words: Wording) -> Events:
    """Return the events as columns."""
    epc, epc_codes, spelling = clean_codes(*scans.text(CODE), words)
    (step, steps), (kind, kinds) = scans.text(STEP), scans.text(TYPE)
    return Events(
        event_id=scans.ints[EVENT_ID],
        epc=epc,
        epc_codes=epc_codes,
        location_id=scans.ints[LOCATION_ID],
        step=step_codes(steps, words)[step],
        event_type=type_codes(kinds, words)[kind],
        time_us=scans.ints[SECONDS] * 1_000_000 + scans.ints[NANOS] // 1_000,
        file_id=scans.ints[FILE_ID],
        spelling=spelling,
    )


def _validate(scans: WireScans, *, one_file: bool) -> None:
    """Raise InvalidRequest with every violation found in the events."""
    with timed("validate", len(scans)):
        # By numpy, column by column, these looks take 40 us of a request of 50 events.
        sound = are_sound(scans.ints, scans.has_time, _MIN_SECONDS, _MAX_SECONDS, _MAX_NANOS, one_file)
        violations = [] if sound else [*_time_violations(scans)]
        violations += _id_violations(scans.ints[EVENT_ID])
        if one_file and not sound:
            violations += _file_violations(scans.ints[FILE_ID])
    if violations:
        raise InvalidRequest(violations)


def _time_violations(scans: WireScans) -> Iterable[Violation]:
    seconds, nanos = scans.ints[SECONDS], scans.ints[NANOS]
    for at in np.flatnonzero(scans.has_time == 0).tolist():
        yield f"data[{at}].event_time", "is missing: set the time of the scan"
    for at in np.flatnonzero((seconds < _MIN_SECONDS) | (seconds > _MAX_SECONDS)).tolist():
        yield f"data[{at}].event_time", f"{seconds[at]} seconds since 1970 is outside the years 1 to 9999"
    for at in np.flatnonzero((nanos < 0) | (nanos > _MAX_NANOS)).tolist():
        yield f"data[{at}].event_time", f"{nanos[at]} nanos is outside 0 to {_MAX_NANOS}"


def _id_violations(event_id: NDArray[np.int64]) -> Iterable[Violation]:
    if Groups(np.zeros(len(event_id), dtype=np.int32), event_id).count == len(event_id):
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
    events: Events,
    detector: DetectorName,
    point: OperatingPoint | None = None,
    *,
    explain: bool = False,
    words: Wording = OWN_WORDS,
) -> pb.AnalyzeRequest:
    """Return the request that `decode_request` reads back as ``events``, ``detector``, ``point`` and ``explain``.

    But a local time of the first or last hours that the contract can tell may be one of the year 0 or 10000 in UTC: the
    nearest one that there is takes its place. Null dates of databases, `0001-01-01`, are such.
    """
    request = pb.AnalyzeRequest(
        detector=DETECTOR_VALUES[detector], operating_point=POINT_VALUES[point], explain=explain
    )
    types, steps = words.type_names, words.step_names  # the code UNKNOWN = -1 picks the empty name
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
        scan.event_time.seconds, micros = divmod(min(max(time_us, _MIN_US), _MAX_US), 1_000_000)
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
