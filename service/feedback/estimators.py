"""How good is a detector on all events, by a sample whose probabilities are known?

An event of probability p stands for 1 / p events (Horvitz and Thompson); shares are of these sums (Hajek).

Intervals are of the same items, resampled: each counts an exponential number of times (the Bayesian bootstrap of
Rubin), its events together, for these are right and wrong together. A sample that shows no miss at all would give a
recall of exactly 1, however small it is; so each group of alike events, of one band of scores and one side of the
threshold, also counts one event that nobody saw: half anomalous and half normal in the lowest and the highest band
(the prior of Jeffreys), as anomalous as its score says in those between. An interval reaches from the lower to the
higher end of those with and without such events.

Where people err, a word is no truth: an event counts as anomalous as their words make it likely
(`service.feedback.believed`), and each resample finds anew how many of each group are.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.feedback.believed import believed
from service.feedback.sampling import BANDS

RESAMPLES: Final = 400

_LEVEL = 0.95
_PLACES = 8
_SURE = (0, len(BANDS))
"""Bands of events that nearly all are normal, or anomalous: where few samples show one that is not."""

_CHUNK = 4_000_000
"""Numbers of one array of resampled weights, at most."""

_Numbers = NDArray[np.float64]

MEASURES: Final = ("average_precision", "auc", "precision", "recall", "false_positive_rate", "false_negative_rate")


class Interval(NamedTuple):
    """A number that was estimated, and where it lies in 95 of 100 samples."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, eq=False)
class LabelledSample:
    """N events of a sample that one detector has scored and people have labelled, for one kind."""

    scores: NDArray[np.float64]  # [N] 0 .. 1
    flags: NDArray[np.bool_]  # [N]
    evidence: _Numbers  # [N] of the words, as `believed` has it: above 0 for an anomaly, below it against; not 0
    weights: _Numbers  # [N] how many events each stands for
    items: NDArray[np.int64]  # [N] number of the event's item, from 0


def measure(
    sample: LabelledSample, rng: np.random.Generator, resamples: int = RESAMPLES, *, is_calibrated: bool = False
) -> dict[str, Interval]:
    """Return each of MEASURES that the sample can tell: recall, for one, needs an anomalous event.

    Args:
        sample: what is measured.
        rng: draws the resamples.
        resamples: of the intervals.
        is_calibrated: the scores are probabilities, which hold until words contradict them.
    """
    if not len(sample.scores):
        return {}
    [values] = _measured(sample, _believed(sample, np.ones((1, len(sample.scores))), is_calibrated=is_calibrated))
    drawn = _resampled(sample, rng, resamples, is_calibrated=is_calibrated)
    return {
        name: _interval(values[at], drawn[0, :, at], drawn[1, :, at])
        for at, name in enumerate(MEASURES)
        if np.isfinite(values[at])
    }


def expected_precision(
    scores: _Numbers, weights: _Numbers, items: NDArray[np.int64], rng: np.random.Generator, resamples: int = RESAMPLES
) -> Interval | None:
    """Return the precision that calibrated scores [N] of findings promise, before anybody has looked at them."""
    if not len(scores):
        return None
    counts = rng.standard_exponential((resamples, int(items.max()) + 1))[:, items] * weights
    with np.errstate(invalid="ignore"):
        drawn = (counts * scores).sum(axis=1) / counts.sum(axis=1)
    return _interval(float(np.average(scores, weights=weights)), drawn)


def _believed(sample: LabelledSample, counts: _Numbers, *, is_calibrated: bool) -> tuple[_Numbers, _Numbers]:
    """Return for how many anomalous and for how many normal events each event stands, both [B, N]."""
    weights = counts * sample.weights
    promised = sample.scores if is_calibrated else None
    anomalous = weights * believed(sample.evidence, _alike(sample), weights, promised)
    return anomalous, weights - anomalous


def _alike(sample: LabelledSample) -> NDArray[np.int64]:
    """Return the group [N] of each event, of one band of scores and one side of the threshold."""
    groups: NDArray[np.int64] = np.searchsorted(BANDS, sample.scores, side="right") * 2 + sample.flags
    return groups


