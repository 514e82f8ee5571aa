"""Running statistics of groups of scans, over those that no request brings any more.

What `companions` and `traffic` work out from the events of a request it continues here from all earlier scans: counts
and sums per group, and of a lot's scans of one type at one place also the last few. Groups are found by hashes of their
keys, one look-up for all scans of a group that a request brings.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.events.groups import Index
from service.events.hash_table import KeyTable, mix, room
from service.events.vocabulary import TYPES
from service.features.declared import NEIGHBOURS
from service.features.mates import DAY_US, GROUPS, HERE, REACH, SERIAL, SHIPMENT_US, USED

_BASES = ("lot", "product", "all")
_BASE = np.array([_BASES.index(group.of) for group in GROUPS])
_LIFE = 10**15  # more than any number of a product
_NOWHERE = np.iinfo(np.int64).min  # before a first scan: 0 may be a place


@dataclass(frozen=True, slots=True, eq=False)
class Legs:
    """The previous scans of n scans, columns [n]."""

    location: NDArray[np.int64]  # id, 0 before a first scan
    kind: NDArray[np.int64]  # event type 0..TYPES-1, -1 before a first scan
    time_us: NDArray[np.int64]  # the own time for a first scan

    def take(self, index: Index) -> Legs:
        """Return the legs at ``index``."""
        return Legs(self.location[index], self.kind[index], self.time_us[index])

    def where(self, chosen: NDArray[np.bool_], others: Legs) -> Legs:
        """Return the ``others`` where ``chosen``, else these."""
        return Legs(
            np.where(chosen, others.location, self.location),
            np.where(chosen, others.kind, self.kind),
            np.where(chosen, others.time_us, self.time_us),
        )


@dataclass(frozen=True, slots=True, eq=False)
class GroupedScans:
    """n scans as the groups see them, columns [n]."""

    lot: NDArray[np.int64]  # number of the lot
    product: NDArray[np.int64]  # number of the product
    item: NDArray[np.int64]  # hash of the item
    serial: NDArray[np.int64]  # below 0: a name
    location_id: NDArray[np.int64]
    kind: NDArray[np.int64]  # event type 0..TYPES-1
    time_us: NDArray[np.int64]
    legs: Legs
    lane_gap_ratio: NDArray[np.float32]  # the feature
    clock_us: NDArray[np.int64]  # what the clock of the place is ahead of UTC
    area: NDArray[np.int64]  # location id of the hub of the place

    def hour(self, at: Index) -> NDArray[np.float64]:
        """Return the hours since 1970 of the scans ``at``."""
        return self.time_us[at] / 60e6 / 60

    def log_gap(self, at: Index) -> NDArray[np.float64]:
        """Return log1p of the minutes since the previous scan of the item, 0 for a first one, of the scans ``at``."""
        return np.log1p((self.time_us[at] - self.legs.time_us[at]) / 60e6)

    def skipped(self, at: Index) -> NDArray[np.bool_]:
        """Return whether each scan ``at`` is further on in the normal journey than next to the previous one."""
        kind, before = self.kind[at], self.legs.kind[at]
        skipped: NDArray[np.bool_] = (kind != TYPES - 1) & (before != TYPES - 1) & (kind - before > 1)
        return skipped

    def way(self, at: Index) -> NDArray[np.int64]:
        """Return the number [m] of the area that the leg of each scan ``at`` leads into, or of the place of a stay."""
        moved = (self.legs.kind[at] >= 0) & (self.legs.location[at] != self.location_id[at])
        ways: NDArray[np.int64] = np.where(moved, self.area[at], self.location_id[at]) * 2 + moved
        return ways

    def keys(
        self, kind: int | Index, at: Index, life: int = 0, serial: NDArray[np.int64] | None = None
    ) -> NDArray[np.int64]:
        """Return the hash [m] of the group of each ``kind`` that the scans ``at`` belong to, in a life of traffic.

        Those with a ``serial`` [m] are those that they would belong to if that were theirs.
        """
        legs, clock_us = self.legs.take(at), self.clock_us[at]
        departure_us, arrival_us = legs.time_us + clock_us, self.time_us[at] + clock_us
        columns = (  # in the order of COLUMNS
            self.location_id[at],
            self.kind[at],
            np.where(legs.kind < 0, _NOWHERE, legs.location),
            legs.kind,
            departure_us // SHIPMENT_US,
            departure_us // DAY_US,
            arrival_us // SHIPMENT_US,
            arrival_us // DAY_US,
            self.way(at),
            self.serial[at] if serial is None else serial,
        )
        base = np.stack([self.lot[at], self.product[at], np.zeros(len(legs.kind), dtype=np.int64)])
        base[1:] += life * _LIFE
        return mix(
            kind, base[_BASE[kind], np.arange(len(legs.kind))], *(np.stack(columns) * USED[:, np.atleast_1d(kind)])
        )


@dataclass(frozen=True, slots=True, eq=False)
class Sighting:
    """n scans and the M groups of theirs in a `RunningGroups`, looked up once for judging and for adding."""

    scans: GroupedScans
    members: Sequence[Index]  # of each kind of GROUPS: the scans of the groups, group by group, as they happened
    starts: Sequence[Index]  # and where among them each group begins
    keys: NDArray[np.int64]  # [M] kind by kind
    rows: Index  # [M], 0 for a group that nobody has seen


@dataclass(frozen=True, slots=True, eq=False)
class Priors:
    """What there was before a request in the groups that N events belong to; 0 or NaN where it was nothing.

    What is given for events that are no members means nothing.
    """

    count: NDArray[np.float64]  # [GROUPS, N] earlier scans
    total: NDArray[np.float64]  # [GROUPS, N] their sum of what the mean is taken of, if there is such
    minute: NDArray[np.float64]  # [N] of the last scan here of another item
    serial: NDArray[np.int64]  # [NEIGHBOURS, N] of the last scans here before each, the last one last; below 0: none
    neighbours: NDArray[np.float64]  # [2, 2 REACH, N] count and sum of log gaps of the serials below, above, next ones


class _Lasts:
    """The last scans of groups, by rows; row 0 stands for the groups that have none."""

    def __init__(self) -> None:
        self.serial = np.zeros((16, NEIGHBOURS), dtype=np.int64)  # whole: those of 18 digits are too long for a float
        self.item = np.zeros((16, NEIGHBOURS), dtype=np.int64)
        self.last_item = np.zeros(16, dtype=np.int64)
        self.last_hour = np.full(16, np.nan)
        self.stranger_hour = np.full(16, np.nan)  # of the last scan by another item than the last
        self.length = 1

    def stranger_hour_of(self, rows: Index, item: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the hour [N] of each group's last scan by another item than the given one, NaN without one."""
        return np.where(self.last_item[rows] == item, self.stranger_hour[rows], self.last_hour[rows])

    def serials_before(
        self, rows: Index, item: NDArray[np.int64], count: NDArray[np.int64], place: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Return the serials [NEIGHBOURS, N] of the scans before each event at its ``place`` [N] in a request.

        Those of the request itself, of the own item and those that nobody remembers are below 0, as names are.
        """
        steps = np.arange(NEIGHBOURS, 0, -1)[:, None] - place  # back from the begin of the request
        sequence = count - steps
        at = rows * NEIGHBOURS + sequence % NEIGHBOURS
        there = (steps >= 1) & (sequence >= 0) & (self.item.ravel()[at] != item)
        return np.where(there, self.serial.ravel()[at], -1)

    def new(self, count: int) -> Index:
        """Return ``count`` new rows."""
        begin, self.length = self.length, self.length + count
        self.serial, self.item = room(self.serial, self.length), room(self.item, self.length)
        self.last_item = room(self.last_item, self.length)
        self.last_hour = room(self.last_hour, self.length, np.nan)
        self.stranger_hour = room(self.stranger_hour, self.length, np.nan)
        return np.arange(begin, self.length)

    def add(self, rows: Index, before: NDArray[np.int64], scans: GroupedScans, members: Index, start: Index) -> None:
        """Keep the last scans of the groups ``rows`` [m], which had ``before`` [m] scans; the rest as in `Sighting`."""
        size = np.diff(start, append=len(members))
        item, hour = scans.item[members], scans.hour(members)
        place = np.arange(len(members)) - np.repeat(start, size)
        kept = np.flatnonzero(place >= np.repeat(size - NEIGHBOURS, size))
        slot = np.repeat(rows * NEIGHBOURS, size)[kept] + (np.repeat(before, size)[kept] + place[kept]) % NEIGHBOURS
        self.serial.ravel()[slot] = scans.serial[members[kept]]
        self.item.ravel()[slot] = item[kept]

        final = start + size - 1
        begins = np.append(True, item[1:] != item[:-1])  # runs of scans of one item
        begins[start] = True
        run = np.maximum.accumulate(np.where(begins, np.arange(len(item)), 0))[final]  # the last one of each group
        goes_on = (before > 0) & (self.last_item[rows] == item[final])
        earlier = np.where(goes_on, self.stranger_hour[rows], self.last_hour[rows])
        self.stranger_hour[rows] = np.where(run > start, hour[np.maximum(run - 1, 0)], earlier)
        self.last_hour[rows] = hour[final]
        self.last_item[rows] = item[final]


class RunningGroups:
    """Statistics per group; row 0 stands for the groups that nobody has seen."""

    def __init__(self) -> None:
        self._table = KeyTable()
        self._count = np.zeros(64)
        self._total = np.zeros(64)
        self._last_of = np.zeros(64, dtype=np.intp)  # row in _lasts, 0 if not "here"
        self._lasts = _Lasts()
        self._life = 0  # of traffic

    def __len__(self) -> int:
        return len(self._table)

    def begin_traffic_anew(self) -> None:
        """Forget all traffic: what was lost in the store and comes again would count twice."""
        self._life += 1

    def sight(self, scans: GroupedScans, members: Sequence[Index], starts: Sequence[Index]) -> Sighting:
        """Return scans with their groups; see `Sighting`."""
        first = np.concatenate([group[start] for group, start in zip(members, starts, strict=True)])
        kinds = np.repeat(np.arange(len(GROUPS)), [len(start) for start in starts])
        keys = scans.keys(kinds, first, self._life)
        return Sighting(scans, members, starts, keys, self._table.find(keys))

    def sight_all(self, scans: GroupedScans) -> Sighting:
        """Return all of the scans, which are in the order in which they happened, with their groups."""
        members, starts = [], []
        for kind in range(len(GROUPS)):
            key = scans.keys(kind, np.arange(len(scans.lot)), self._life)
            order = np.argsort(key, kind="stable")
            members.append(order)
            starts.append(np.flatnonzero(np.append(True, key[order[1:]] != key[order[:-1]])))
        return self.sight(scans, members, starts)

    def add(self, sighting: Sighting) -> None:
        """Add scans, one at least, sighted since the last ones were added."""
        scans, rows = sighting.scans, self._table.add(sighting.keys, sighting.rows)
        length = len(self._table) + 1
        self._count, self._total = room(self._count, length), room(self._total, length)
        self._last_of = room(self._last_of, length)
        by_kind = np.split(rows, np.cumsum([len(start) for start in sighting.starts[:-1]]))

        members, start, here = sighting.members[HERE], sighting.starts[HERE], by_kind[HERE]
        new = here[self._last_of[here] == 0]
        self._last_of[new] = self._lasts.new(len(new))
        self._lasts.add(self._last_of[here], self._count[here].astype(np.int64), scans, members, start)
        sizes = [
            np.diff(start, append=len(group)) for group, start in zip(sighting.members, sighting.starts, strict=True)
        ]
        self._count[rows] += np.concatenate(sizes)
        values: dict[str, Callable[[Index], NDArray[Any]]] = {
            "hour": scans.hour,
            "log_gap": scans.log_gap,
            "lane_gap_ratio": lambda at: scans.lane_gap_ratio[at],
            "skipped": scans.skipped,
        }
        for kind, group in enumerate(GROUPS):
            if group.mean_of:
                each = values[group.mean_of](sighting.members[kind])
                self._total[by_kind[kind]] += np.add.reduceat(each, sighting.starts[kind], dtype=np.float64)

    def prior(self, sighting: Sighting, numbers: Sequence[Index], serial_step: int) -> Priors:
        """Return what there was in the groups that were sighted; ``numbers`` [GROUPS][N] are those of the events."""
        first = np.cumsum([0, *(len(start) for start in sighting.starts[:-1])])
        rows = sighting.rows[np.stack(numbers) + first[:, None]]  # [GROUPS, N]
        count, here = self._count[rows], rows[HERE]
        members, start = sighting.members[HERE], sighting.starts[HERE]
        place = np.zeros(here.shape, dtype=np.int64)  # of each event among the request's scans here
        place[members] = np.arange(len(members)) - np.repeat(start, np.diff(start, append=len(members)))
        lasts, item = self._last_of[here], sighting.scans.item
        return Priors(
            count=count,
            total=self._total[rows],
            minute=self._lasts.stranger_hour_of(lasts, item) * 60,
            serial=self._lasts.serials_before(lasts, item, count[HERE].astype(np.int64), place),
            neighbours=self._neighbours(sighting.scans, serial_step),
        )

    def _neighbours(self, scans: GroupedScans, serial_step: int) -> NDArray[np.float64]:
        steps = np.array([[-step, step] for step in range(1, REACH + 1)]).ravel() * serial_step
        numbers = (scans.serial + steps[:, None]).ravel()  # [2 REACH * N]
        events = np.tile(np.arange(len(scans.serial)), len(steps))
        rows = self._table.find(scans.keys(SERIAL, events, serial=numbers)).reshape(len(steps), -1)
        return np.stack([self._count[rows], self._total[rows]])
