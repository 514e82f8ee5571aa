"""The workbench on which the variants of the anomalies edit, add and label scans."""

from __future__ import annotations

import numpy as np

from service.events.vocabulary import DIRECTION_OF_TYPE, KINDS
from training.simulation.catalogue import Bools, Catalogue, Floats, Ints
from training.simulation.congestion import Congestion
from training.simulation.scans import HOUR, MAX_SCANS, Items, Scans, merged, new_scans

_TEAM_SIZES = np.array([1, 1, 1, 2, 3, 4])


class Workbench:
    """The scans of a world while anomalies are worked in, with the context that the variants need."""

    def __init__(self, scans: Scans, items: Items, cat: Catalogue, roads: Congestion, rng: np.random.Generator) -> None:
        self.scans, self.items, self.cat, self.roads, self.rng = scans, items, cat, roads, rng
        n, events = len(items.lot), len(scans)
        self.count = np.bincount(scans.item, minlength=n)
        self.index = np.arange(events)
        self.starts = np.r_[True, scans.item[1:] != scans.item[:-1]]  # [N] first scan of its item
        self.ends = np.r_[self.starts[1:], True]  # [N] last scan of its item
        self.gap = np.where(self.starts, 0, np.r_[0, np.diff(scans.time)])  # [N] seconds since the previous scan
        self.wait = np.where(
            self.ends, cat.habits.end - scans.time, np.r_[self.gap[1:], 0]
        )  # [N] seconds until the next one
        before = np.r_[0, scans.step[:-1]]
        after = np.array([cat.habits.after(step) for step in range(MAX_SCANS)])
        self.follows = ~self.starts & (scans.step == after[before])  # [N] comes right after the step before its own
        self.followed = np.r_[self.follows[1:], False]  # [N] the next scan is the next step of the journey
        self.at = np.full((n, MAX_SCANS), -1)  # [n, 10] position of an item's scan by step
        self.at[scans.item, scans.step] = self.index
        self.inbound = DIRECTION_OF_TYPE[scans.step] > 0
        self.outbound = DIRECTION_OF_TYPE[scans.step] < 0
        self.km = np.where(self.starts, 0.0, cat.places.km[np.r_[0, scans.place[:-1]], scans.place])
        self.lane = np.where(self.starts, -1, cat.lanes.between[np.r_[0, scans.place[:-1]], scans.place])
        self.alive = np.ones(events, dtype=bool)
        self.free = np.ones(n, dtype=bool)  # [n] items without an anomaly
        self.forged = np.full(n, -1)  # [n] variant of a forged code
        self.extra: list[Scans] = []
        self.labelled = 0  # of the current kind
        self.kind, self.code = 0, 0  # current kind (index into KINDS) and variant (index into VARIANTS)

    @property
    def regions(self) -> int:
        """How many regions there are."""
        return int(self.cat.places.region.max()) + 1

    def has(self, step: int) -> bool:
        """Return whether normal journeys have the step."""
        return step in self.cat.habits.steps

    def items_of(self, pos: Ints) -> Ints:
        """Return the items of the scans at ``pos``."""
        return self.scans.item[pos]

    def pick(self, eligible: Bools, wanted: float) -> tuple[Ints, Ints]:
        """Take about ``wanted`` of the eligible scans, at most one per item: (positions, team of each)."""
        candidates = np.flatnonzero(eligible & self.free[self.scans.item])
        seeds = self.rng.permutation(candidates)[: int(np.ceil(wanted / _TEAM_SIZES.mean() * 1.5))]
        size = self.rng.choice(_TEAM_SIZES, len(seeds))
        mate = np.arange(_TEAM_SIZES.max())
        item = np.minimum(self.scans.item[seeds][:, None] + mate, len(self.count) - 1)  # [S, 4] neighbours in the lot
        pos = self.at[item, self.scans.step[seeds][:, None]]
        pos[:, 0] = seeds
        shipment = self.items.shipment[item]
        usable = (mate < size[:, None]) & (pos >= 0) & (shipment == shipment[:, :1]) & self.free[item] & eligible[pos]
        flat, team = pos[usable], np.nonzero(usable)[0]
        first = np.sort(np.unique(self.items_of(flat), return_index=True)[1])[: int(np.ceil(wanted))]
        self.free[self.items_of(flat[first])] = False
        return flat[first], team[first]

    def draw(self, team: Ints, low: float = 0.0, high: float = 1.0) -> Floats:
        """Return one uniform number per team, repeated for its members."""
        drawn = self.rng.uniform(low, high, int(team.max(initial=-1)) + 1)
        return np.asarray(drawn[team])

    def choose(self, allowed: Bools, team: Ints) -> Ints:
        """Return for each row of ``allowed`` [R, P] one of its places, the same for a team where its rows agree."""
        options = allowed.sum(axis=1)
        wanted = np.floor(self.draw(team) * options).astype(np.int64)
        return np.asarray(np.argmax(allowed.cumsum(axis=1) > wanted[:, None], axis=1))

    def room(self, scans: int) -> Bools:
        """Return [N]: the item of the scan can take so many more scans."""
        return np.asarray(self.count[self.scans.item] + scans <= MAX_SCANS)

    def label(self, pos: Ints) -> None:
        """Label the scans at ``pos`` with the current variant."""
        self.scans.labels[pos, self.kind] = True
        self.scans.variant[pos] = self.code
        self.labelled += len(pos)

    def add(self, item: Ints, step: Ints | int, place: Ints, time: Ints) -> None:
        """Add labelled scans."""
        rows = new_scans(item, step, place, time)
        rows.labels[:, self.kind] = True
        rows.variant[:] = self.code
        self.count += np.bincount(item, minlength=len(self.count))
        self.labelled += len(item)
        self.extra.append(rows)

    def cut_after(self, pos: Ints) -> None:
        """Drop what comes after the scans at ``pos`` in their items."""
        last = np.full(len(self.count), len(self.index))
        last[self.items_of(pos)] = pos
        self.alive &= self.index <= last[self.scans.item]

    def delay_from(self, pos: Ints, seconds: Ints) -> None:
        """Move the scans at ``pos`` and all later ones of their items into the future, onto the roads of its days."""
        start = np.full(len(self.count), len(self.index))
        start[self.items_of(pos)] = pos
        delay = np.zeros(len(self.count), dtype=np.int64)
        delay[self.items_of(pos)] = seconds
        moved = np.flatnonzero(self.index >= start[self.scans.item])
        before = self.scans.time.copy()
        self.scans.time[moved] += delay[self.scans.item[moved]]
        leg = moved[(self.inbound & self.follows & (self.lane >= 0))[moved] & (moved > start[self.scans.item[moved]])]
        target, lane, taken = self.scans.place[leg], self.lane[leg], before[leg] - before[leg - 1]
        usual = self.roads.usual(taken, lane, self.roads.of(target, before[leg - 1]))
        longer = np.zeros(len(self.index), dtype=np.int64)
        longer[leg] = self.roads.slowed(usual, lane, self.roads.of(target, self.scans.time[leg - 1])) - taken
        total = np.cumsum(longer[moved])
        begin = np.searchsorted(self.scans.item[moved], self.scans.item[moved])
        self.scans.time[moved] += total - total[begin]  # no leg starts a run

    def relocate(self, pos: Ints, place: Ints, late: Floats) -> None:
        """Move the scans at ``pos``, with those that follow at the same place, elsewhere; the journey ends there."""
        scans, last, here = self.scans, pos, np.ones(len(pos), dtype=bool)
        old = scans.place[pos].copy()
        left = scans.time[pos - 1]
        slower = self.roads.of(place, left) / self.roads.of(old, left) - 1
        scans.time[pos] += np.minimum(slower * self.gap[pos], 0.3 * self.wait[pos]).astype(np.int64)
        for _ in range(3):
            scans.place[last[here]] = place[here]
            scans.noise[last[here]] = 0  # a rare lane that it should have taken
            self.label(last[here])
            ahead = np.minimum(last + 1, len(scans) - 1)
            here = here & ~self.ends[last] & (scans.place[ahead] == old)
            last = np.where(here, ahead, last)
        scans.time[pos] += (late * np.minimum(self.wait[pos], 12 * HOUR)).astype(np.int64)
        self.cut_after(last)

    def finished(self) -> Scans:
        """Return the edited scans within the window, in order."""
        scans = merged([self.scans.take(self.alive), *self.extra])
        forged = self.forged[scans.item]
        scans.labels[:, KINDS.index("epcFake")] = forged >= 0
        scans.variant = np.where(scans.variant < 0, forged, scans.variant)
        return scans.take(scans.time <= self.cat.habits.end)


def secs(hours: Floats | float) -> Ints:
    """Return hours as whole seconds."""
    return np.asarray(np.asarray(hours) * HOUR, dtype=np.int64)
