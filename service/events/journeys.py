"""Journeys over flat columns: the events of each EPC in the order of time, without a Python loop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from service.events.columns import Events
from service.events.groups import Found, Index, changes, sizes, stable_order

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
        by_time = _by_time(events)
        rank, epc = stable_order(events.epc[by_time].astype(np.int64), len(events.epc_codes))
        order = by_time[rank]
        sorted_by_time = np.empty(n, dtype=np.intp)
        sorted_by_time[rank] = np.arange(n)
        ordered = Events(
            event_id=events.event_id[order],
            epc=epc.astype(np.int32),
            epc_codes=events.epc_codes,
            location_id=events.location_id[order],
            step=events.step[order],
            event_type=events.event_type[order],
            time_us=events.time_us[order],
            file_id=events.file_id[order],
        )
        start = changes(epc).nonzero()[0]
        length = sizes(start, n)
        position = np.arange(n) - start.repeat(length)
        return cls(ordered, order, start, length, position, sorted_by_time, rank)

    def previous(self) -> Found:
        """Return the previous event of the same journey."""
        return np.maximum(np.arange(len(self.order)) - 1, 0), self.position > 0

    def spread(self, per_journey: NDArray[_Scalar]) -> NDArray[_Scalar]:
        """Return a value per event [N] from a value per journey [U]."""
        return per_journey.repeat(self.length)


def _by_time(events: Events) -> Index:
    """Return the order of (time, event_id)."""
    time_us, event_id = events.time_us, events.event_id
    low = int(time_us.min()) if len(time_us) else 0
    width = int(time_us.max(initial=low)) - low + 1
    if (event_id[1:] > event_id[:-1]).all():  # as they are numbered mostly
        return stable_order(time_us - low, width)[0]
    by_id = event_id.argsort(kind="stable")
    return by_id[stable_order(time_us[by_id] - low, width)[0]]
