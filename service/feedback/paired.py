"""How much better is one version than another on the same events? Differences with intervals over resampled items.

Both are measured on the same resamples, so that what makes an event hard for both does not count. An item counts a
Poisson number of times, its events together: one that is left out of a third of the resamples cannot make a difference
significant by itself, nor can three.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

RESAMPLES: Final = 1_000
SEED: Final = 7

LEAST_ITEMS: Final = 20
"""Items with known anomalies of a kind, of fewer than which nothing is told."""

MEAN: Final = "mean"
"""The kind of a difference that is the mean of those of all kinds that are told."""

_LEVEL = 0.95
_CHUNK = 2_000_000
"""Numbers of one array of resampled weights, at most."""

_Numbers = NDArray[np.float64]


class PairedScores(NamedTuple):
    """N events whose truth is known, of one mode and kind, scored by two versions."""

    mode: str
    kind: str
    first: _Numbers  # [N] 0 .. 1
    second: _Numbers  # [N] 0 .. 1
    anomalous: NDArray[np.bool_]  # [N]
    weights: _Numbers  # [N] how many events each stands for
    items: NDArray[np.int64]  # [N] number of the event's item, from 0, the same ones for all kinds


class PairedDifference(NamedTuple):
    """By how much the average precision of the second version is above that of the first."""

    mode: str  # "" of MEAN
    kind: str
    known: int  # events whose truth is known
    anomalies: int  # of these
    first: float  # average precision, 0 .. 1
    second: float
    value: float
    low: float  # where the differences of all kinds together lie in 95 of 100 cases, and that of the mean
    high: float


def differences(paired: Sequence[PairedScores], resamples: int = RESAMPLES, seed: int = SEED) -> list[PairedDifference]:
    """Return the difference of every mode and kind with LEAST_ITEMS, and behind them that of their mean.

    There are none where no kind has so many. The same events give the same numbers.
    """
    told = [
        one for one in paired if len(np.unique(one.items[one.anomalous])) >= LEAST_ITEMS and not one.anomalous.all()
    ]
    if not told:
        return []
    ranked = [(_Ranked.of(one.first, one), _Ranked.of(one.second, one)) for one in told]
    items = 1 + max(int(one.items.max()) for one in told)
    rows = [
        np.array([[side.average_precision(counts) for side in sides] for sides in ranked])  # [K, 2, B]
        for counts in resampled(items, resamples, seed)
    ]
    measured = np.concatenate(rows, axis=2)
    apart = measured[:, 1] - measured[:, 0]  # [K, 1 + R]
    each = 1 - (1 - _LEVEL) / len(told)  # Bonferroni: a kind of ten is not to look worse by chance ten times as often
    found = [
        PairedDifference(
            one.mode, one.kind, len(one.first), int(one.anomalous.sum()), *_both(sides), *interval(row, each)
        )
        for one, sides, row in zip(told, measured[:, :, 0], apart, strict=True)
    ]
    known, anomalies = sum(one.known for one in found), sum(one.anomalies for one in found)
    return [
        *found,
        PairedDifference("", MEAN, known, anomalies, *_both(measured[:, :, 0].mean(axis=0)), *interval(_mean(apart))),
    ]


def _both(sides: _Numbers) -> tuple[float, float]:
    first, second = sides.tolist()
    return first, second


def _mean(apart: _Numbers) -> _Numbers:
    """Return the mean over the kinds [K, R] that a resample has anomalies of, NaN where there is none."""
    there = np.isfinite(apart)
    with np.errstate(invalid="ignore"):
        mean: _Numbers = np.where(there, apart, 0.0).sum(axis=0) / there.sum(axis=0)
    return mean


def resampled(items: int, resamples: int, seed: int = SEED) -> Iterator[_Numbers]:
    """Yield weights [B, items] of some resamples at a time, the first of all: each item once, as it is."""
    rng = np.random.default_rng(seed)
    step = max(1, _CHUNK // items)
    yield np.ones((1, items))
    for begin in range(0, resamples, step):
        yield rng.poisson(1.0, (min(step, resamples - begin), items)).astype(np.float64)


def interval(values: _Numbers, level: float = _LEVEL) -> tuple[float, float, float]:
    """Return (value, low, high): the first of ``values`` [1 + R], and the middle ``level`` of the others."""
    others = values[1:][np.isfinite(values[1:])]
    if not len(others):
        return float(values[0]), float("nan"), float("nan")
    low, high = np.quantile(others, [(1 - level) / 2, (1 + level) / 2])
    return float(values[0]), float(low), float(high)


@dataclass(frozen=True, slots=True, eq=False)
class _Ranked:
    """Events of one version by falling score, those below every anomaly left out: they change nothing."""

    ends: NDArray[np.intp]  # [G] the last event of each score
    anomalous: NDArray[np.bool_]  # [n]
    weights: _Numbers  # [n]
    items: NDArray[np.int64]  # [n]

    @classmethod
    def of(cls, scores: _Numbers, events: PairedScores) -> _Ranked:
        kept = np.flatnonzero(scores >= scores[events.anomalous].min())
        order = kept[np.argsort(-scores[kept], kind="stable")]
        ends = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
        return cls(ends, events.anomalous[order], events.weights[order], events.items[order])

    def average_precision(self, counts: _Numbers) -> _Numbers:
        """Return it [B] for ``counts`` [B, items]; NaN where no anomaly is left."""
        weights = counts[:, self.items] * self.weights
        passed = np.cumsum(weights, axis=1)[:, self.ends]  # [B, G]
        found = np.cumsum(weights * self.anomalous, axis=1)[:, self.ends]
        with np.errstate(invalid="ignore", divide="ignore"):
            precision = np.where(passed > 0, found / passed, 0.0)
            average: _Numbers = (np.diff(found, axis=1, prepend=0) * precision).sum(axis=1) / found[:, -1]
        return average
