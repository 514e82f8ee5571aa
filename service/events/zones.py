"""Time zones of sites: what the wall clock there shows at an instant, and back. A table of offsets per zone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

SEOUL = "Asia/Seoul"
"""The zone of the bundled worlds, and of data that name no other."""

_Times = NDArray[np.int64]
_SECOND_US = 1_000_000
_WEEK_S = 7 * 86_400
_WEEKS = range(0, int(datetime(2100, 1, 1, tzinfo=UTC).timestamp()), _WEEK_S)


class UnknownZone(ValueError):
    """There is no such time zone, or this machine does not know it yet."""


@dataclass(frozen=True, slots=True, eq=False)
class TimeZones:
    """Which time zone (a name of IANA) each place is in. Times are microseconds since 1970, [N], of N places."""

    default: str = "UTC"
    of_place: Mapping[int, str] = field(default_factory=dict)  # by location id, where it is not the default

    def of(self, location_id: int) -> str:
        """Return the zone of a place."""
        return self.of_place.get(location_id, self.default)

    def local_us(self, time_us: _Times, location_id: NDArray[np.int64]) -> _Times:
        """Return what the clocks on the walls of the places show at instants, counted as if they were UTC."""
        return self._by_zone(_local_us, time_us, location_id)

    def instant_us(self, local_us: _Times, location_id: NDArray[np.int64]) -> _Times:
        """Return when the clocks of the places show times; the inverse of `local_us`.

        What a clock shows twice, as it is put back, is the first of the two. What it skips, as it is put forward, is
        taken as if it had not yet been.
        """
        return self._by_zone(_instant_us, local_us, location_id)

    def _by_zone(
        self, convert: Callable[[str, _Times], _Times], times: _Times, location_id: NDArray[np.int64]
    ) -> _Times:
        if not self.of_place:
            return convert(self.default, times)
        ids = np.array(sorted(self.of_place), dtype=np.int64)
        row = np.minimum(ids.searchsorted(location_id), len(ids) - 1)
        is_other = ids[row] == location_id
        converted = convert(self.default, times)
        for zone in set(self.of_place.values()):
            of_zone = np.array([self.of_place[place] == zone for place in ids.tolist()])
            there = is_other & of_zone[row]
            converted[there] = convert(zone, times[there])
        return converted

    def to_json(self) -> dict[str, JsonValue]:
        """Return the zones as JSON values."""
        return {
            "default": self.default,
            "places": {str(place): self.of_place[place] for place in sorted(self.of_place)},
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> TimeZones:
        """Read them back.

        Raises:
            KeyError, TypeError, ValueError: a part is missing or damaged.
            UnknownZone: a zone is none.
        """
        zones = cls(content["default"], {int(place): zone for place, zone in content["places"].items()})
        for zone in (zones.default, *zones.of_place.values()):
            if not is_zone(zone):
                raise UnknownZone(f"{zone!r} is no time zone that this machine knows")
        return zones


_OF_NO_SITE = {"localtime", "posixrules", "Factory"}
"""Files beside those of zones: that of the machine, which differs from one to the next, and two placeholders."""


def is_zone(name: str) -> bool:
    """Return whether ``name`` is a time zone that this machine knows, such as Asia/Seoul."""
    if name in _OF_NO_SITE or name.startswith(("posix/", "right/")):
        return False
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: a folder of zones, such as Asia
        return name == "UTC"
    return True


def _local_us(zone: str, time_us: _Times) -> _Times:
    at_us, offset_us = _offsets(zone)
    return time_us + _at(time_us, at_us, offset_us)


def _instant_us(zone: str, local_us: _Times) -> _Times:
    at_us, offset_us = _offsets(zone)
    # Until a clock shows what it showed, or would have shown, at its change, it counts as not changed yet: fold 0.
    changed_us = at_us + np.maximum(offset_us[:-1], offset_us[1:])
    return local_us - _at(local_us, changed_us, offset_us)


def _at(time_us: _Times, changed_us: _Times, offset_us: _Times) -> _Times:
    """Return the offset [N] at each time, or [1] if there is one alone."""
    if not len(changed_us) or (len(time_us) and time_us.min() >= changed_us[-1]):  # most zones of today
        return offset_us[-1:]
    return offset_us[changed_us.searchsorted(time_us, side="right")]


@cache
def _offsets(zone: str) -> tuple[_Times, _Times]:
    """Return (instants [K] at which the clocks change, offsets [K + 1] from UTC before, between and after), in us.

    From 1970 to 2100, before and after which nothing changes; a change that is undone within a week is not seen.
    """
    if zone == "UTC":
        return np.zeros(0, dtype=np.int64), np.zeros(1, dtype=np.int64)
    info = ZoneInfo(zone)
    changes, offsets = [], [_offset_s(info, 0)]
    for week in _WEEKS:
        after = _offset_s(info, week + _WEEK_S)
        if after != offsets[-1]:
            changes.append(_first_second(info, week, week + _WEEK_S, after))
            offsets.append(after)
    return np.array(changes, dtype=np.int64) * _SECOND_US, np.array(offsets, dtype=np.int64) * _SECOND_US


def _offset_s(zone: ZoneInfo, at_s: int) -> int:
    offset = datetime.fromtimestamp(at_s, zone).utcoffset()
    assert offset is not None  # noqa: S101 - a ZoneInfo always knows
    return int(offset.total_seconds())


def _first_second(zone: ZoneInfo, low: int, high: int, offset_s: int) -> int:
    """Return the first second in (low, high] from which the offset is ``offset_s``, which it is at ``high``."""
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _offset_s(zone, middle) == offset_s else (middle, high)
    return high
