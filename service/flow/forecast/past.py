"""The history that a forecast starts from, and the contract of what forecasts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from service.flow.series import FlowSeries

_Numbers = NDArray[np.float64]

MOST_DAYS = 60
"""Forecasts go no further."""


@dataclass(frozen=True, slots=True, eq=False)
class FlowPast:
    """S series of T days up to an origin: sums over the keys of a model."""

    last_day: int  # days since 1970; the first day of a forecast is the next one
    wip: _Numbers  # [S, T]
    departures: _Numbers  # [S, T]
    cycle_h: _Numbers  # [S, T] NaN where nothing left
    stock: _Numbers | None = None  # [S, 1 + MOST_DAYS, 3] of `Stock.ahead`; None: the history knows no items

    @classmethod
    def of(cls, series: FlowSeries, members: NDArray[np.bool_], ahead: _Numbers | None = None) -> FlowPast:
        """Return the past of S groups of keys [S, K], whose items flow ``ahead`` [K, 1 + MOST_DAYS, 3]."""
        stock = None if ahead is None else np.tensordot(members.astype(np.float64), ahead, axes=1)
        return cls(series.last_day, *series.summed(members), stock)

    def __len__(self) -> int:
        return len(self.wip)

    @property
    def days(self) -> int:
        """T."""
        return int(self.wip.shape[1])

    @property
    def arrivals(self) -> _Numbers:
        """Items [S, T] that came: what is more there than before, and what left. Unknown, so 0, on the first day."""
        more = np.diff(self.wip, axis=1, prepend=self.wip[:, :1])
        arrivals = more + self.departures
        arrivals[:, 0] = 0
        return np.maximum(arrivals, 0)

    def stacked(self) -> _Numbers:
        """Return the three measures [S, T, 3] in the order of MEASURES."""
        return np.stack([self.wip, self.departures, self.cycle_h], axis=2)

    def usual_cycle_h(self, days: int = 28) -> _Numbers:
        """Return the mean cycle time [S] of what left in the last days; of all that left if nothing did, else 0."""
        return np.nan_to_num(_mean_cycle(self, days))


def _mean_cycle(past: FlowPast, days: int) -> _Numbers:
    hours = np.nan_to_num(past.cycle_h * past.departures)
    with np.errstate(invalid="ignore", divide="ignore"):
        recent = hours[:, -days:].sum(axis=1) / past.departures[:, -days:].sum(axis=1)
        ever = hours.sum(axis=1) / past.departures.sum(axis=1)
    known: _Numbers = np.where(np.isnan(recent), ever, recent)
    return known


class FlowMethod(Protocol):
    """Something that forecasts."""

    name: str
    least_days: int  # of history that it needs

    def forecast(self, past: FlowPast, days: int) -> _Numbers:
        """Return the measures [S, days, 3] of the days after ``past``, in the order of MEASURES; none is negative."""
        ...
