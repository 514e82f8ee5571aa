"""How wide intervals are: quantiles of errors, by kind of series and range of horizons, and what time adds to them.

Errors of one time are no draw from those of another: a network grows, and what forecasts it learns. What the quantiles
of the earlier half of the origins lack in the later half, each tail by itself, all of them lack of what comes: they are
made so many times wider, never narrower. Adaptive conformal inference (Gibbs and
Candes, 2021) does so day by day; a version keeps its widths, so here it is done once.
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

_MOST_WIDER = 2.0
"""Times; what asks for more in half of the time was no error of before."""

_Some = NDArray[np.float32]
_Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ScaledErrors:
    """Errors of the series of one grain."""

    errors: _Some  # [O, S, H] in units of the width, NaN where nothing came
    kind: NDArray[np.intp]  # [O, S] of the series

    def part(self, origins: slice) -> ScaledErrors:
        """Return those of some origins."""
        return ScaledErrors(self.errors[origins], self.kind[origins])


def calibrated(of: ScaledErrors) -> _Numbers:
    """Return the quantiles [kinds, bands, Q] of errors, as wide as later ones ask for."""
    low, high = _lacking(of)
    table = widths(of)
    lower, upper = (PROBABILITIES < 0.5) & (table < 0), (PROBABILITIES > 0.5) & (table > 0)
    return np.select([lower, upper], [table * low, table * high], table)


def widths(of: ScaledErrors) -> _Numbers:
    """Return the quantiles [kinds, bands, Q] of errors."""
    band = band_of(of.errors.shape[2])
    together: list[_Numbers] = []
    for number in range(len(BANDS)):
        here = _known(of.errors[:, :, band == number])
        together.append(quantiles_of(here) if len(here) >= LEAST_ERRORS or not together else together[-1])
    found = np.empty((KINDS_OF_SERIES, len(BANDS), len(PROBABILITIES)))
    for kind in range(KINDS_OF_SERIES):
        before: _Numbers | None = None
        for number in range(len(BANDS)):
            here = _known(of.errors[:, :, band == number][of.kind == kind])
            if len(here) >= LEAST_ERRORS:
                before = quantiles_of(here)
            found[kind, number] = together[number] if before is None else before
    return found


def _lacking(of: ScaledErrors) -> tuple[float, float]:
    """Return how many times wider the lower and the upper tail of the later origins are than the earlier ones."""
    half = len(of.errors) // 2
    earlier, later = of.part(slice(0, half)), of.part(slice(half, None))
    if min(np.isfinite(one.errors[:, :, 0]).sum() for one in (earlier, later)) < LEAST_ERRORS:
        return 1.0, 1.0
    bounds = widths(earlier)[later.kind][:, :, band_of(of.errors.shape[2])]  # [O, S, H, Q]
    found = []
    for side, bound in ((-1, bounds[..., LOWER]), (1, bounds[..., UPPER])):
        reach = np.maximum(side * bound, _LEAST_REACH)
        times = _known(np.maximum(side * later.errors, 0) / reach)
        found.append(min(max(float(np.quantile(times, (1 + COVERAGE) / 2)), 1.0), _MOST_WIDER))
    return found[0], found[1]


def _known(errors: NDArray[np.floating]) -> _Numbers:
    """Return those [N] that are known."""
    known: _Numbers = errors[~np.isnan(errors)].astype(np.float64)
    return known
