"""Whether the hours of a file look shifted: local times that were sent as instants, or instants as local times."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.events.columns import Events
from service.events.vocabulary import TYPES, type_index
from service.features.reference import Reference

LEAST_EVENTS = 200
"""Of fewer events of a file the hours say nothing."""

_LEAST_VISITS, _LEAST_GAIN = 100, 0.2
"""A shift explains the hours clearly better if it makes each of that many visits likelier by that log-likelihood.

A visit is what one place scanned of one type in one hour: items that travel together are no evidence each. Of parts of
simulated worlds that were not shifted, with as many visits, none gained 0.13; of those shifted by 9 hours most gain
0.5.
"""

_LATELY = 4_000
"""Events of a stream by which it is told whether its hours look shifted."""

_HOUR_US = 3_600_000_000
_HOURS = 1 << 28  # more than there are from the year 1 to 9999
_UNIFORM = 0.05  # share of the scans that may be at any hour

_Ints = NDArray[np.int64]


def hour_counts(kind: _Ints, local_us: _Ints) -> NDArray[np.float64]:
    """Return how many scans [TYPES, 24] of each type there are in each hour of the day."""
    of_type = kind * 24 + local_us // _HOUR_US % 24
    return np.bincount(of_type, minlength=TYPES * 24).reshape(TYPES, 24).astype(np.float64)


def shift_warning(hours: int) -> str:
    """Return what to say of a file whose hours look shifted, "" for 0."""
    if not hours:
        return ""
    return f"the hours of this file look shifted by {hours:+} h: are event times local time? see docs/data.md#times"


class UsualHours:
    """The hours of the day at which normal scans happen, by type."""

    def __init__(self, reference: Reference) -> None:
        """Args: ``reference`` knows the hours; of an earlier release it does not, and no file looks shifted."""
        self._zones = reference.zones
        self._log_shares: NDArray[np.float64] | None = None  # [24, TYPES * 24] of scans, by how they are shifted
        if reference.hours is not None:
            counts = reference.hours + 1
            shares = (1 - _UNIFORM) * counts / counts.sum(axis=1, keepdims=True) + _UNIFORM / 24
            self._log_shares = np.stack([np.roll(np.log(shares), shift, axis=1).ravel() for shift in range(24)])

    def shifts(self, events: Events) -> dict[int, int]:
        """Return by how many hours (-11 .. 12) files look shifted, by file_id; of other files nothing."""
        if self._log_shares is None or len(events) < LEAST_EVENTS:
            return {}
        columns = events.event_type, events.time_us, events.location_id
        if (events.file_id == events.file_id[0]).all():  # nearly always
            found = {int(events.file_id[0]): self.shift(*columns)}
        else:
            files, size = np.unique(events.file_id, return_counts=True)
            found = {}
            for file_id in files[size >= LEAST_EVENTS].tolist():
                of_file = events.file_id == file_id
                found[file_id] = self.shift(*(column[of_file] for column in columns))
        return {file_id: shift for file_id, shift in found.items() if shift}

    def shift(self, event_type: NDArray[np.integer], time_us: _Ints, location_id: _Ints) -> int:
        """Return by how many hours (-11 .. 12) events look shifted."""
        if self._log_shares is None:
            return 0
        local_us = self._zones.local_us(time_us, location_id)
        return _shift(self._log_shares, type_index(event_type), local_us, location_id)


class StreamHours:
    """Whether what a stream brought lately looks shifted: of its requests each has too few events to say so."""

    def __init__(self, usual: UsualHours) -> None:
        self._usual = usual
        self._brought: list[tuple[NDArray[Any], ...]] = []  # (types, times, places) of events, the last ones at the end
        self._new, self._shift = 0, 0

    def take(self, events: Events) -> None:
        """Take the next events of the stream."""
        self._brought.append((events.event_type, events.time_us, events.location_id))
        self._new += len(events)
        if self._new >= LEAST_EVENTS:
            lately = tuple(np.concatenate(column)[-_LATELY:] for column in zip(*self._brought, strict=True))
            self._brought, self._new, self._shift = [lately], 0, self._usual.shift(*lately)

    def shifts(self, events: Events) -> dict[int, int]:
        """Return by how many hours the files of some events look shifted, all as the stream does; as `UsualHours`."""
        return dict.fromkeys(np.unique(events.file_id).tolist(), self._shift) if self._shift else {}


def _shift(log_shares: NDArray[np.float64], kind: _Ints, local_us: _Ints, location_id: _Ints) -> int:
    """Return by how many hours events look shifted."""
    if not (log_shares @ hour_counts(kind, local_us).ravel()).argmax():  # nearly always, of many events
        return 0
    kind, local_us = _visits(kind, local_us, location_id)
    per_visit = log_shares @ hour_counts(kind, local_us).ravel() / len(kind)
    shift = int(per_visit.argmax())
    if len(kind) < _LEAST_VISITS or per_visit[shift] - per_visit[0] < _LEAST_GAIN:
        return 0
    return shift if shift <= 12 else shift - 24


def _visits(kind: _Ints, local_us: _Ints, location_id: _Ints) -> tuple[_Ints, _Ints]:
    """Return (type, hour in us) of each visit: one number for all three is sorted several times faster than they are.

    Of a place the lower 32 bits count, which tell apart all of a network.
    """
    hour = local_us // _HOUR_US + _HOURS // 2
    key = np.sort(((location_id << 4) + kind) * _HOURS + hour)
    first = key[np.append(True, key[1:] != key[:-1])]
    return (first // _HOURS) & 15, (first % _HOURS - _HOURS // 2) * _HOUR_US
