"""The cases of a log, and the stays and the history that they are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from service.events.zones import TimeZones
from service.flow.measures import measure
from service.flow.series import FlowSeries
from service.flow.stays import STILL_THERE, Known, Stays
from training.flow.history import FlowHistory
from training.flow.items import ItemDays

Visits = list[tuple[str, int]]
"""The queues that a case came to with their times in microseconds, the end last, which has no name."""


@dataclass(frozen=True, slots=True)
class EventLog:
    """What is known of a log."""

    visits: list[Visits]  # by case
    product: list[int]  # of each case
    zone: str  # of the clock that days are of
    first_day: str | None  # that counts; None: that of the first event
    last_day: str  # that counts

    def stays(self) -> tuple[Stays, list[str]]:
        """Return the stays of all cases, and a code for each case."""
        codes = [
            f"001.0000001.{product:07d}.000001.20111001.{number:09d}" for number, product in enumerate(self.product)
        ]
        queues = sorted({name for visits in self.visits for name, _ in visits if name})
        rows = [
            (case, queues.index(name), came, visits[at + 1][1], visits[0][1])
            for case, visits in enumerate(self.visits)
            for at, (name, came) in enumerate(visits[:-1])
        ]
        epc, place, came, left, first = (np.array(column, dtype=np.int64) for column in zip(*rows, strict=True))
        nothing = np.zeros(len(rows), dtype=np.int8)
        stays = Stays(
            epc=epc.astype(np.int32), location_id=place + 1, step=nothing - 1, arrived_us=came, left_us=left,
            arrival=nothing, departure=nothing + Known.SCANNED, first_us=first, sold=nothing.astype(np.bool_),
            last_us=int(left.max()),
        )  # fmt: skip
        assert (left < STILL_THERE).all()
        return stays, codes

    def history(self) -> FlowHistory:
        """Return the history of the days that count."""
        stays, codes = self.stays()
        zones = TimeZones(self.zone)
        series = FlowSeries.from_flow(measure(stays, codes, zones)).until(_number(self.last_day))
        if self.first_day is not None:
            series = series.since(_number(self.first_day))
        return FlowHistory(series, ItemDays.of(stays, codes, zones, series))


def _number(day: str) -> int:
    return int(np.datetime64(day, "D").astype(np.int64))
