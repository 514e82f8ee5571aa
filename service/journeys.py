"""Orders and groups over flat columns: journeys (one per EPC) and groups of companions, without a Python loop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from service.events import Events

Index = NDArray[np.intp]
Found = tuple[Index, NDArray[np.bool_]]
"""([N] an event for each event, [N] whether there is one; without one the index means nothing)."""

_Scalar = TypeVar("_Scalar", bound=np.generic)


@dataclass(frozen=True, slots=True, eq=False)
class Journeys:
    """N events sorted by (EPC, time, event_id): U journeys, each a run of neighbours."""

    events: Events  # the events in this order
    order: Index  # [N] position in the request of each sorted event
    start: Index  # [U] first event of each journey
    length: Index  # [U] events of each journey
    position: Index  # [N] 0-based place in its journey
    by_time: Index  # [N] the sorted events in the order of (time, event_id): the arrow of time
    rank: Index  # [N] place of each sorted event in by_time

    @classmethod
    def of(cls, events: Events) -> Journeys:
        n = len(events)
        by_time = np.lexsort((events.event_id, events.time_us))
        order = by_time[np.argsort(events.epc[by_time], kind="stable")]
        rank_in_request = np.empty(n, dtype=np.intp)
        rank_in_request[by_time] = np.arange(n)
        rank = rank_in_request[order]
        ordered = Events(
            event_id=events.event_id[order],
            epc=events.epc[order],
            epc_codes=events.epc_codes,
            location_id=events.location_id[order],
            step=events.step[order],
            event_type=events.event_type[order],
            time_us=events.time_us[order],
            file_id=events.file_id[order],
        )
        start = np.flatnonzero(_changes(ordered.epc))
        length = np.diff(start, append=n)
        position = np.arange(n) - np.repeat(start, length)
        return cls(ordered, order, start, length, position, np.argsort(rank), rank)

    def previous(self) -> Found:
        """Return the previous event of the same journey."""
        return np.maximum(np.arange(len(self.order)) - 1, 0), self.position > 0

    def spread(self, per_journey: NDArray[_Scalar]) -> NDArray[_Scalar]:
        """Return a value per event [N] from a value per journey [U]."""
        return np.repeat(per_journey, self.length)


class Group:
    """Events that share a key, in the order of time: statistics of the others in one's group.

    Causal statistics see the earlier members only, retrospective ones all the others.
    """

    def __init__(self, key: NDArray[np.int64], by_time: Index) -> None:
        """Group events by ``key`` [N]; ``by_time`` lists those that are members (one at least) in the order of time.

        What is returned for events that are no members means nothing.
        """
        self.order = by_time[np.argsort(key[by_time], kind="stable")]
        starts = np.flatnonzero(_changes(key[self.order]))
        sizes = np.diff(starts, append=len(by_time))
        self._first = np.repeat(starts, sizes)  # in group order, as everything with an underscore
        self._end = self._first + np.repeat(sizes, sizes)
        self._place = np.zeros(len(key), dtype=np.intp)
        self._place[self.order] = np.arange(len(by_time))

    def others(self, *, causal: bool) -> Index:
        """Return the number [N] of other members."""
        seen = np.arange(len(self.order)) if causal else self._end - 1
        return (seen - self._first)[self._place]

    def sum_of_others(self, values: NDArray[np.float64], *, causal: bool) -> NDArray[np.float64]:
        """Return the sum [N] of ``values`` [N] over the other members."""
        running: NDArray[np.float64] = np.concatenate(([0.0], np.cumsum(values[self.order])))
        sums = (running[:-1] if causal else running[self._end]) - running[self._first]
        return sums[self._place] - (0.0 if causal else values)

    def neighbour(self, steps: int) -> Found:
        """Return the member ``steps`` later (earlier if negative)."""
        return self._member(np.arange(len(self.order)) + steps)

    def stranger(self, owner: NDArray[np.integer], *, later: bool) -> Found:
        """Return the nearest earlier (or ``later``) member with another ``owner`` [N]."""
        run = np.flatnonzero(_changes(owner[self.order]) | _changes(self._first))
        size = np.diff(run, append=len(self.order))
        return self._member(np.repeat(run + size if later else run - 1, size))

    def _member(self, place: Index) -> Found:
        """Return the members at ``place`` [N], which is given and meant in group order."""
        exists = (place >= self._first) & (place < self._end)
        return self.order[np.where(exists, place, 0)][self._place], exists[self._place]


def combine(*parts: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return one key [N] per distinct combination of ``parts`` (each [N], spanning less than 2**31)."""
    key = np.zeros(len(parts[0]), dtype=np.int64)
    for part in parts:
        low = int(part.min(initial=0))
        width = int(part.max(initial=0)) - low + 1
        if (int(key.max(initial=0)) + 1) * width >= 2**62:  # number the keys anew before they leave int64
            key = np.unique(key, return_inverse=True)[1].astype(np.int64)
        key = key * width + (part.astype(np.int64) - low)
    return key


def _changes(values: NDArray[np.generic]) -> NDArray[np.bool_]:
    """Return where [N] a sorted column differs from the entry before; the first always does."""
    changed = np.ones(len(values), dtype=np.bool_)
    np.not_equal(values[1:], values[:-1], out=changed[1:])
    return changed
