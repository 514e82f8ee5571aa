"""How much better one run is than another on the same events: differences with intervals over resampled EPCs.

Both are measured on the same resamples, so that what makes an event hard for both does not count: the interval of the
difference is much narrower than that of either.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import nan

import numpy as np
from numpy.typing import NDArray

from service.events.vocabulary import KINDS, MODES
from training.evaluation.detectors import MODEL
from training.evaluation.slices import DetectorVerdicts
from training.metrics import ranking
from training.metrics.per_kind import MISS_COST
from training.metrics.ranking import Ranking
from training.retraining.ground import Ground

RESAMPLES, SEED = 1_000, 7

MEAN = "mean"
"""In the place of a kind: of all modes, and of the kinds with LEAST_ANOMALIES."""

LEAST_ANOMALIES = 20
"""Of a kind in a mode; by fewer nothing is told: where one of three is ranked first is luck."""

_DOUBTFUL = (0.02, 0.95)
"""Scores between which verdicts of people rank events, the outer BANDS of `service.feedback.sampling`; beyond, all are
alike.

Of events of which both networks are sure most verdicts that say otherwise are errors, and which of a thousand such
events comes first is chance: networks of the same weights would seem to differ.
"""


@dataclass(frozen=True, slots=True)
class Comparison:
    """One kind in one mode: what the champion has, and by how much the challenger differs; NaN where nothing tells."""

    ground: str
    mode: str
    kind: str
    anomalies: int  # known ones
    ap: float  # of the champion
    difference: float  # of AP, challenger less champion
    low: float  # its 95 % interval
    high: float
    ece: float  # expected calibration error of the champion
    ece_difference: float
    cost: float  # of 1,000 events at the champion's thresholds: a miss is MISS_COST, a false alarm 1
    cost_difference: float  # at the challenger's own
    cost_low: float
    cost_high: float
    by_people: bool = False  # by verdicts, some of them wrong


def compare(ground: Ground, *, resamples: int = RESAMPLES, seed: int = SEED) -> list[Comparison]:
    """Return the comparison of the networks of both runs for every mode and kind of which anything is known.

    By verdicts of people their MEAN is the last one, if a kind has LEAST_ANOMALIES.
    """
    weights = ranking.with_resamples(len(ground.events.epc_codes), resamples, seed)
    found = [one for mode in MODES for one in _of_mode(ground, mode, weights)]
    compared = [one for one, _ in found]
    telling = [(one, difference) for one, difference in found if one.anomalies >= LEAST_ANOMALIES]
    if not ground.said_by_people or not telling:
        return compared
    mean = Comparison(
        ground.name,
        " and ".join(MODES),
        MEAN,
        max(sum(one.anomalies for one, _ in telling if one.mode == mode) for mode in MODES),  # both judge the same
        float(np.mean([one.ap for one, _ in telling])),
        *ranking.interval(ranking.mean_of_known([difference for _, difference in telling])),
        *(nan,) * 6,
        by_people=True,
    )
    return [*compared, mean]


def _of_mode(
    ground: Ground, mode: str, weights: NDArray[np.float32]
) -> Iterator[tuple[Comparison, NDArray[np.float64]]]:
    """Yield each kind's comparison, and its difference of AP [1 + R] by resample."""
    both = ground.champion[mode].detectors[MODEL], ground.challenger[mode].detectors[MODEL]
    part = ground.champion[mode].samples
    item, weight = ground.item(mode), ground.weight[part.index]
    for column, kind in enumerate(KINDS):
        known = np.flatnonzero(~np.isnan(part.labels[:, column]))
        truth = part.labels[known, column] >= 0.5
        if truth.all() or not truth.any():
            continue
        ranked = tuple(_doubtful(one) for one in both) if ground.said_by_people else both
        ap, ece, cost = (
            tuple(measure(truth, one, column, known, item[known], weight[known], weights) for one in judged)
            for measure, judged in ((_aps, ranked), (_ece, both), (_costs, both))
        )
        compared = Comparison(
            ground.name,
            mode,
            kind,
            int(truth.sum()),
            float(ap[0][0]),
            *ranking.interval(ap[1] - ap[0]),
            *(float(ece[0][0]), float(ece[1][0] - ece[0][0])) if ground.represents else (nan, nan),
            *(float(cost[0][0]), *ranking.interval(cost[1] - cost[0])) if ground.represents else (nan,) * 4,
            by_people=ground.said_by_people,
        )
        yield compared, ap[1] - ap[0]


def _doubtful(verdicts: DetectorVerdicts) -> DetectorVerdicts:
    return replace(verdicts, scores=verdicts.scores.clip(*_DOUBTFUL))


def _aps(  # noqa: PLR0913, PLR0917 - one of three measures of the same form
    truth: NDArray[np.bool_],
    verdicts: DetectorVerdicts,
    column: int,
    known: NDArray[np.intp],
    item: NDArray[np.int32],
    weight: NDArray[np.float64],
    weights: NDArray[np.float32],
) -> NDArray[np.float64]:
    """Return the average precision [1 + R]."""
    ranked = Ranking.of(truth, verdicts.scores[known, column], item, len(weights), weight)
    return ranked.measure(weights)["ap"]


def _ece(  # noqa: PLR0913, PLR0917
    truth: NDArray[np.bool_],
    verdicts: DetectorVerdicts,
    column: int,
    known: NDArray[np.intp],
    _item: NDArray[np.int32],
    weight: NDArray[np.float64],
    _weights: NDArray[np.float32],
    bins: int = 10,
) -> NDArray[np.float64]:
    """Return the expected calibration error [1], of events that stand for others."""
    score = verdicts.scores[known, column].astype(np.float64)
    gap = np.bincount(np.minimum((score * bins).astype(np.intp), bins - 1), weight * (score - truth), minlength=bins)
    return np.array([np.abs(gap).sum() / weight.sum()])


def _costs(  # noqa: PLR0913, PLR0917
    truth: NDArray[np.bool_],
    verdicts: DetectorVerdicts,
    column: int,
    known: NDArray[np.intp],
    item: NDArray[np.int32],
    weight: NDArray[np.float64],
    weights: NDArray[np.float32],
) -> NDArray[np.float64]:
    """Return what 1,000 events cost [1 + R]; NaN of a resample that drew none of them."""
    flags = verdicts.scores[known, column] >= verdicts.thresholds[column]
    cost = np.where(truth & ~flags, MISS_COST, 0.0) + (~truth & flags)
    of_item, events = (np.bincount(item, each, minlength=len(weights)) for each in (cost * weight, weight))
    drawn = events @ weights
    total = np.full(len(drawn), nan)
    np.divide(1_000 * (of_item @ weights), drawn, out=total, where=drawn > 0)
    return total
