"""A backtest as tables."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from service.flow.forecast.baselines import BASELINES
from service.flow.gate import MOST_WORSE, SERVED
from service.flow.series import MEASURES
from training.evaluation.tables import Sheet
from training.flow.backtest import Backtest
from training.flow.origins import HORIZONS
from training.flow.scores import in_time, mean_wape, ratio_error, score

_Some = NDArray[np.float32]

_NAMES = {"wip": "WIP", "throughput": "Throughput", "cycle_h": "Cycle time"}


def sheets_of(found: Backtest) -> list[Sheet]:
    """Return the tables of a backtest: errors by measure, the best baselines, what was chosen, weeks, intervals."""
    errors = (_errors(found, measure) for measure in MEASURES)
    return [*errors, _beside_baselines(found), _choice(found), _weeks(found), _intervals(found)]


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


def _beside_baselines(found: Backtest) -> Sheet:
    """Return how much more than the best baseline of afterwards was off what is served, and the best one of before.

    Which baseline is best afterwards nobody knows before: what the best one of before lacks is what any choice may.
    """
    served, before = found.served(found.testing), in_time(found.deciding, found.origins.split_day)
    rows, within = [], np.zeros(2, dtype=np.intp)
    for at, measure in enumerate(MEASURES):
        known: str | None = None
        for day in (h - 1 for h in HORIZONS if h <= found.origins.days):
            known = _best_baseline(found.deciding.forecasts, before, day, at) or known
            best = _best_baseline(found.testing.forecasts, found.testing.truth, day, at)
            if best is None or known is None:
                continue
            truth = found.testing.truth[:, :, day, at]
            bar, past = (found.testing.forecasts[name][:, :, day, at] for name in (best, known))
            least = max(score(bar, truth).wape, 1e-9)
            ratios = [score(said, truth).wape / least for said in (served[:, :, day, at], past)]
            within += np.array(ratios) <= 1 + MOST_WORSE
            told = int(np.isfinite(truth).any(axis=1).sum())
            off = ratio_error(served[:, :, day, at], bar, truth)
            luck = "" if np.isnan(off) else f" ± {off:.1%}"  # of a forecast from one day nobody knows
            cells = [best, f"{ratios[0] - 1:+.1%}{luck}", known, f"{ratios[1] - 1:+.1%}", str(told)]
            rows.append([_NAMES[measure], f"{day + 1} d", *cells])
    return Sheet(
        title="Beside the best baseline",
        note="WAPE above that of the baseline that was best after the split: of what is served, with its standard error"
        f" by stretches of time, and of the baseline that was best before it. Of {len(rows)} rows what is served is at"
        f" most {MOST_WORSE:.0%} above it in {within[0]}, the best baseline of before in {within[1]}",
        headings=["Measure", "Ahead", "Best afterwards", "Served", "Best before", "That one", "Days"],
        rows=rows,
    )


def _best_baseline(forecasts: dict[str, _Some], truth: _Some, day: int, at: int) -> str | None:
    """Return which baseline is nearest to what came [O, S, H, 3] of a day ahead and a measure; None if nothing came."""
    came = truth[:, :, day, at]
    if np.isnan(came).all():
        return None
    return min((one.name for one in BASELINES), key=lambda name: score(forecasts[name][:, :, day, at], came).wape)


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
