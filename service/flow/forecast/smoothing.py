"""Exponential smoothing: forecasts that follow the level, the trend and the week of one series.

ETS are the additive forms of Hyndman et al. (2008), with and without a damped trend and a week; the form and its
parameters are chosen by AICc from a grid, for all series at once. Theta is that of Assimakopoulos and Nikolopoulos
(2000). Neither statsforecast (it holds pandas below 3 and brings numba and fugue) nor statsmodels (a search per series,
too slow for a backtest and no part of a gateway) is used: what answers in service has to be numpy alone.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

from service.flow.forecast.baselines import WEEK
from service.flow.forecast.past import FlowPast

_Numbers = NDArray[np.float64]

SMOOTHED_DAYS = 112
"""Of the history that are smoothed."""

_GRID = np.array(
    [
        (level, trend, week, phi, 2 + 2 * (phi > 0) + 8 * has_week, has_week)
        for level, (trend, phi), (week, has_week) in product(
            (0.05, 0.15, 0.3, 0.5, 0.8), ((0.0, 0.0), (0.05, 0.95), (0.2, 0.9)), ((0.0, 0), (0.05, 1), (0.2, 1))
        )
    ]
)
"""[G, 6] smoothing of level, trend and week, damping, number of parameters, whether there is a week."""


class Ets:
    """The form of exponential smoothing that suits each series."""

    name = "ETS"
    least_days = 4 * WEEK

    def forecast(self, past: FlowPast, days: int) -> _Numbers:
        """See `FlowMethod.forecast`."""
        return np.moveaxis(_smoothed(_measures(past), days).reshape(3, len(past), days), 0, 2)


class Theta:
    """Half of the trend, from a smoothed level, beside the usual week."""

    name = "Theta"
    least_days = 4 * WEEK

    def forecast(self, past: FlowPast, days: int) -> _Numbers:
        """See `FlowMethod.forecast`."""
        return np.moveaxis(_theta(_measures(past), days).reshape(3, len(past), days), 0, 2)


def _measures(past: FlowPast) -> _Numbers:
    """Return the last days of the measures [3 S, T], one after the other.

    A cycle time is the one before where nothing left.
    """
    cycle = past.cycle_h[:, -SMOOTHED_DAYS:]
    known = np.maximum.accumulate(np.where(np.isnan(cycle), -1, np.arange(cycle.shape[1])), axis=1)
    carried = np.take_along_axis(cycle, np.maximum(known, 0), axis=1)
    filled = np.where(known >= 0, carried, past.usual_cycle_h()[:, None])
    return np.concatenate([past.wip[:, -SMOOTHED_DAYS:], past.departures[:, -SMOOTHED_DAYS:], filled])


def _week_of(values: _Numbers) -> _Numbers:
    """Return how each of the seven days [S, 7] differs from the mean, over whole weeks; the first is the series'."""
    whole = values[:, values.shape[1] % WEEK :].reshape(len(values), -1, WEEK)
    week: _Numbers = (whole - whole.mean(axis=2, keepdims=True)).mean(axis=1)
    return np.roll(week, values.shape[1] % WEEK, axis=1)


def _smoothed(values: _Numbers, days: int) -> _Numbers:
    """Return the forecast [S, days] of series [S, T] by the best of the grid."""
    alpha, beta, gamma, phi, parameters, has_week = (column[:, None] for column in _GRID.T)
    level = np.repeat(values[None, :, :WEEK].mean(axis=2), len(_GRID), axis=0)  # [G, S]
    trend = np.zeros_like(level)
    week = _week_of(values).T[:, None, :] * has_week  # [7, G, S]
    squares = np.zeros_like(level)
    for day in range(values.shape[1]):
        at = day % WEEK
        expected = level + phi * trend
        off = values[:, day] - expected - week[at]
        squares += off * off
        level = expected + alpha * off
        trend = phi * trend + beta * off
        week[at] += gamma * off
    count = values.shape[1]
    aicc = count * np.log(squares / count + 1e-9) + 2 * parameters * count / np.maximum(count - parameters - 1, 1)
    best = aicc.argmin(axis=0)
    series = np.arange(values.shape[0])
    ahead = np.arange(1, days + 1)
    damping = _GRID[best, 3][:, None]
    steps = np.where(damping > 0, (damping ** ahead[None, :]).cumsum(axis=1), 0.0)
    season = week[:, best, series].T[:, (count + ahead - 1) % WEEK]
    ahead_of: _Numbers = np.maximum(level[best, series][:, None] + steps * trend[best, series][:, None] + season, 0)
    return ahead_of


def _theta(values: _Numbers, days: int) -> _Numbers:
    """Return the forecast [S, days] of series [S, T]."""
    count = values.shape[1]
    week = _week_of(values)
    plain = values - week[:, np.arange(count) % WEEK]
    alphas = np.array([0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0])[:, None]
    level = np.repeat(plain[None, :, 0], len(alphas), axis=0)
    squares = np.zeros_like(level)
    for day in range(1, count):
        off = plain[:, day] - level
        squares += off * off
        level = level + alphas * off
    best = squares.argmin(axis=0)
    time = np.arange(count) - (count - 1) / 2
    slope = (plain @ time) / (time @ time)
    alpha = alphas[best, 0]
    ahead = np.arange(1, days + 1)
    drift = ahead[None, :] - 1 + (1 - (1 - alpha) ** count)[:, None] / alpha[:, None]
    said = level[best, np.arange(len(values))][:, None] + slope[:, None] / 2 * drift
    ahead_of: _Numbers = np.maximum(said + week[:, (count + ahead - 1) % WEEK], 0)
    return ahead_of
