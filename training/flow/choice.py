"""What answers for each measure and grain.

Each grain (questions that name the same dimensions) has a blend of its own: a network as a whole flows steadily, a
product at a site comes and goes in shipments. Its weights start from those of all grains together.

The past that chooses is short: what was best at Christmas is not what is best in spring. Where what was chosen was not
surely nearer than the median of all methods, which nobody chose, half of the answer is that median.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.flow.forecast.baselines import BASELINES
from service.flow.forecast.intervals import BANDS, band_of
from service.flow.forecast.manifest import FlowGrain, FlowMeasure
from service.flow.forecast.middle import MEDIAN
from service.flow.series import MEASURES
from training.flow.blend import fit_weights
from training.flow.calibration import LEAST_ERRORS, ScaledErrors, calibrated, stretches
from training.flow.scores import in_time, mean_wape, surely_nearer
from training.flow.trials import STOCK, WANDERING, Trials

BLEND = "blend"

_HEDGED = 0.5
"""Share of the median where it may be as good as what was chosen."""

_NEGLIGIBLE = 0.02
"""Weights below are left out: a method has to run for them."""

_Some = NDArray[np.float32]
_Said = dict[str, _Some]
_Table = NDArray[np.float64]  # [bands, ...]


@dataclass(frozen=True, slots=True)
class _Material:
    """Forecasts and truth of one measure."""

    said: _Said  # [O, S, H] by method, without the median of them
    median: _Some  # [O, S, H]
    truth: _Some  # [O, S, H]
    width: _Some  # [O, S, H]
    kind: NDArray[np.intp]  # [O, S]
    grain: NDArray[np.str_]  # [S]
    origin: NDArray[np.int64]  # [O] days of forecasts
    wanders: bool
    is_stock: bool

    def part(self, series: NDArray[np.bool_] | slice, origins: slice) -> _Material:
        """Return some of the series and of the origins."""
        said = {name: one[origins][:, series] for name, one in self.said.items()}
        median, truth, width = (one[origins][:, series] for one in (self.median, self.truth, self.width))
        kind = self.kind[origins][:, series]
        grain, origin = self.grain[series], self.origin[origins]
        return _Material(said, median, truth, width, kind, grain, origin, self.wanders, self.is_stock)


def choose(trials: Trials, last_day: int | None) -> dict[str, FlowMeasure]:
    """Return what answers for each measure, by forecasts of days up to ``last_day``; None: of all."""
    truth = in_time(trials, last_day)
    chosen = {}
    for at, name in enumerate(MEASURES):
        said = {method: forecasts[..., at] for method, forecasts in trials.forecasts.items()}
        median = said.pop(MEDIAN)
        chosen[name] = _measure(
            _Material(
                said,
                median,
                truth[..., at],
                trials.width[..., at],
                trials.kind,
                trials.groups.grain,
                trials.origin,
                name in WANDERING,
                name == STOCK,
            )
        )
    return chosen


def weighted(said: _Said, weights: dict[str, list[float]]) -> _Some:
    """Return the forecasts [O, S, H] of one measure by methods with weights for each range of horizons."""
    days = next(iter(said.values())).shape[2]
    band = band_of(days)
    parts = [np.array(by_band, dtype=np.float32)[band] * said[method] for method, by_band in weights.items()]
    mean: _Some = np.sum(parts, axis=0)
    return mean


def _measure(material: _Material) -> FlowMeasure:
    common = _weights(material, None)
    grains = {}
    for grain in np.unique(material.grain).tolist():
        grains[grain] = _grain(material.part(material.grain == grain, slice(None)), common)
    return FlowMeasure(
        method=Counter(one.method for one in grains.values()).most_common(1)[0][0],
        baseline=Counter(one.baseline for one in grains.values()).most_common(1)[0][0],
        gain=float(np.mean([one.gain for one in grains.values()])),
        grains=grains,
    )


def _grain(material: _Material, common: _Table) -> FlowGrain:
    """Return what answers for series of one grain: for each range of horizons a method, or a blend, or half of that.

    The blend is judged, and its intervals are as wide, as it does in the half of the origins that its weights do not
    come from; the weights that are kept come from all of them.
    """
    half = len(material.truth) // 2
    halves = slice(0, half), slice(half, None)
    parts = []
    for fitted, tried in (halves, halves[::-1]):
        weights = _named(material, _weights(material.part(slice(None), fitted), common))
        parts.append(weighted(material.part(slice(None), tried).said, weights))
    everyone = {**material.said, BLEND: np.concatenate(parts[::-1])}
    best = _best_by_band(everyone, material.truth)
    table = _weights(material, common)
    for number, name in enumerate(best):
        if name != BLEND:
            table[number] = np.array(list(material.said)) == name
    said = weighted(everyone, {name: [float(one == name) for one in best] for name in set(best)})
    share = _share_of_median(material, said)
    weights = _named(material, table * (1 - share)[:, None])
    if share.any():
        weights[MEDIAN] = share.tolist()
    by_day = share[band_of(said.shape[2])].astype(np.float32)
    said = (1 - by_day) * said + by_day * material.median
    errors = {method: mean_wape(one, material.truth) for method, one in material.said.items()}
    baseline = min((one.name for one in BASELINES), key=lambda method: errors[method])
    origin = material.origin if material.wanders else None
    scaled = ScaledErrors((material.truth - said) / material.width, material.kind, origin, material.is_stock)
    return FlowGrain(
        method=best[0] if len(set(best)) == 1 and not share.any() else BLEND,
        weights=weights,
        baseline=baseline,
        gain=1 - mean_wape(said, material.truth) / errors[baseline],
        quantiles=calibrated(scaled).tolist(),
    )


def _share_of_median(material: _Material, said: _Some) -> _Table:
    """Return the share [bands] of the median in what answers: none where ``said`` was nearer, and not by luck.

    Whatever is measured, one stretch of time as long as the forecasts tells once who is better.
    """
    band = band_of(said.shape[2])
    shares = np.full(len(BANDS), _HEDGED)
    for number in range(len(BANDS)):
        here = band == number
        ours, theirs, came = (one[:, :, here].reshape(len(one), -1) for one in (said, material.median, material.truth))
        told = material.origin[np.isfinite(came).any(axis=1)]
        if len(told) and surely_nearer(ours, theirs, came, stretches(told, BANDS[number])):
            shares[number] = 0.0
    return shares


def _best_by_band(everyone: _Said, truth: _Some) -> list[str]:
    """Return whose errors are smallest in each range of horizons; in one without truth, whose were in that before.

    What is no baseline has to beat the best one in both halves of the origins: once may be luck, or a season.
    """
    band, half = band_of(truth.shape[2]), len(truth) // 2
    plain = [one.name for one in BASELINES]
    best: list[str] = []
    for number in range(len(BANDS)):
        came = truth[:, :, band == number]
        if np.isfinite(came).sum() < LEAST_ERRORS:
            best.append(best[-1] if best else BLEND)
            continue
        off = {name: np.abs(said[:, :, band == number] - came) for name, said in everyone.items()}
        errors = {
            name: (float(np.nansum(one)), float(np.nansum(one[:half])), float(np.nansum(one[half:])))
            for name, one in off.items()
        }
        bar = errors[min(plain, key=lambda name: errors[name])]
        steady = [
            name for name, (_, early, late) in errors.items() if name in plain or (early <= bar[1] and late <= bar[2])
        ]
        best.append(min(steady, key=lambda name: errors[name]))
    return best


def _named(material: _Material, table: _Table) -> dict[str, list[float]]:
    return {name: table[:, at].tolist() for at, name in enumerate(material.said) if table[:, at].any()}


def _weights(material: _Material, start: _Table | None) -> _Table:
    """Return the weights by range of horizons, from ``start`` on; each grain counts the same, whatever its size."""
    names, truth = list(material.said), material.truth
    band = band_of(truth.shape[2])
    importance = np.zeros(truth.shape[1])
    for grain in np.unique(material.grain):
        inside = material.grain == grain
        importance[inside] = 1 / max(float(np.nansum(np.abs(truth[:, inside]))), 1e-9)
    found: list[NDArray[np.float64]] = []
    for number in range(len(BANDS)):
        came = truth[:, :, band == number]
        known = ~np.isnan(came)
        if known.sum() < LEAST_ERRORS:
            before = found[-1] if found else np.full(len(names), 1 / len(names))
            found.append(before if start is None else start[number])
            continue
        rows = np.stack([material.said[name][:, :, band == number][known] for name in names], axis=1)
        weight = np.broadcast_to(importance[None, :, None], came.shape)[known]
        shares = fit_weights(rows, came[known], weight, None if start is None else start[number])
        shares = np.where(shares < _NEGLIGIBLE, 0.0, shares)
        found.append(shares / shares.sum())
    return np.array(found)
