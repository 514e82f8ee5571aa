"""The events of any network while faults are planted in them.

`training.simulation.workbench` does the same for simulated worlds, whose catalogue knows regions, lanes and block
widths. Here nothing is known but events, the tables learned from them, and the coordinates of the places.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.events import codes
from service.events.columns import Events
from service.events.earth import EARTH_RADIUS_KM
from service.events.journeys import Journeys
from service.events.vocabulary import DIRECTION_OF_TYPE, EVENT_TYPES, KINDS, LEVEL_OF_TYPE, TYPES, type_index
from service.features.keys import product_lot_key
from service.features.mates import SHIPMENT_US
from service.features.reference import Reference

MINUTE_US, HOUR_US, DAY_US = 60_000_000, 3_600_000_000, 86_400_000_000

SOLD = EVENT_TYPES.index("POS_Sell")

ScanRows = NDArray[np.intp]
ScanMask = NDArray[np.bool_]


_TEAM_SIZES = np.array([1, 1, 1, 1, 2, 4])
"""Items that suffer a fault together, most of them alone: mates that are wrong hide each other."""


@dataclass(frozen=True, slots=True, eq=False)
class Planted:
    """M events with planted faults."""

    events: Events
    labels: NDArray[np.float32]  # [M, 5]
    fault: NDArray[np.int16]  # [M] number of the fault that an event shows, -1 for none


class Bed:
    """N events by journey, of which ``free`` items may get a fault; positions are of the order of the journeys."""

    def __init__(
        self, events: Events, clean: ScanMask, reference: Reference, rng: np.random.Generator, most_items: int
    ) -> None:
        """Args: ``clean`` [U] items that may be touched; ``most_items`` of each fault."""
        journeys = Journeys.of(events)
        ordered = journeys.events
        self.events, self.rng, self.reference, self.most_items = events, rng, reference, most_items
        self.codes = list(events.epc_codes)
        self.parts = codes.parse(events.epc_codes)
        # [U] codes with all six parts; those of other schemes may lack some, and are not forged
        self.printable = self.parts.well_formed & np.array([code.count(".") == 5 for code in self.codes])
        self.item = ordered.epc.astype(np.intp)  # [N]
        self.columns: dict[str, NDArray[Any]] = {
            "location_id": ordered.location_id.copy(),
            "step": ordered.step.copy(),
            "event_type": ordered.event_type.copy(),
            "time_us": ordered.time_us.copy(),
            "written_us": ordered.time_us.copy(),  # when the row was written: the order of the ids
            "file_id": ordered.file_id,
            "event_id": ordered.event_id,
        }
        self.type = type_index(ordered.event_type)
        self.level = LEVEL_OF_TYPE[self.type].astype(np.int64)
        way = DIRECTION_OF_TYPE[self.type]
        self.inbound, self.outbound = way > 0, way < 0
        self.place = reference.place_of(ordered.location_id)
        n = len(events)
        self.starts = journeys.position == 0
        self.ends = np.append(self.starts[1:], True)
        self.gap = np.where(self.starts, 0, np.diff(ordered.time_us, prepend=0))
        last = int(ordered.time_us.max())
        self.wait = np.where(self.ends, last - ordered.time_us, np.append(self.gap[1:], 0))
        self.last_us = last
        self.follows = ~self.starts & (self.type == self._next_types(clean)[np.append(0, self.type[:-1])])
        self.followed = np.append(self.follows[1:], False)
        self.km = np.where(self.starts, 0.0, self.km_between(np.append(0, self.place[:-1]), self.place))
        self.clean, self.free = clean, clean.copy()
        self.alive = np.ones(n, dtype=np.bool_)
        self.labels = np.zeros((n, len(KINDS)), dtype=np.bool_)
        self.fault_of = np.full(n, -1, dtype=np.int16)
        self.kind, self.fault = 0, 0  # of what is planted now
        self._lot = np.unique(product_lot_key(self.parts.product, self.parts.lot), return_inverse=True)[1]
        self._team: NDArray[np.intp] = np.zeros(0, dtype=np.intp)  # of the rows picked last
        self._added: list[dict[str, NDArray[Any]]] = []
        self._learn_places(clean)

    def _next_types(self, clean: ScanMask) -> NDArray[np.int64]:
        """Return the type [TYPES] that most often comes after each: a network may lack a level, or sales."""
        goes_on = np.flatnonzero(~self.ends & clean[self.item])
        pairs = np.zeros((TYPES, TYPES), dtype=np.int64)
        np.add.at(pairs, (self.type[goes_on], self.type[goes_on + 1]), 1)
        pairs = np.triu(pairs, 1)  # what is read again, or comes back, is no next step
        following: NDArray[np.int64] = np.where(pairs.any(axis=1), pairs.argmax(axis=1), -1)
        return following

    def _learn_places(self, clean: ScanMask) -> None:
        """Learn the level of each place [P] and the places [products, P] that each product's clean items use."""
        places = len(self.reference.location_id)
        good = (self.place < places) & (self.type < TYPES - 1) & clean[self.item]
        seen = np.zeros((places + 1, int(LEVEL_OF_TYPE.max()) + 2))
        np.add.at(seen, (self.place[good], self.level[good]), 1)
        self.seen_at = seen[:places]  # [P, levels] scans of a level at a place
        self.products, self.product = np.unique(self.parts.product, return_inverse=True)  # [U] row of the product
        self.used = np.zeros((len(self.products), places + 1), dtype=np.bool_)
        self.used[self.product[self.item[good]], self.place[good]] = True

    def km_between(self, a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the distances between places; NaN where one is unknown."""
        points = self.reference.unit_vectors
        cosine = np.clip((points[a] * points[b]).sum(axis=-1), -1, 1)
        distance: NDArray[np.float64] = EARTH_RADIUS_KM * np.arccos(cosine)
        return distance

    def pick(self, eligible: ScanMask) -> ScanRows:
        """Take some of the eligible scans, one of an item at most; some of them with neighbours, for `uniform`."""
        at = np.flatnonzero(eligible & self.free[self.item] & self.alive)
        # Neighbours: scans of one type at one place, in the order of time; an item counts once, with any of its scans.
        at = self.rng.permutation(at)
        at = at[np.sort(np.unique(self.item[at], return_index=True)[1])]
        time = self.columns["time_us"][at]
        at = at[np.lexsort((time, self.type[at], self.place[at], self._lot[self.item[at]]))]
        size = self.rng.choice(_TEAM_SIZES, len(at))
        seeds = np.sort(self.rng.permutation(len(at))[: int(self.most_items / _TEAM_SIZES.mean()) + 1])
        place = seeds[:, None] + np.arange(_TEAM_SIZES.max())
        ahead = np.minimum(place, max(len(at) - 1, 0))
        near = (place < len(at)) & (np.arange(_TEAM_SIZES.max()) < size[seeds][:, None])
        for column in (self._lot[self.item[at]], self.place[at], self.type[at]):
            near &= column[ahead] == column[seeds][:, None]
        near &= self.columns["time_us"][at][ahead] - self.columns["time_us"][at][seeds][:, None] < SHIPMENT_US
        rows, team = at[ahead[near]], np.nonzero(near)[0]
        rows, first = np.unique(rows, return_index=True)
        self._team = team[first]
        self.free[self.item[rows]] = False
        return np.asarray(rows)

    def uniform(self, rows: ScanRows, low: float = 0.0, high: float = 1.0) -> NDArray[np.float64]:
        """Return one number for each of the ``rows`` picked last, the same for those that go together."""
        drawn = self.rng.uniform(low, high, int(self._team.max(initial=-1)) + 1)
        return np.asarray(drawn[self._team] if len(rows) == len(self._team) else self.rng.uniform(low, high, len(rows)))

    def label(self, rows: ScanRows) -> None:
        """Say that the scans at ``rows`` show the fault."""
        self.labels[rows, self.kind] = True
        self.fault_of[rows] = self.fault

    def label_items(self, rows: ScanRows) -> None:
        """Say that all scans of the items of ``rows`` show the fault."""
        self.label(np.flatnonzero(np.isin(self.item, self.item[rows])))

    def move(self, rows: ScanRows, time_us: NDArray[np.integer]) -> None:
        """Change the time of scans, written down when they now happen."""
        self.columns["time_us"][rows] = time_us
        self.columns["written_us"][rows] = time_us

    def delay_from(self, rows: ScanRows, more_us: NDArray[np.integer]) -> None:
        """Move the scans at ``rows`` and all later ones of their items; after the end of the data nothing is seen."""
        delay = np.zeros(len(self.codes), dtype=np.int64)
        start = np.full(len(self.codes), len(self.item))
        delay[self.item[rows]], start[self.item[rows]] = more_us, rows
        later = np.arange(len(self.item)) >= start[self.item]
        self.move(np.flatnonzero(later), self.columns["time_us"][later] + delay[self.item[later]])
        self.alive &= self.columns["time_us"] <= self.last_us

    def cut_after(self, rows: ScanRows) -> None:
        """Drop what comes after ``rows`` in their items."""
        last = np.full(len(self.codes), len(self.item))
        last[self.item[rows]] = rows
        self.alive &= np.arange(len(self.item)) <= last[self.item]

    def choose(self, allowed: ScanMask) -> NDArray[np.int64]:
        """Return for each row of ``allowed`` [R, P] one of its places, the same for those that go together."""
        liked = self.rng.random((int(self._team.max(initial=-1)) + 1, allowed.shape[1]))
        of_row = liked[self._team] if len(allowed) == len(self._team) else self.rng.random(allowed.shape)
        return np.asarray((of_row * allowed).argmax(axis=1))

    def relocate(self, rows: ScanRows, place: NDArray[np.int64]) -> None:
        """Move the scans at ``rows``, with those that follow at the same place, elsewhere; the journey ends there."""
        old, last, here = self.place[rows], rows.copy(), np.ones(len(rows), dtype=np.bool_)
        for _ in range(4):
            self.columns["location_id"][last[here]] = self.reference.location_id[place[here]]
            self.label(last[here])
            ahead = np.minimum(last + 1, len(self.item) - 1)
            here &= ~self.ends[last] & (self.place[ahead] == old)
            last = np.where(here, ahead, last)
        self.cut_after(last)

    def add(
        self,
        rows: ScanRows,
        time_us: NDArray[np.integer],
        place: NDArray[np.int64] | None = None,
        kind: int | None = None,
    ) -> None:
        """Scan the items of ``rows`` once more, labelled: the scan at ``rows`` again unless said otherwise."""
        copy = {name: column[rows].copy() for name, column in self.columns.items()}
        copy["time_us"] = copy["written_us"] = np.asarray(time_us, dtype=np.int64)
        if place is not None:
            copy["location_id"] = self.reference.location_id[place]
        if kind is not None:
            copy["event_type"] = np.full(len(rows), kind, dtype=copy["event_type"].dtype)
            copy["step"] = np.full(len(rows), LEVEL_OF_TYPE[kind], dtype=copy["step"].dtype)
        labels = np.zeros((len(rows), len(KINDS)), dtype=np.bool_)
        labels[:, self.kind] = True
        fault = np.full(len(rows), self.fault, dtype=np.int16)
        self._added.append(copy | {"item": self.item[rows], "labels": labels, "fault": fault})

    def finished(self) -> Planted:
        """Return the events as they are now, ids in the order in which rows were written."""
        own = self.columns | {"item": self.item, "labels": self.labels, "fault": self.fault_of}
        parts = [{name: column[self.alive] for name, column in own.items()}, *self._added]
        whole = {name: np.concatenate([part[name] for part in parts]) for name in own}
        seen = whole["time_us"] <= self.last_us
        whole = {name: column[seen] for name, column in whole.items()}
        order = np.lexsort((whole["event_id"], whole["written_us"]))
        ids = np.empty(len(order), dtype=np.int64)
        ids[order] = np.arange(1, len(order) + 1)
        distinct = {code: number for number, code in enumerate(dict.fromkeys(self.codes))}
        epc = np.array([distinct[code] for code in self.codes], dtype=np.int32)[whole["item"]]
        events = Events(
            event_id=ids,
            epc=epc,
            epc_codes=list(distinct),
            location_id=whole["location_id"],
            step=whole["step"],
            event_type=whole["event_type"],
            time_us=whole["time_us"],
            file_id=whole["file_id"],
        )
        return Planted(events.take(np.arange(len(events))), whole["labels"].astype(np.float32), whole["fault"])
