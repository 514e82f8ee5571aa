"""JSON of old callers to a request of the gateway: spellings, aliases, times without a zone, names of places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from google.protobuf.json_format import ParseDict, ParseError

from service.events.zones import TimeZones
from service.pb.epcsentinel.v1 import anomaly_pb2 as pb
from service.web.oldpaths.aliases import Aliases
from service.web.oldpaths.fields import EventFields, given, whole
from service.web.problems import FieldFault, Problem

UNKNOWN_PLACE = 0
"""The location id of a place that nobody knows; such a place is judged, not refused."""

_SECOND_US = 1_000_000
_OPTIONS = {"history": "HISTORY_USE_", "operating_point": "OPERATING_POINT_"}
_DETECTOR = "DETECTOR_"


@dataclass(frozen=True, slots=True)
class Asked:
    """A request in the gateway's words."""

    message: pb.AnalyzeRequest
    sent: Mapping[str, str]  # code -> as it was sent, where that is something else
    warnings: tuple[str, ...]  # one sentence each


@dataclass(frozen=True, slots=True)
class RequestReader:
    """Reads requests, by a table of aliases, the zone of the sites and the names of places."""

    aliases: Aliases
    zones: TimeZones
    places: Mapping[str, int]

    def read(self, body: object, detector: pb.Detector.ValueType) -> Asked:
        """Return the request of a JSON body; ``detector`` judges unless the body names one.

        Raises:
            Problem: 400, with the field of everything that cannot be used.
        """
        if not isinstance(body, dict):
            raise Problem(400, "the body is no JSON object", [("body", 'send an object {"data": [..]}')])
        rows = body.get("data")
        if not isinstance(rows, list) or not rows:
            raise Problem(400, "there are no events", [("data", "send a list of at least one event")])
        if odd := [at for at, row in enumerate(rows) if not isinstance(row, dict)]:
            raise Problem(400, "an event is no object", [(f"data[{at}]", "is no JSON object") for at in odd])
        message, faults = _options(body, detector)
        columns = EventFields(rows, faults)
        sent, warnings = self._add_events(message, columns)
        if columns.faults:
            raise Problem(400, _summary(columns.faults), columns.faults)
        return Asked(message, sent, tuple(warnings))

    def _add_events(self, message: pb.AnalyzeRequest, columns: EventFields) -> tuple[dict[str, str], list[str]]:
        event_id, file_id = columns.ids("event_id"), columns.ids("file_id", 0)
        location_id, unknown = self._places(columns)
        steps, types = self._words(columns.texts("business_step"), columns.texts("event_type"))
        codes, sent = self._codes(columns.texts("epc_code"))
        seconds, nanos = self._instants(columns, location_id)
        if columns.faults:
            return {}, []
        rows = zip(event_id, codes, location_id, steps, types, seconds, nanos, file_id, strict=True)
        for one_id, code, place, step, event_type, second, nano, of_file in rows:
            scan = message.data.add(
                event_id=one_id,
                epc_code=code,
                location_id=place,
                business_step=step,
                event_type=event_type,
                file_id=of_file,
            )
            scan.event_time.seconds = second
            scan.event_time.nanos = nano
        return sent, _place_warnings(unknown)

    def _places(self, columns: EventFields) -> tuple[list[int], list[str]]:
        """Return (location ids [N], names that the master does not have): of the id, else of the name."""
        names = columns.values("scan_location")
        if all(name is None for name in names):
            return columns.ids("location_id", UNKNOWN_PLACE), []
        found, unknown = [], []
        for at, (value, name) in enumerate(zip(columns.values("location_id"), names, strict=True)):
            field, sent = ("scan_location", name) if value is None else ("location_id", value)
            number = whole(sent)
            if number is None and value is None and isinstance(name, str):
                number = self.places.get(name.strip(), UNKNOWN_PLACE)
                if number == UNKNOWN_PLACE:
                    unknown.append(name)
            elif number is None and sent is not None:
                columns.fault(at, field, "is no place: send id or name")
            found.append(columns.bounded(at, field, number or UNKNOWN_PLACE, sent))
        return found, unknown

    def _words(self, steps: Sequence[str], types: Sequence[str]) -> tuple[list[str], list[str]]:
        meant: dict[tuple[str, str], tuple[str, str]] = {}
        for pair in dict.fromkeys(zip(steps, types, strict=True)):
            step = self.aliases.step(pair[0])
            meant[pair] = _sound(step), _sound(self.aliases.type(pair[1], step))
        both = [meant[pair] for pair in zip(steps, types, strict=True)]
        return [step for step, _ in both], [event_type for _, event_type in both]

    def _codes(self, texts: Sequence[str]) -> tuple[list[str], dict[str, str]]:
        """Return (codes [N], how those were sent that are changed)."""
        meant = {text: _sound(self.aliases.code(text)) for text in dict.fromkeys(texts)}
        changed = {code: _sound(text) for text, code in reversed(meant.items()) if code != text}
        return [meant[text] for text in texts], changed

    def _instants(self, columns: EventFields, location_id: Sequence[int]) -> tuple[list[int], list[int]]:
        """Return (seconds since 1970 [N], nanoseconds [N]); a time without zone is that of the clock of its site."""
        micros, zoned = columns.times("event_time")
        time_us = np.array(micros, dtype=np.int64)
        if not all(zoned):
            places = np.array([place if abs(place) < 2**62 else 0 for place in location_id], dtype=np.int64)
            time_us = np.where(zoned, time_us, self.zones.instant_us(time_us, places))
        return (time_us // _SECOND_US).tolist(), (time_us % _SECOND_US * 1_000).tolist()


def _options(body: dict[str, Any], detector: pb.Detector.ValueType) -> tuple[pb.AnalyzeRequest, list[FieldFault]]:
    """Return the request without events: what it asks beside them."""
    message, faults = pb.AnalyzeRequest(detector=detector), list[FieldFault]()
    named = given(body, "detector", lambda value: _enum(value, _DETECTOR))
    options = {name: given(body, name, lambda value, of=prefix: _enum(value, of)) for name, prefix in _OPTIONS.items()}  # type: ignore[misc]
    asked = {"detector": named, **options, "explain": given(body, "explain", lambda value: value)}
    for name, value in asked.items():
        if value is None or (name == "detector" and value == f"{_DETECTOR}UNSPECIFIED"):
            continue
        try:
            ParseDict({name: value}, message)
        except ParseError:
            faults.append((name, f"{ascii(value)[:60]} is none of its values"))
    return message, faults


def _enum(value: Any, prefix: str) -> Any:  # noqa: ANN401 - any JSON
    """Return the name of a value of an enum, with its prefix: "rules" is DETECTOR_RULES."""
    if not isinstance(value, str):
        return value
    name = value.strip().upper()
    return name if name.startswith(prefix) else prefix + name


def _sound(text: str) -> str:
    """Return the text; half of a surrogate pair, which no UTF-8 has, becomes a question mark."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _place_warnings(unknown: Sequence[str]) -> list[str]:
    if not unknown:
        return []
    return [
        f"{len(unknown)} events have a scan_location that is not in the location master, {unknown[0][:60]!a} for one."
    ]


def _summary(faults: Sequence[FieldFault]) -> str:
    field, why = faults[0]
    return f"{field} {why}" + (f"; and {len(faults) - 1} more" if len(faults) > 1 else "")
