"""What the mates of an event did, as far as they are in the case: those of a history are not at hand."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from statistics import median

import numpy as np
from numpy.typing import NDArray

from service.events.codes import Codes
from service.events.groups import Groups
from service.events.journeys import Journeys
from service.features.columns import INSTANT_US
from service.features.mates import SHIPMENT_US

_Index = NDArray[np.intp]
_Ints = NDArray[np.int64]

_BEFORE, _AROUND = (8, 0), (4, 4)
"""How many mates' scans before and after are looked at for their serials: causal and not, as `mate_serial_gap` does."""

_FORGED, _SHARE = 4, 10
"""So many items of a lot may be forged at each end of its serials, and one of so many at most.

Beyond a serial from outside of the block are a few forged ones at most, beyond one from a gap inside mostly more.
"""


@dataclass(frozen=True, slots=True)
class Went:
    """Where mates went: ``here`` of ``count`` to the place of the event, ``most`` to another one."""

    count: int
    here: int
    elsewhere: int | None  # the location to which most went that did not come here, None if all came
    most: int


class _Rows:
    """N rows by what they have in common; each group in a given order."""

    def __init__(self, in_order: _Index, lot: NDArray[np.int32], *columns: NDArray[np.integer]) -> None:
        groups = _numbered(lot, *columns)
        self._order, self._bounds = groups.members(in_order)
        self._group = groups.number

    def like(self, row: int) -> _Index:
        """Return the rows of the group of ``row``, in order."""
        group = self._group[row]
        rows: _Index = self._order[self._bounds[group] : self._bounds[group + 1]]
        return rows


@dataclass(frozen=True, slots=True)
class Block:
    """Serials ``low`` to ``high``, which ``within`` of ``items`` have."""

    items: int
    within: int
    low: int
    high: int


