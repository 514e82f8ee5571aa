"""How far forecasts were off, as bounds of the next ones and as the chance that a plan is reached.

Split conformal prediction: errors of the backtest, by measure and horizon, each divided by what its series usually
varies by. Items move in shipments, so a count varies far more than a Poisson one of its size would: the divisor is what
the series itself did, day by day, not the root of the count. Series that stand still most of the time err otherwise
than those that flow, so each kind has quantiles of its own (Mondrian conformal prediction): else what a network that
grows has not reached yet, and what is forecast without an error, would make all others look sure.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.flow.forecast.past import FlowPast

_Numbers = NDArray[np.float64]

PROBABILITIES = np.r_[0.005, 0.01, 0.025, 0.05, np.arange(0.1, 0.91, 0.1), 0.95, 0.975, 0.99, 0.995]
"""Of the quantiles [Q] that are kept."""

BANDS = (1, 3, 7, 14, 30, 60)
"""The last days of the ranges of horizons that share quantiles: day 1, days 2-3, 4-7, 8-14, 15-30, 31-60."""

COVERAGE = 0.9
"""Of the intervals."""

LOWER, UPPER = (int(np.abs(PROBABILITIES - chance).argmin()) for chance in ((1 - COVERAGE) / 2, (1 + COVERAGE) / 2))
"""Numbers of the quantiles, of Q, that intervals go from and to: .05 and .95."""

_SPREAD_DAYS = 56

_ROUNDING = 1e-6
"""Of a rank: what is 19 but for the last bits is 19."""

KINDS_OF_SERIES = 2
"""Those that stand still, and those that flow."""

_FLOWING_DAYS = 5
"""Of the last 56 days, on which something leaves a series that flows."""

_LEAST_OF_CYCLE = 0.1
"""Of the usual cycle time, its least width: of a series that few items left nobody knows what it varies by."""


def band_of(days: int) -> NDArray[np.intp]:
    """Return the number [days] of the range of horizons of each day ahead."""
    return np.searchsorted(BANDS, np.arange(1, days + 1))


def spread(past: FlowPast, days: int) -> _Numbers:
    """Return what the measures [S, days, 3] usually vary by, in their own units; above 0.

    Departures and cycle times vary around their weekday; stock drifts, and the more so the further ahead.
    """
    recent = slice(-_SPREAD_DAYS, None)
    left = past.departures[:, recent]
    around = np.sqrt(np.square(left - left.mean(axis=1, keepdims=True)).mean(axis=1))
    drift = np.sqrt(np.square(np.diff(past.wip, axis=1)[:, recent]).mean(axis=1))
    cycle = past.cycle_h[:, recent]
    known = ~np.isnan(cycle)
    off = np.where(known, cycle - past.usual_cycle_h(_SPREAD_DAYS)[:, None], 0.0)
    cycle_off = np.sqrt(np.square(off).sum(axis=1) / np.maximum(known.sum(axis=1), 1))
    ahead = np.arange(1, days + 1)
    return np.stack(
        [
            np.maximum(drift, 1.0)[:, None] * np.sqrt(ahead),
            np.repeat(np.maximum(around, 0.5)[:, None], days, axis=1),
            np.repeat(np.maximum(cycle_off, 0.5)[:, None], days, axis=1),
        ],
        axis=2,
    )


def width(past: FlowPast, days: int) -> _Numbers:
    """Return what errors of the measures [S, days, 3] are divided by: their spread, for cycle times with a floor."""
    found = spread(past, days)
    usual = _LEAST_OF_CYCLE * past.usual_cycle_h(_SPREAD_DAYS)
    found[..., 2] = np.maximum(found[..., 2], usual[:, None])
    return found


def kind_of_series(past: FlowPast) -> NDArray[np.intp]:
    """Return the kind [S] of each series, of KINDS_OF_SERIES."""
    days = (past.departures[:, -_SPREAD_DAYS:] > 0).sum(axis=1)
    return np.where(days >= _FLOWING_DAYS, np.intp(1), np.intp(0))


def quantiles(errors: _Numbers, independent: float = np.inf) -> _Numbers:
    """Return the quantiles [Q] of N errors in units of their spread, each a rank further out than the sample's.

    A new error is as likely as not to fall between any two of the N, so that what covers 90 % of N needs
    ceil(.9 (N + 1)) of them. Where only so many as ``independent`` are of their own, a rank is one of those: of fewer
    than 19, a bound is the furthest error there was.
    """
    ordered = np.sort(errors)
    count = len(ordered)
    if not count:
        raise ValueError("there are no errors")
    own = max(min(independent, count), 1.0)
    further, nearer = PROBABILITIES * (own + 1) / own, (PROBABILITIES * (own + 1) - 1) / own
    upper, middle = (np.ceil(count * share - _ROUNDING) - 1 for share in (further, PROBABILITIES))
    lower = np.floor(count * nearer + _ROUNDING)
    outer = np.where(PROBABILITIES > 0.5, upper, lower)
    rank = np.where(np.isclose(PROBABILITIES, 0.5), middle, outer).clip(0, count - 1).astype(np.intp)
    kept: _Numbers = ordered[rank]
    return kept


def bounds(
    forecast: NDArray[np.floating[Any]], width: NDArray[np.floating[Any]], of_horizon: _Numbers
) -> tuple[_Numbers, _Numbers]:
    """Return the lower and upper bounds of a forecast [..., days] by its ``width`` and its quantiles [..., days, Q]."""
    low, high = (of_horizon[..., LOWER], of_horizon[..., UPPER])
    lower = np.maximum(forecast + np.minimum(low, 0) * width, 0)
    return lower, forecast + np.maximum(high, 0) * width


def chance_of_reaching(wanted: float, forecast: _Numbers, width: _Numbers, of_horizon: _Numbers) -> _Numbers:
    """Return the share [days] of the errors with which a forecast [days] comes out at ``wanted`` or more, 0 .. 1."""
    needed = (wanted - forecast) / width
    below = [
        np.interp(one, row, PROBABILITIES, left=0.0, right=1.0) for one, row in zip(needed, of_horizon, strict=True)
    ]
    return 1 - np.array(below)
