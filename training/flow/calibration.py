"""How wide intervals are: quantiles of errors, by kind of series and range of horizons, and what time adds to them.

Errors of one time are no draw from those of another: a network grows, and what forecasts it learns. How many times
further the later half of the origins reaches than the quantiles of the earlier one, each tail by itself, is what time
does to errors, and may do again to those of all origins: they are made so many times wider. Where the later half
reaches less far they are made narrower by the root of that only: half of the errors were those of later, and a promise
is sooner kept by what is too wide. Adaptive conformal inference (Gibbs and Candes, 2021) does so day by day; a version
keeps its widths, so here it is done once.

Errors of a stock are few, however many there are: it is what it was the day before but for what came and left, so that
forecasts of one stretch of time are all wrong alike, those of 31 to 60 days ahead for a month. So are those of a cycle
time, which by Little's law is a stock by what leaves it, if less so: how long the stretches are, its errors show. A
quantile of them is that of as many as there are series and stretches.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.flow.forecast.intervals import BANDS, COVERAGE, KINDS_OF_SERIES, LOWER, PROBABILITIES, UPPER, band_of
from service.flow.forecast.intervals import quantiles as quantiles_of

LEAST_ERRORS = 60
"""Fewer tell no 90 % interval; a range of horizons with fewer is as the one before, a kind of series as all are."""

_LEAST_REACH = 1e-3
"""Of a tail, in units of the width: nothing is times 0."""

_MOST_TIMES = 2.0
"""Further, or nearer, that errors reach in half of the time; what asks for more was no error of before."""

_STRETCH = 0.54
"""Of a horizon: for so long errors so far ahead of what wanders are one. Those from origins d days apart that reach h
days ahead correlate by 1 - d / h there. That both lie beyond 95 % of all correlates by less, so much so that it adds up
to .54 h over all d, before and after."""

_LEAST_NEIGHBOURS = 3
"""Of origins that tell how alike errors of neighbours are."""

_Some = NDArray[np.float32]
_Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ScaledErrors:
    """Errors of the series of one grain."""

    errors: _Some  # [O, S, H] in units of the width, NaN where nothing came
    kind: NDArray[np.intp]  # [O, S] of the series
    origin: NDArray[np.int64] | None  # [O] days of forecasts; None: each error is one of its own
    is_stock: bool  # so that it wanders; of what is none the errors show how far

    def part(self, origins: slice) -> ScaledErrors:
        """Return those of some origins."""
        origin = None if self.origin is None else self.origin[origins]
        return ScaledErrors(self.errors[origins], self.kind[origins], origin, self.is_stock)

    def quantiles(self, band: int, kind: int | None = None) -> _Numbers | None:
        """Return the quantiles [Q] of a range of horizons and a kind of series, None: of all; None if too few tell."""
        here = self.errors[:, :, band_of(self.errors.shape[2]) == band]
        if kind is not None:
            here = np.where((self.kind == kind)[:, :, None], here, np.float32(np.nan))
        errors = _known(here)
        if len(errors) < LEAST_ERRORS:
            return None
        if self.origin is None:
            return quantiles_of(errors)
        reach = BANDS[band] if self.is_stock else min(BANDS[band], _shown_reach(here, self.origin))
        return quantiles_of(errors, _independent(here, self.origin, reach))


def calibrated(of: ScaledErrors) -> _Numbers:
    """Return the quantiles [kinds, bands, Q] of errors, as wide as later ones ask for."""
    low, high = (times if times > 1 else np.sqrt(times) for times in _times_further(of))
    table = widths(of)
    lower, upper = (PROBABILITIES < 0.5) & (table < 0), (PROBABILITIES > 0.5) & (table > 0)
    return np.select([lower, upper], [table * low, table * high], table)


def widths(of: ScaledErrors) -> _Numbers:
    """Return the quantiles [kinds, bands, Q] of errors; raises ValueError if there are none."""
    found = np.empty((KINDS_OF_SERIES, len(BANDS), len(PROBABILITIES)))
    together = quantiles_of(_known(of.errors[:, :, :1]))
    for number in range(len(BANDS)):
        alike = of.quantiles(number)
        together = together if alike is None else alike
        found[:, number] = together
    for kind in range(KINDS_OF_SERIES):
        before: _Numbers | None = None
        for number in range(len(BANDS)):
            own = of.quantiles(number, kind)
            before = before if own is None else own
            found[kind, number] = found[kind, number] if before is None else before
    return found


def _times_further(of: ScaledErrors) -> tuple[float, float]:
    """Return how many times further the lower and the upper tail of the later origins reach than the earlier ones."""
    half = len(of.errors) // 2
    earlier, later = of.part(slice(0, half)), of.part(slice(half, None))
    if min(np.isfinite(one.errors[:, :, 0]).sum() for one in (earlier, later)) < LEAST_ERRORS:
        return 1.0, 1.0
    bounds = widths(earlier)[later.kind][:, :, band_of(of.errors.shape[2])]  # [O, S, H, Q]
    found = []
    for side, bound in ((-1, bounds[..., LOWER]), (1, bounds[..., UPPER])):
        reach = np.maximum(side * bound, _LEAST_REACH)
        times = _known(np.maximum(side * later.errors, 0) / reach)
        found.append(min(max(float(np.quantile(times, (1 + COVERAGE) / 2)), 1 / _MOST_TIMES), _MOST_TIMES))
    return found[0], found[1]


def stretches(told: NDArray[np.int64], reach: float) -> float:
    """Return how many stretches of time origins [O] tell of if those ``reach`` days apart have nothing in common."""
    return min(1 + float(told[-1] - told[0]) / (_STRETCH * reach), len(told))


def _independent(errors: _Some, origin: NDArray[np.int64], reach: float) -> float:
    """Return how many of the errors [O, S, D] are of their own if those ``reach`` days apart have nothing in common."""
    known = np.isfinite(errors).sum(axis=2) > 0  # the days of a forecast are one
    told = origin[known.sum(axis=1) > 0]
    return float(known.sum()) * stretches(told, reach) / len(told)


def _shown_reach(errors: _Some, origin: NDArray[np.int64]) -> float:
    """Return how many days apart the errors [O, S, D] have nothing in common, by those of neighbouring origins.

    Of what wanders up to r days errors d days apart correlate by 1 - d / r. The tenth that is furthest off counts as if
    it were as far off as the rest: one day may have made it.
    """
    told = np.flatnonzero(np.isfinite(errors).any(axis=(1, 2)))
    if len(told) < _LEAST_NEIGHBOURS:
        return np.inf
    usual = errors[told].clip(*np.nanquantile(errors, [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2]))
    both = np.isfinite(usual[1:]) & np.isfinite(usual[:-1])
    after, before = (one[both].astype(np.float64) for one in (usual[1:], usual[:-1]))
    alike = float((after * before).sum() / max(np.sqrt(np.square(after).sum() * np.square(before).sum()), 1e-9))
    apart = float(origin[told[-1]] - origin[told[0]]) / (len(told) - 1)
    return apart / max(1 - max(alike, 0.0), 1e-6)


def _known(errors: NDArray[np.floating]) -> _Numbers:
    """Return those [N] that are known."""
    known: _Numbers = errors[~np.isnan(errors)].astype(np.float64)
    return known