class Mates:
    """The events of a case by lot. A malformed code, which is of no lot, is alone."""

    def __init__(self, journeys: Journeys, parts: Codes, local_us: NDArray[np.int64], *, causal: bool) -> None:
        """``local_us`` [N] is what the clocks of the places showed; ``causal``: whether an event sees only its past."""
        self._clock_us = local_us - journeys.events.time_us
        self._journeys, self._events, self._causal = journeys, journeys.events, causal
        self._parts = parts
        alone = -1 - np.arange(len(parts.lot))
        self._number = np.where(parts.well_formed, parts.lot, alone)  # [U]
        self._lot = _numbered(_one(self._number), parts.company, parts.product, self._number).number  # [U]
        self._lot_of_event = self._lot[self._events.epc]  # [N]

    @cached_property
    def _here(self) -> _Rows:
        events = self._events
        return _Rows(self._journeys.by_time, self._lot_of_event, events.event_type, events.location_id)

    @cached_property
    def _types(self) -> _Rows:
        return _Rows(self._journeys.by_time, self._lot_of_event, self._events.event_type)

    @cached_property
    def _left(self) -> _Rows:
        """By the previous scan: its type and place, or that there is none."""
        (before, has_before), events = self._journeys.previous(), self._events
        kind = np.where(has_before, events.event_type[before], -2).astype(np.int64)
        place = np.where(has_before, events.location_id[before], 0)
        return _Rows(self._journeys.by_time, self._lot_of_event, kind, place)

    @cached_property
    def _by_number(self) -> _Rows:
        """Items [U] by the number of their lot alone."""
        return _Rows(self._items, _one(self._number), self._number)

    @cached_property
    def _by_lot(self) -> _Rows:
        """Items [U] by lot."""
        return _Rows(self._items, _one(self._lot), self._lot)

    @cached_property
    def _items(self) -> _Index:
        """Items [U] in the order of their first scans."""
        return np.argsort(self._journeys.rank[self._journeys.start])

    def products(self, row: int) -> tuple[int, int, int | None]:
        """Return (other items with this lot number, of this product, the product that most of the rest are of)."""
        others = self._other_items(self._by_number, row)
        products = self._parts.product[others]
        own = products == self._parts.product[self._events.epc[row]]
        return len(others), int(own.sum()), _most(products[~own])[0]

    def days(self, row: int) -> tuple[int, int, int | None]:
        """Return (other items of the lot, of the same day, the day since 1970 that most of the rest are of)."""
        others = self._other_items(self._by_lot, row)
        days = self._parts.day[others]
        own = days == self._parts.day[self._events.epc[row]]
        return len(others), int(own.sum()), _most(days[~own])[0]

    def serials(self, row: int) -> _Ints:
        """Return the serials [n] of the mates that were scanned here next to the event, in the order of time.

        Here and in what follows, serials are those that are numbers: a name lies nowhere among them.
        """
        rows = self._here.like(row)
        before, after = _BEFORE if self._causal else _AROUND
        at = int(np.flatnonzero(rows == row)[0])
        item = self._events.epc[rows[max(at - before, 0) : at + after + 1]]
        return self._numbers(item[item != self._events.epc[row]])

    def block(self, row: int) -> Block | None:
        """Return where the serials of the lot's other items lie, but for a few at each end: they may be forged, too.

        None if no other item of the lot that has such a serial is at hand.
        """
        serials = np.sort(self._numbers(self._other_items(self._by_lot, row)))
        if not len(serials):
            return None
        ends = min(_FORGED, len(serials) // _SHARE)
        return Block(len(serials), len(serials) - 2 * ends, int(serials[ends]), int(serials[-1 - ends]))

    def has_name(self, row: int) -> bool:
        """Return whether the serial of a well-formed code is a name, which no other one is near."""
        item = self._events.epc[row]
        return bool(self._parts.well_formed[item] and self._parts.serial[item] < 0)

    def is_outside_block(self, row: int) -> bool:
        """Return whether the serial of an event lies outside of the `block` of its lot."""
        block, serial = self.block(row), int(self._parts.serial[self._events.epc[row]])
        return block is not None and serial >= 0 and not block.low <= serial <= block.high

    def nearest_serial(self, row: int) -> int | None:
        """Return the serial of the lot's other items that is nearest, None if there are none."""
        serials = self._numbers(self._other_items(self._by_lot, row))
        if not len(serials):
            return None
        return int(serials[np.abs(serials - self._parts.serial[self._events.epc[row]]).argmin()])

    def scanned(self, row: int) -> Went:
        """Return where the mates had their scans of this type."""
        return self._went(row, self._seen(row, self._types.like(row)))

    def left(self, row: int) -> Went:
        """Return where the mates were scanned next after the scan that came before this one, or first as this one."""
        return self._went(row, self._seen(row, self._left.like(row)))

    def shipment(self, row: int) -> Went:
        """Return the same of those that left in the same two hours."""
        return self._went(row, self._shipped(row))

    def minutes(self, row: int) -> tuple[int, float]:
        """Return (mates that left with this one and came here, median of the minutes that they took)."""
        rows = self._shipped(row)
        events = self._events
        rows = rows[self._is_here(rows, row)]
        if not len(rows) or self._journeys.position[row] == 0:
            return 0, 0.0
        gaps = (events.time_us[rows] - events.time_us[rows - 1]).tolist()  # few: numpy's median takes longer
        return len(rows), median(gaps) / 60e6

    def _shipped(self, row: int) -> _Index:
        rows = self._seen(row, self._left.like(row))
        shipped: _Index = rows[self._departure[rows] == self._departure[row]]
        return shipped

    @cached_property
    def _departure(self) -> _Ints:
        """The two hours [N] in which the leg to each event began."""
        before, has_before = self._journeys.previous()
        time_us = self._events.time_us
        departure: _Ints = (np.where(has_before, time_us[before], time_us) + self._clock_us) // SHIPMENT_US
        return departure

    def _seen(self, row: int, rows: _Index) -> _Index:
        """Return those of the ``rows`` that are of mates, and in a causal judgement not after the second of ``row``."""
        mates = self._events.epc[rows] != self._events.epc[row]
        if self._causal:
            mates &= self._events.time_us[rows] // INSTANT_US <= self._events.time_us[row] // INSTANT_US
        seen: _Index = rows[mates]
        return seen

    def _numbers(self, items: NDArray[np.integer]) -> _Ints:
        serials: _Ints = self._parts.serial[items]
        return serials[serials >= 0]

    def _other_items(self, items: _Rows, row: int) -> _Index:
        first = self._journeys.start[items.like(int(self._events.epc[row]))]
        return self._events.epc[self._seen(row, first)].astype(np.intp)

    def _is_here(self, rows: _Index, row: int) -> NDArray[np.bool_]:
        events = self._events
        same: NDArray[np.bool_] = (events.location_id[rows] == events.location_id[row]) & (
            events.event_type[rows] == events.event_type[row]
        )
        return same

    def _went(self, row: int, rows: _Index) -> Went:
        here = self._is_here(rows, row)
        location = self._events.location_id[rows]
        elsewhere, most = _most(location[location != self._events.location_id[row]])
        return Went(len(rows), int(here.sum()), elsewhere, most)


def _one(like: NDArray[np.integer]) -> NDArray[np.int32]:
    """Return one group for all."""
    return np.zeros(len(like), dtype=np.int32)


def _numbered(within: NDArray[np.int32], *columns: NDArray[np.integer]) -> Groups:
    """Return the groups of rows that are alike in the group ``within`` that they are of, and in all ``columns``."""
    for column in columns:
        groups = Groups(within, column.astype(np.int64))
        within = groups.number
    return groups


def _most(values: NDArray[np.int64]) -> tuple[int | None, int]:
    """Return (the value that there is most of, how often), (None, 0) of nothing."""
    if not len(values):
        return None, 0
    distinct, count = np.unique(values, return_counts=True)
    most = int(count.argmax())
    return int(distinct[most]), int(count[most])
