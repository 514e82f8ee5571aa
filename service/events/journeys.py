"""Journeys over flat columns: the events of each EPC in the order of time, without a Python loop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from service.events.columns import Events
from service.events.groups import Found, Index, lay_out, time_order

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

    @classmethod
    def of(cls, events: Events) -> Journeys:
        by_time = time_order(events.time_us, events.event_id)
        order, position, row_of = np.empty((3, len(events)), dtype=np.intp)
        bounds = np.zeros(len(events.epc_codes) + 1, dtype=np.int32)
        lay_out(events.epc, by_time, bounds, order, position, row_of)
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
        start = bounds[:-1].astype(np.intp)
        length = bounds[1:] - start
        if not length.all():  # every code has events, except in what tests make up
            start, length = start[length > 0], length[length > 0]
        return cls(ordered, order, start, length, position, row_of[by_time])

    @property
    def rank(self) -> Index:
        """The place [N] of each sorted event in ``by_time``."""
        rank = np.empty(len(self.by_time), dtype=np.intp)
        rank[self.by_time] = np.arange(len(rank))
        return rank

    def previous(self) -> Found:
        """Return the previous event of the same journey."""
        return np.maximum(np.arange(len(self.order)) - 1, 0), self.position > 0

    def spread(self, per_journey: NDArray[_Scalar]) -> NDArray[_Scalar]:
        """Return a value per event [N] from a value per journey [U]."""
        return per_journey.repeat(self.length)
