"""A backtest as tables."""

from __future__ import annotations

import numpy as np

from service.flow.gate import SERVED
from service.flow.series import MEASURES
from training.evaluation.tables import Sheet
from training.flow.backtest import Backtest
from training.flow.origins import HORIZONS
from training.flow.scores import mean_wape

_NAMES = {"wip": "WIP", "throughput": "Throughput", "cycle_h": "Cycle time"}


def sheets_of(found: Backtest) -> list[Sheet]:
    """Return the tables of a backtest: errors by measure, what was chosen, a week together, intervals."""
    return [*(_errors(found, measure) for measure in MEASURES), _choice(found), _weeks(found), _intervals(found)]


def _errors(found: Backtest, measure: str) -> Sheet:
    scores = found.scores()
    horizons = [h for h in HORIZONS if (measure, SERVED, h) in scores]
    rows = []
    for method in (SERVED, *found.testing.forecasts):
        cells = [scores[measure, method, horizon] for horizon in horizons]
        unit = ".1f" if measure == "cycle_h" else ".2f"
        rows.append(
            [
                method,
                *(f"{one.wape:.3f}" for one in cells),
                *(f"{one.r2:.3f}" for one in cells),
                *(f"{one.rmse:{unit}}" for one in cells),
                *(f"{one.mae:{unit}}" for one in cells),
            ]
        )
    first, last = (str(np.datetime64(int(day), "D")) for day in found.testing.origin[[0, -1]])
    return Sheet(
        title=f"{_NAMES[measure]}, {len(found.testing.groups.name)} series",
        note=f"forecasts of {len(found.testing.origin)} days from {first} to {last}, which chose nothing",
        headings=["Method", *(f"{name}\n{h} d" for name in ("WAPE", "R²", "RMSE", "MAE") for h in horizons)],
        rows=rows,
    )


def _choice(found: Backtest) -> Sheet:
    """Return what answers by grain, and what that was worth in the test, as the mean of the horizons."""
    trials, served = found.testing, found.served(found.testing)
    rows = []
    for at, measure in enumerate(MEASURES):
        for grain, one in found.chosen[measure].grains.items():
            inside = trials.groups.grain == grain
            truth = trials.truth[:, inside, :, at]
            of = {name: mean_wape(said[:, inside, :, at], truth) for name, said in trials.forecasts.items()}
            wape = mean_wape(served[:, inside, :, at], truth)
            best = min(of, key=lambda name: of[name])
            rows.append(
                [
                    _NAMES[measure],
                    grain or "everything",
                    _described(one.method, one.weights),
                    f"{wape:.3f}",
                    f"{one.baseline} {of[one.baseline]:.3f}",
                    f"{1 - wape / of[one.baseline]:+.1%}",
                    f"{best} {of[best]:.3f}",
                ]
            )
    return Sheet(
        title="What answers",
        note="WAPE after the split, the mean of the horizons; the choice and its baseline come from before it",
        headings=["Measure", "Of each", "Method", "WAPE", "Baseline", "Gain", "Best afterwards"],
        rows=rows,
    )


def _described(method: str, weights: dict[str, list[float]]) -> str:
    if len(weights) == 1:
        return method
    shares = sorted(((float(np.mean(by_band)), name) for name, by_band in weights.items()), reverse=True)
    return f"{method}: " + ", ".join(f"{name} {share:.0%}" for share, name in shares[:3])


def _weeks(found: Backtest) -> Sheet:
    grains = np.unique(found.testing.groups.grain).tolist()
    scores = {grain: found.of_a_week(grain) for grain in grains}
    return Sheet(
        title="Throughput of the next seven days together",
        note="WAPE after the split, by what a series is of",
        headings=["Method", *(grain or "everything" for grain in grains)],
        rows=[
            [method, *(f"{scores[grain][method].wape:.3f}" for grain in grains)]
            for method in (SERVED, *found.testing.forecasts)
        ],
    )


def _intervals(found: Backtest) -> Sheet:
    covered, error = found.coverage(), found.coverage_error()
    horizons = [h for h in (0, *HORIZONS) if any((measure, h) in covered for measure in MEASURES)]
    return Sheet(
        title="90 % intervals",
        note="share of what came after the split that lay in them, with its standard error by stretches of time; their"
        " widths come from before it",
        headings=["Measure", *(f"{h} d" if h else "All days" for h in horizons)],
        rows=[
            [
                _NAMES[measure],
                f"{covered[measure, 0][0]:.1%} ± {error[measure]:.1%}",
                *(f"{covered[measure, h][0]:.1%}" if (measure, h) in covered else "" for h in horizons if h),
            ]
            for measure in MEASURES
        ],
    )
