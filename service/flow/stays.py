"""Each visit of an item to a site: when it came, when it left, and how that is known.

A stay is a run of scans of one item at one place: a second read of what was read before is the same stay, and so is a
scan out after a scan in; a scan in after a scan out begins another one. Scans that a gate missed are put in by rule:

- An item that was seen in at the next place left this one the lane's usual transit before that, not before its last
  scan here. (The usual transit is the median of the lane's trips that were scanned at both ends, in its place that of
  all trips between the two steps, else 0.) Factories scan no item out: of theirs all stays end so.
- An item that was first seen going out of a place came the usual transit after it left the last one, not after it was
  seen going out.
- What is sold leaves in that moment. What was not seen afterwards is still there.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from service.events.columns import Events
from service.events.journeys import Journeys
from service.events.vocabulary import DIRECTION_OF_TYPE, EVENT_TYPES

STILL_THERE = np.iinfo(np.int64).max
"""When an item leaves that is still there, in microseconds."""

_SOLD = EVENT_TYPES.index("POS_Sell")

_Times = NDArray[np.int64]


class Known(IntEnum):
    """How the time at which an item came or left is known."""

    SCANNED = 0
    BY_RULE = 1
    STILL_THERE = 2


@dataclass(frozen=True, slots=True, eq=False)
class Stays:
    """S stays in the order of (item, time)."""

    epc: NDArray[np.int32]  # [S] index of the item's code
    location_id: NDArray[np.int64]  # [S]
    step: NDArray[np.int8]  # [S] level of the business step, UNKNOWN if it has none
    arrived_us: _Times  # [S] since 1970 UTC
    left_us: _Times  # [S], STILL_THERE for the last stays of items that were not sold
    arrival: NDArray[np.int8]  # [S] a Known
    departure: NDArray[np.int8]  # [S] a Known
    first_us: _Times  # [S] when the item was first seen anywhere
    sold: NDArray[np.bool_]  # [S] the stay is the sale
    last_us: int  # of all scans: later than this nothing is known

    def __len__(self) -> int:
        return len(self.epc)

    @property
    def has_left(self) -> NDArray[np.bool_]:
        """Which stays [S] have ended."""
        ended: NDArray[np.bool_] = self.departure != Known.STILL_THERE
        return ended

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_]) -> Stays:
        """Return some of the stays."""
        columns = {field.name: getattr(self, field.name)[rows] for field in fields(self) if field.name != "last_us"}
        return Stays(**columns, last_us=self.last_us)


def stays_of(events: Events) -> Stays:
    """Return the stays of all items of at least one event."""
    journeys = Journeys.of(events)
    by_item = journeys.events
    direction = DIRECTION_OF_TYPE[by_item.event_type]
    begins = _begins(journeys, direction)
    first = np.flatnonzero(begins)
    last = np.r_[first[1:], len(begins)] - 1
    sold = by_item.event_type[first] == _SOLD
    has_next = np.r_[journeys.position[first[1:]] > 0, False]  # in the same journey
    seen_in = (direction[first] >= 0) & ~sold
    seen_out = direction[last] < 0
    arrived_us, left_us = by_item.time_us[first], by_item.time_us[last]
    transit_us = _usual_transit_us(by_item, first, seen_out, has_next & np.r_[seen_in[1:], False], arrived_us, left_us)
    next_us = np.r_[arrived_us[1:], STILL_THERE]
    by_rule = has_next & ~seen_out & ~sold
    left_us = np.where(by_rule, np.clip(next_us - transit_us, left_us, np.maximum(next_us, left_us)), left_us)
    still_there = ~has_next & ~seen_out & ~sold
    came_late = np.r_[False, has_next[:-1]] & ~seen_in & ~sold
    came_us = np.r_[0, left_us[:-1] + transit_us[:-1]]
    left_before_us = np.r_[0, left_us[:-1]]
    arrived_us = np.where(came_late, np.clip(came_us, np.minimum(left_before_us, arrived_us), arrived_us), arrived_us)
    return Stays(
        epc=by_item.epc[first],
        location_id=by_item.location_id[first],
        step=by_item.step[first],
        arrived_us=arrived_us,
        left_us=np.where(still_there, STILL_THERE, left_us),
        arrival=np.where(came_late, Known.BY_RULE, Known.SCANNED).astype(np.int8),
        departure=np.select([still_there, by_rule], [Known.STILL_THERE, Known.BY_RULE], Known.SCANNED).astype(np.int8),
        first_us=journeys.spread(by_item.time_us[journeys.start])[first],
        sold=sold,
        last_us=int(by_item.time_us.max()),
    )


def _begins(journeys: Journeys, direction: NDArray[np.int8]) -> NDArray[np.bool_]:
    """Return which events [N], in the order of the journeys, begin a stay."""
    place, kind = journeys.events.location_id, journeys.events.event_type
    begins: NDArray[np.bool_] = journeys.position == 0
    begins[1:] |= place[1:] != place[:-1]
    begins[1:] |= (direction[1:] > 0) & (direction[:-1] < 0)
    begins[1:] |= (kind[1:] == _SOLD) & (kind[:-1] != _SOLD)
    return begins


def _usual_transit_us(  # noqa: PLR0913, PLR0917 - columns
    events: Events,
    first: NDArray[np.intp],
    seen_out: NDArray[np.bool_],
    seen_in_next: NDArray[np.bool_],
    arrived_us: _Times,
    left_us: _Times,
) -> _Times:
    """Return the usual transit [S] from the place of each stay to that of the next one; 0 where nobody knows."""
    place, step = events.location_id[first], events.step[first].astype(np.int64)
    on_way = np.zeros(len(first), dtype=np.int64)
    on_way[:-1] = arrived_us[1:] - left_us[:-1]
    both = seen_out & seen_in_next & (on_way >= 0)
    places, number = np.unique(place, return_inverse=True)
    lane = number * len(places) + np.r_[number[1:], 0]
    steps = step * 64 + np.r_[step[1:], 0]
    of_lane, known = _medians(lane, on_way, both)
    of_steps, _ = _medians(steps, on_way, both)
    return np.where(known, of_lane, of_steps)


def _medians(group: NDArray[np.int64], value: _Times, counts: NDArray[np.bool_]) -> tuple[_Times, NDArray[np.bool_]]:
    """Return the lower median [S] of ``value`` over the rows that count of each group, and where there is one."""
    names, number = np.unique(group, return_inverse=True)
    rows = np.flatnonzero(counts)
    order = rows[np.lexsort((value[rows], number[rows]))]
    size = np.bincount(number[rows], minlength=len(names))
    begin = size.cumsum() - size
    median = np.zeros(len(names), dtype=np.int64)
    has = size > 0
    median[has] = value[order[(begin + (size - 1) // 2)[has]]]
    return median[number], has[number]
