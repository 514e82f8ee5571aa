"""How the version that answers now would have done where a backtest measures: what the gate of a new one rests on.

Where it cannot be said there are no errors, and a note says why: too few days that are new to it, a history of other
dimensions, or a forecast that the version refuses. The gate then asks nothing of the new one but to beat the baselines.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from service.flow.forecast.forecaster import FlowForecaster
from service.flow.gate import CHAMPION, SERVED
from service.flow.series import MEASURES
from training.flow.backtest import Backtest
from training.flow.origins import HORIZONS
from training.flow.scores import score

_LEAST_ORIGINS = 5
"""Fewer say nothing."""


@dataclass(frozen=True, slots=True)
class Champion:
    """The version that answers now."""

    forecaster: FlowForecaster
    manifest_sha256: str


def compare_with(champion: Champion, found: Backtest) -> dict[str, JsonValue]:
    """Return the errors of the champion and of what was chosen, by measure and horizon, from the same origins.

    Those are the origins after the end of the champion's history: it has learned from all days before. Without enough
    of them, for a history of other dimensions, or if the champion refuses to forecast from one of them, ``errors`` is
    empty and ``note`` says why.
    """
    said: dict[str, JsonValue] = {"manifest_sha256": champion.manifest_sha256, "model": champion.forecaster.title}
    history, trials = champion.forecaster.history, found.testing
    if tuple(history.dimensions) != tuple(found.rolling.history.series.dimensions):
        return {**said, "errors": {}, "note": f"its history is of {', '.join(history.dimensions)}"}
    later = np.flatnonzero(trials.origin >= history.last_day)
    if len(later) < _LEAST_ORIGINS:
        return {**said, "errors": {}, "note": f"only {len(later)} of the days to forecast from are new to it"}
    try:
        its = _forecasts(champion.forecaster, found, trials.origin[later])
    except ValueError as error:
        return {**said, "errors": {}, "note": str(error)}
    served = found.served(trials)[later]
    errors: dict[str, JsonValue] = {}
    for at, measure in enumerate(MEASURES):
        of_measure: dict[str, JsonValue] = {}
        for day in (horizon - 1 for horizon in HORIZONS if horizon <= found.origins.days):
            truth = trials.truth[later, :, day, at]
            if not np.isnan(truth).all():
                of_measure[str(day + 1)] = {
                    SERVED: score(served[:, :, day, at], truth).wape,
                    CHAMPION: score(its[:, :, day, at], truth).wape,
                }
        errors[measure] = of_measure
    return {**said, "origins": len(later), "errors": errors}


def _forecasts(forecaster: FlowForecaster, found: Backtest, origins: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return what a version says [O, S, H, 3] from what was known at each origin."""
    grains, days = found.testing.groups.grain.tolist(), found.origins.days
    return np.stack(
        [forecaster.forecast(found.rolling.past_at(int(origin)), grains, days).astype(np.float32) for origin in origins]
    )
