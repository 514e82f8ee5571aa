"""What answers for each measure, and how wide its intervals are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from service.flow.forecast.baselines import BASELINES
from service.flow.forecast.intervals import BANDS, band_of, quantiles
from service.flow.forecast.manifest import FlowMeasure
from service.flow.series import MEASURES
from training.flow.origins import HORIZONS
from training.flow.scores import in_time, score
from training.flow.trials import Trials

_LEAST_ERRORS = 60
"""Fewer tell no 90 % interval; a range of horizons with fewer takes the quantiles of the one before."""


def choose(trials: Trials, last_day: int | None) -> dict[str, FlowMeasure]:
    """Return what answers for each measure, by forecasts of days up to ``last_day``; None: of all."""
    truth = in_time(trials, last_day)
    chosen = {}
    for at, name in enumerate(MEASURES):
        errors = {method: _error(trials, said[..., at], truth[..., at]) for method, said in trials.forecasts.items()}
        best = min(errors, key=lambda method: errors[method])
        baseline = min((one.name for one in BASELINES), key=lambda method: errors[method])
        chosen[name] = FlowMeasure(
            method=best,
            weights={best: 1.0},
            baseline=baseline,
            gain=1 - errors[best] / errors[baseline],
            quantiles=_widths(trials, trials.forecasts[best][..., at], truth[..., at], trials.spread[..., at]),
        )
    return chosen


def _error(trials: Trials, forecast: NDArray[np.float32], truth: NDArray[np.float32]) -> float:
    """Return the WAPE of one measure [O, S, H], the mean over grains and the horizons of the tables."""
    found = []
    for grain in np.unique(trials.groups.grain):
        inside = trials.groups.grain == grain
        for horizon in HORIZONS:
            if horizon <= truth.shape[2] and not np.isnan(truth[:, inside, horizon - 1]).all():
                found.append(score(forecast[:, inside, horizon - 1], truth[:, inside, horizon - 1]).wape)
    return float(np.mean(found))


def _widths(
    trials: Trials, forecast: NDArray[np.float32], truth: NDArray[np.float32], spread: NDArray[np.float32]
) -> dict[str, list[list[float]]]:
    """Return the quantiles of the errors of one measure [O, S, H], by grain and range of horizons."""
    scaled = ((truth - forecast) / spread).astype(np.float64)
    band = band_of(truth.shape[2])
    found: dict[str, list[list[float]]] = {}
    for grain in np.unique(trials.groups.grain).tolist():
        rows: list[list[float]] = []
        inside = scaled[:, trials.groups.grain == grain]
        for number in range(len(BANDS)):
            errors = inside[:, :, band == number]
            errors = errors[~np.isnan(errors)]
            if len(errors) >= _LEAST_ERRORS or not rows:
                rows.append(quantiles(errors).tolist())
            else:
                rows.append(rows[-1])
        found[grain] = rows
    return found
