"""Running statistics of groups of mates, over scans that no request brings any more.

What `features_companions` works out from the events of a request it continues here from all earlier scans: counts and
sums per group, and of the scans of one type at one place also the last few. Groups are found by 64-bit hashes of their
keys: among ten million groups two share a hash with a chance of 3 in a million.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from service.codes import Codes
from service.events import Events
from service.journeys import Index

NEIGHBOURS = 8
"""Last scans that a group of one type at one place remembers one by one."""

SHIPMENT_US = 2 * 3_600_000_000
"""Scans of a lot at one place within the same two hours, by the clock, are taken for one shipment."""

_SUMMED = {"here": "hour", "leg": "log_gap", "shipment_here": "log_gap"}
_GROUPS = ("here", "type", "left", "leg", "shipment", "shipment_here")


def mix(meaning: int, *columns: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return a 64-bit hash [n] of each row of ``columns`` (splitmix64 over the columns, one after another).

    ``meaning`` is a small number that tells hashes of other columns apart.
    """
    # Spread over all bits: small meanings and small numbers of lots would meet in the same few.
    mixed: NDArray[np.uint64] = np.array([(meaning + 1) * 0xD1B54A32D192ED03 % 2**64], dtype=np.uint64)
    for column in columns:
        mixed = (mixed + np.uint64(0x9E3779B97F4A7C15)) ^ column.astype(np.int64).view(np.uint64)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed = mixed ^ (mixed >> np.uint64(31))
    return mixed.view(np.int64)


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

    def keys(self) -> dict[str, NDArray[np.int64]]:
        """Return the hash [n] of the scan's group of each name; their meanings are those of `features_companions`."""
        here = mix(0, self.lot, self.location_id, self.kind)
        left = mix(2, self.lot, self.legs.location, self.legs.kind)
        shipment = mix(4, left, self.legs.time_us // SHIPMENT_US)
        return {
            "here": here,
            "type": mix(1, self.lot, self.kind),
            "left": left,
            "leg": mix(3, left, here),
            "shipment": shipment,
            "shipment_here": mix(5, shipment, here),
        }


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


@dataclass(slots=True, eq=False)
class RunningGroups:
    """Statistics per group; row 0 stands for the groups that nobody has seen."""

    _row: dict[int, int] = field(default_factory=dict)
    _count: NDArray[np.float64] = field(default_factory=lambda: np.zeros(1024))
    _total: NDArray[np.float64] = field(default_factory=lambda: np.zeros(1024))
    _last_of: Index = field(default_factory=lambda: np.zeros(1024, dtype=np.intp))  # row in _last, 0 if not "here"
    _last: NDArray[np.void] = field(default_factory=lambda: _unseen(256))
    _lasts: int = 1  # rows of _last in use

    def __len__(self) -> int:
        return len(self._row)

    def add(self, scans: Scans) -> None:
        """Add scans; those of one group in the order in which they happened."""
        keys = scans.keys()
        rows = {name: self._rows(keys[name]) for name in _GROUPS}
        self._add_last(self._last_rows(rows["here"]), self._count[rows["here"]].astype(np.int64), scans)
        for name in _GROUPS:
            np.add.at(self._count, rows[name], 1.0)
            if name in _SUMMED:
                np.add.at(self._total, rows[name], getattr(scans, _SUMMED[name]))

    def look_up(self, scans: Scans, at: Index, n: int) -> Prior:
        """Return what is known for ``scans`` [n of them], spread to N events, of which they are those ``at``."""
        row = {name: np.zeros(n, dtype=np.intp) for name in _GROUPS}
        keys = scans.keys()
        for name in _GROUPS:
            row[name][at] = [self._row.get(key, 0) for key in keys[name].tolist()]
        item = np.zeros(n, dtype=np.int64)
        item[at] = scans.item
        return Prior(
            count={name: self._count[row[name]] for name in _GROUPS},
            total={name: self._total[row[name]] for name in _SUMMED},
            last=self._last[self._last_of[row["here"]]],
            item=item,
        )

    def _rows(self, keys: NDArray[np.int64]) -> Index:
        index = self._row
        rows = np.array([index.get(key, 0) for key in keys.tolist()], dtype=np.intp)
        new = rows == 0
        rows[new] = [index.setdefault(key, len(index) + 1) for key in keys[new].tolist()]
        if len(index) >= len(self._count):
            more = np.zeros(2 * len(index) - len(self._count))
            self._count, self._total = np.concatenate([self._count, more]), np.concatenate([self._total, more])
            self._last_of = np.concatenate([self._last_of, more.astype(np.intp)])
        return rows

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


@dataclass(frozen=True, slots=True, eq=False)
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
        return self.groups.look_up(scans, at, len(events))
