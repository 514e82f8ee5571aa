"""Running statistics of groups of mates, over scans that no request brings any more.

What `features_companions` works out from the events of a request it continues here from all earlier scans: counts and
sums per group, and of the scans of one type at one place also the last few. Groups are found by hashes of their keys.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from service.codes import Codes
from service.events import Events
from service.history_table import KeyTable, mix, room
from service.journeys import Index

NEIGHBOURS = 8
"""Last scans that a group of one type at one place remembers one by one."""

SHIPMENT_US = 2 * 3_600_000_000
"""Scans of a lot at one place within the same two hours, by the clock, are taken for one shipment."""

_GROUPS = ("here", "type", "left", "leg", "shipment", "shipment_here")
"""Groups that a scan belongs to, in the order of every [6, ..] array here; `features_companions` says which."""

_SUMMED = {"here": "hour", "leg": "log_gap", "shipment_here": "log_gap"}
_MEANINGS = np.arange(len(_GROUPS))[:, None]


@dataclass(frozen=True, slots=True, eq=False)
class Legs:
    """The previous scans of n scans, columns [n]."""

    location: NDArray[np.int64]  # id, 0 before a first scan
    kind: NDArray[np.int64]  # event type 0..TYPES-1, -1 before a first scan
    time_us: NDArray[np.int64]  # the own time for a first scan

    def of_context(self, stored: Legs, order: Index, fresh: NDArray[np.bool_]) -> Legs:
        """Return these legs where events are ``fresh``, elsewhere the ``stored`` ones, sorted by ``order``."""
        return Legs(
            np.where(fresh, self.location, stored.location[order]),
            np.where(fresh, self.kind, stored.kind[order]),
            np.where(fresh, self.time_us, stored.time_us[order]),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Scans:
    """n scans as the groups see them, columns [n]."""

    lot: NDArray[np.int64]  # number of the lot
    item: NDArray[np.int64]  # hash of the item
    serial: NDArray[np.float64]
    location_id: NDArray[np.int64]
    kind: NDArray[np.int64]  # event type 0..TYPES-1
    time_us: NDArray[np.int64]
    legs: Legs

    @property
    def hour(self) -> NDArray[np.float64]:
        """Hours since 1970."""
        return self.time_us / 60e6 / 60

    @property
    def log_gap(self) -> NDArray[np.float64]:
        """log1p of the minutes since the previous scan of the item, 0 for a first one."""
        return np.log1p((self.time_us - self.legs.time_us) / 60e6)

    def keys(self) -> NDArray[np.int64]:
        """Return the hash [6, n] of the scan's group of each kind."""
        legs = self.legs
        places = np.stack([self.location_id, np.zeros_like(self.location_id), legs.location])
        here, of_type, left = mix(_MEANINGS[:3], self.lot, places, np.stack([self.kind, self.kind, legs.kind]))
        leg, shipment = mix(_MEANINGS[3:5], left, np.stack([here, legs.time_us // SHIPMENT_US]))
        return np.stack([here, of_type, left, leg, shipment, mix(_MEANINGS[5:], shipment, here)[0]])

    def take(self, index: Index) -> Scans:
        """Return the scans at ``index``."""
        legs = Legs(self.legs.location[index], self.legs.kind[index], self.legs.time_us[index])
        return Scans(
            self.lot[index],
            self.item[index],
            self.serial[index],
            self.location_id[index],
            self.kind[index],
            self.time_us[index],
            legs,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Sighting:
    """n scans and their groups in a `RunningGroups`, looked up once for judging and for adding."""

    scans: Scans
    keys: NDArray[np.int64]  # [6, n]
    rows: Index  # [6, n], 0 for a group that nobody has seen

    def take(self, index: Index) -> Sighting:
        """Return the scans at ``index``."""
        return Sighting(self.scans.take(index), self.keys[:, index], self.rows[:, index])


@dataclass(frozen=True, slots=True, eq=False)
class Prior:
    """What was known of the groups of N events before the request, by group name; all zero where it was nothing."""

    count: dict[str, NDArray[np.float64]]  # [N] earlier scans
    total: dict[str, NDArray[np.float64]]  # [N] their sum of hours ("here") or log gaps ("leg", "shipment_here")
    last: NDArray[np.void]  # [N] of `_LAST`, for "here"
    item: NDArray[np.int64]  # [N] hash of the event's own item

    def neighbour(self, steps: Index) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Return (serial [.., N] of the scan here ``steps`` [.., N] before the request, whether a mate's is there)."""
        sequence = self.count["here"].astype(np.int64) - steps
        slot, event = sequence % NEIGHBOURS, np.arange(steps.shape[-1])
        exists = (steps >= 1) & (steps <= NEIGHBOURS) & (sequence >= 0)
        return self.last["serial"][event, slot], exists & (self.last["item"][event, slot] != self.item)

    def stranger_hour(self) -> NDArray[np.float64]:
        """Return the hour [N] of the last scan here by another item, NaN if there is none."""
        own = self.last["last_item"] == self.item
        return np.where(own, self.last["stranger_hour"], self.last["last_hour"])


_LAST = np.dtype(
    [
        ("serial", np.float64, NEIGHBOURS),
        ("item", np.int64, NEIGHBOURS),
        ("last_item", np.int64),
        ("last_hour", np.float64),
        ("stranger_hour", np.float64),  # of the last scan by another item than the last
    ]
)


class RunningGroups:
    """Statistics per group; row 0 stands for the groups that nobody has seen."""

    def __init__(self) -> None:
        self._table = KeyTable()
        self._count = np.zeros(64)
        self._total = np.zeros(64)
        self._last_of = np.zeros(64, dtype=np.intp)  # row in _last, 0 if not "here"
        self._last = _unseen(16)
        self._lasts = 1  # rows of _last in use

    def __len__(self) -> int:
        return len(self._table)

    def sight(self, scans: Scans) -> Sighting:
        """Return scans with their groups."""
        keys = scans.keys()
        return Sighting(scans, keys, self._table.find(keys.ravel()).reshape(keys.shape))

    def add(self, sighting: Sighting) -> None:
        """Add scans, sighted since the last ones were added; those of one group in the order in which they happened."""
        scans, shape = sighting.scans, sighting.rows.shape
        rows = self._table.add(sighting.keys.ravel(), sighting.rows.ravel()).reshape(shape)
        length = len(self._table) + 1
        self._count, self._total = room(self._count, length), room(self._total, length)
        self._last_of = room(self._last_of, length)
        here = rows[_GROUPS.index("here")]
        self._add_last(self._last_rows(here), self._count[here].astype(np.int64), scans)
        np.add.at(self._count, rows.ravel(), 1.0)
        for name, column in _SUMMED.items():
            np.add.at(self._total, rows[_GROUPS.index(name)], getattr(scans, column))

    def prior(self, sighting: Sighting, at: Index, n: int) -> Prior:
        """Return what is known for sighted scans, spread to N = ``n`` events, of which they are those ``at``."""
        rows = np.zeros((len(_GROUPS), n), dtype=np.intp)
        rows[:, at] = sighting.rows
        item = np.zeros(n, dtype=np.int64)
        item[at] = sighting.scans.item
        return Prior(
            count=dict(zip(_GROUPS, self._count[rows], strict=True)),
            total={name: self._total[rows[_GROUPS.index(name)]] for name in _SUMMED},
            last=self._last[self._last_of[rows[0]]],
            item=item,
        )

    def _last_rows(self, rows: Index) -> Index:
        """Return the rows [n] in ``_last`` of groups given by their rows, new ones for new groups."""
        new = np.unique(rows[self._last_of[rows] == 0])
        end = self._lasts + len(new)
        if end > len(self._last):
            self._last = np.concatenate([self._last, _unseen(max(end, len(self._last)))])
        self._last_of[new] = np.arange(self._lasts, end)
        self._lasts = end
        return self._last_of[rows]

    def _add_last(self, rows: Index, before: NDArray[np.int64], scans: Scans) -> None:
        """Keep the last scans of each group, given ``rows`` [n] and how many each group had ``before`` [n]."""
        order = np.argsort(rows, kind="stable")
        row, item, hour = rows[order], scans.item[order], scans.hour[order]
        is_first = np.append(True, row[1:] != row[:-1])
        first = np.flatnonzero(is_first)
        size = np.diff(first, append=len(row))
        place = np.arange(len(row)) - np.repeat(first, size)
        kept = place >= np.repeat(size, size) - NEIGHBOURS
        slot = (before[order] + place)[kept] % NEIGHBOURS
        self._last["serial"][row[kept], slot] = scans.serial[order][kept]
        self._last["item"][row[kept], slot] = item[kept]

        group, final = row[first], first + size - 1
        runs = np.flatnonzero(is_first | np.append(True, item[1:] != item[:-1]))  # of scans of one item
        run = runs[np.searchsorted(runs, final, side="right") - 1]  # the last one of each group
        last = self._last[group]
        goes_on = (before[order][first] > 0) & (last["last_item"] == item[final])
        earlier = np.where(goes_on, last["stranger_hour"], last["last_hour"])
        self._last["stranger_hour"][group] = np.where(run > first, hour[np.maximum(run - 1, 0)], earlier)
        self._last["last_hour"][group] = hour[final]
        self._last["last_item"][group] = item[final]


def _unseen(rows: int) -> NDArray[np.void]:
    last = np.zeros(rows, dtype=_LAST)
    last["last_hour"] = last["stranger_hour"] = np.nan
    return last


@dataclass(slots=True, eq=False)
class Past:
    """What is known beside a request: N events, of which some are context, and what their groups did before.

    Context events are stored ones of the same items: known, judged before, and counted in ``groups`` already.
    """

    fresh: NDArray[np.bool_]  # [N] events that are to be judged for the first time, in the order of the events given
    legs: Legs  # [N] of the context, as it was judged; as the next
    companions: NDArray[np.float32]  # [N, C] companion features
    parts: Codes  # of the U codes
    lot: NDArray[np.int64]  # [U] number of the lot of each code
    item: NDArray[np.int64]  # [U] hash of each item
    known: NDArray[np.bool_]  # [U] the item has context
    items: dict[str, NDArray[np.float64]]  # by group of items, [U] items known before
    groups: RunningGroups
    sighting: Sighting = field(init=False)  # of the fresh events, in the order of their journeys: set by `prior`

    def prior(self, events: Events, kind: NDArray[np.int64], legs: Legs, at: Index) -> Prior:
        """Return what the groups did before N events; those ``at`` are fresh, the others get zeros."""
        epc = events.epc[at]
        scans = Scans(
            lot=self.lot[epc],
            item=self.item[epc],
            serial=self.parts.serial[epc].astype(np.float64),
            location_id=events.location_id[at],
            kind=kind[at],
            time_us=events.time_us[at],
            legs=Legs(legs.location[at], legs.kind[at], legs.time_us[at]),
        )
        self.sighting = self.groups.sight(scans)
        return self.groups.prior(self.sighting, at, len(events))
