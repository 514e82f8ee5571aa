"""What learned methods see: the last days of a series beside what is known of the day that is asked about.

One row is one series and one day ahead. All is in units of the series itself, so that one network serves series of all
sizes; what it says is how far the measures are from an anchor, in units of what they usually vary by.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.flow.forecast.baselines import WEEK, WeekdayMean
from service.flow.forecast.intervals import spread
from service.flow.forecast.past import FlowPast
from service.flow.forecast.stock import StockFlow

_Numbers = NDArray[np.float64]
_Rows = NDArray[np.float32]

FEATURES = (
    "wip",  # less that of the last day
    "departures",  # less their mean of 28 days
    "arrivals",  # likewise
    "cycle",  # less the usual cycle time
    "weekday_sin",
    "weekday_cos",
    # of the day asked about, the same on every day of a window:
    "horizon",
    "asked_weekday_sin",
    "asked_weekday_cos",
    "usual_departures",  # weekday mean, less the mean
    "stock_departures",  # what the stock lets expect, less the mean; as the usual ones where no items are known
    "stock_wip",  # change that the stock lets expect; 0 where no items are known
    "stock_known",
    "size",
)
"""F, in the order of the last axis."""

LSTM, TREES = "LSTM", "LightGBM"
"""Names of what learns from windows."""

_LIMIT = 8.0
"""No feature is further from 0: a series that stood still and moves again is no reason to answer wildly."""


@dataclass(frozen=True, slots=True, eq=False)
class FlowWindows:
    """B = S x days rows, the days of a series one after the other."""

    rows: _Rows  # [B, L, F]
    anchor: _Numbers  # [S, days, 3]
    scale: _Numbers  # [S, days, 3]

    @classmethod
    def of(cls, past: FlowPast, days: int, length: int) -> FlowWindows:
        """Return the rows for each of the days ahead of ``past``, which has at least 28 days and ``length``."""
        scale = spread(past, days)
        mean = past.departures[:, -4 * WEEK :].mean(axis=1)
        usual = past.usual_cycle_h()
        last = past.wip[:, -1]
        anchor = np.repeat(np.stack([last, mean, usual], axis=1)[:, None], days, axis=1)
        ahead = past.last_day + 1 + np.arange(days)
        shape = len(past), days, length
        rows = np.empty((*shape, len(FEATURES)), dtype=np.float32)
        for at, column in enumerate(_of_the_past(past, length, scale[:, 0], mean, usual)):
            rows[..., at] = column[:, None, :]
        for at, column in enumerate(_of_the_day(past, ahead, scale, mean), start=6):
            rows[..., at] = column[:, :, None]
        return cls(rows.clip(-_LIMIT, _LIMIT).reshape(-1, length, len(FEATURES)), anchor, scale)


def _of_the_past(past: FlowPast, length: int, scale: _Numbers, mean: _Numbers, usual: _Numbers) -> list[_Numbers]:
    """Return the columns [S, L] of the last days."""
    drift, around, cycle_off = scale.T[..., None]
    days = past.last_day - length + 1 + np.arange(length)
    arrivals = past.arrivals[:, -length:]
    cycle = (past.cycle_h[:, -length:] - usual[:, None]) / cycle_off
    columns = [
        (past.wip[:, -length:] - past.wip[:, -1:]) / drift,
        (past.departures[:, -length:] - mean[:, None]) / around,
        (arrivals - mean[:, None]) / around,
        np.nan_to_num(cycle),
    ]
    return [*columns, *(np.broadcast_to(one, arrivals.shape) for one in _around_the_week(days))]


def _of_the_day(past: FlowPast, ahead: NDArray[np.int64], scale: _Numbers, mean: _Numbers) -> list[_Numbers]:
    """Return the columns [S, days] of the day asked about."""
    shape = len(past), len(ahead)
    usual = (WeekdayMean().forecast(past, len(ahead))[..., 1] - mean[:, None]) / scale[..., 1]
    left, drift, known = usual, np.zeros(shape), 0.0
    if past.stock is not None:
        said = StockFlow().forecast(past, len(ahead))
        left = (said[..., 1] - mean[:, None]) / scale[..., 1]
        drift, known = (said[..., 0] - past.wip[:, -1:]) / scale[..., 0], 1.0
    steady = [(ahead - past.last_day) / 30, *_around_the_week(ahead)]
    size = np.repeat(np.log1p(mean)[:, None] / 5, len(ahead), axis=1)
    return [*(np.broadcast_to(one, shape) for one in steady), usual, left, drift, np.full(shape, known), size]


def _around_the_week(days: NDArray[np.int64]) -> tuple[_Numbers, _Numbers]:
    angle = 2 * np.pi * days / WEEK
    return np.sin(angle), np.cos(angle)


class Learned:
    """Forecasts by a network or by trees, whoever runs them."""

    def __init__(self, name: str, length: int, run: Callable[[_Rows], _Rows]) -> None:
        """Take what answers with [B, 3] to rows [B, ``length``, F]."""
        self.name = name
        self.least_days = max(4 * WEEK, length)
        self.length, self.run = length, run

    def forecast(self, past: FlowPast, days: int) -> _Numbers:
        """See `FlowMethod.forecast`."""
        windows = FlowWindows.of(past, days, self.length)
        said = self.run(windows.rows).reshape(len(past), days, 3).astype(np.float64)
        return np.maximum(windows.anchor + said * windows.scale, 0)