def _measured(sample: LabelledSample, stand_for: tuple[_Numbers, _Numbers]) -> _Numbers:
    """Return MEASURES [B, 6] where the events stand for so many anomalous and normal ones; NaN where there is none."""
    order = np.argsort(-sample.scores, kind="stable")
    flags, scores = sample.flags[order], sample.scores[order]
    hits, alarms = (one[:, order] for one in stand_for)
    ends = np.flatnonzero(np.append(np.diff(scores) != 0, True))  # of the events of one score
    found, false = np.cumsum(hits, axis=1)[:, ends], np.cumsum(alarms, axis=1)[:, ends]  # [B, distinct scores]
    anomalous, normal = found[:, -1], false[:, -1]
    flagged_hits, flagged_alarms = hits[:, flags].sum(axis=1), alarms[:, flags].sum(axis=1)
    before_found, before_false = _shifted(found), _shifted(false)
    with np.errstate(invalid="ignore", divide="ignore"):
        precision_at = np.where(found + false > 0, found / (found + false), 0.0)
        average = ((found - before_found) * precision_at).sum(axis=1) / anomalous
        area = ((false - before_false) * (found + before_found) / 2).sum(axis=1) / (anomalous * normal)
        recall = flagged_hits / anomalous
        return np.column_stack(
            [
                average,
                area,
                flagged_hits / (flagged_hits + flagged_alarms),
                recall,
                flagged_alarms / normal,
                1 - recall,
            ]
        )


def _resampled(sample: LabelledSample, rng: np.random.Generator, resamples: int, *, is_calibrated: bool) -> _Numbers:
    """Return MEASURES [2, B, 6] of ``resamples`` samples, with and without what nobody saw."""
    unseen, shapes = _unseen(sample)
    whole = LabelledSample(
        *(np.concatenate([getattr(part, field.name) for part in (sample, unseen)]) for field in fields(sample))
    )
    step = max(1, _CHUNK // len(whole.scores))
    parts = []
    for begin in range(0, resamples, step):
        of_items = rng.standard_gamma(shapes, (min(step, resamples - begin), len(shapes)))
        seen = _believed(sample, of_items[:, sample.items], is_calibrated=is_calibrated)
        beside = _believed(unseen, of_items[:, unseen.items], is_calibrated=False)
        both = np.concatenate([seen[0], beside[0]], axis=1), np.concatenate([seen[1], beside[1]], axis=1)
        parts.append(np.stack([_measured(whole, both), _measured(sample, seen)]))
    return np.concatenate(parts, axis=1)


def _unseen(sample: LabelledSample) -> tuple[LabelledSample, _Numbers]:
    """Return what nobody saw in each group of alike events, and the shape [items] of each item's count, of all items.

    Where in its group an unseen event has its score is left open: it is cut into as many parts as there are PLACES.
    """
    items, groups = int(sample.items.max()) + 1, _alike(sample)
    made, shapes = [], []
    for one in np.unique(groups).tolist():
        inside = groups == one
        scores, weights = sample.scores[inside], sample.weights[inside]
        typical = float((weights**2).sum() / weights.sum())
        rate = 0.5 if one // 2 in _SURE else float(np.average(scores, weights=weights))
        for score in np.quantile(scores, (np.arange(_PLACES) + 0.5) / _PLACES):
            made += [(score, bool(one % 2), word, typical) for word in (np.inf, -np.inf)]
            shapes += [rate / _PLACES, (1 - rate) / _PLACES]
    scores, flags, evidence, weights = map(np.array, zip(*made, strict=True))
    unseen = LabelledSample(scores, flags, evidence, weights, items + np.arange(len(made)))
    return unseen, np.concatenate([np.ones(items), shapes])


def _interval(value: float, *drawn: _Numbers) -> Interval:
    """Return the interval that has the middle 95 % of each of what was drawn, and the value."""
    ends = [value]
    for one in drawn:
        if len(finite := one[np.isfinite(one)]):
            ends += np.quantile(finite, [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2]).tolist()
    low, value, high = (min(max(float(number), 0.0), 1.0) for number in (min(ends), value, max(ends)))
    return Interval(value, low, high)


def _shifted(sums: _Numbers) -> _Numbers:
    """Return each sum [B, G] before its group."""
    return np.concatenate([np.zeros((len(sums), 1)), sums[:, :-1]], axis=1)
