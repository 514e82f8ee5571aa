"""How well scores rank anomalous events before normal ones, on the events as they are and on bootstrap resamples.

All metrics of one kind come from two cumulative sums, the anomalous and the normal events from the highest score down,
cut only where an anomalous event lies: between two of them nothing changes. So a resample costs one column of a sparse
product instead of a sort.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix  # type: ignore[import-untyped]

from service.events.vocabulary import KINDS

MACRO = "macro"
FALSE_POSITIVE_RATES = {"recall_at_1pct_fpr": 0.01, "recall_at_0.1pct_fpr": 0.001}
METRICS = ("roc_auc", "ap", *FALSE_POSITIVE_RATES)

Samplings = dict[str, dict[str, NDArray[np.float64]]]
"""Kind ("macro" included) -> metric -> value [R], one per column of the weights that were given."""

_INTERVAL = (2.5, 97.5)  # percentiles


def original(items: int) -> NDArray[np.float32]:
    """Return the weights [U, 1] of the sample as it is."""
    return np.ones((items, 1), dtype=np.float32)


def with_resamples(items: int, count: int, seed: int) -> NDArray[np.float32]:
    """Return weights [U, 1 + count]: of the sample as it is, then how often each item is in each bootstrap resample.

    Items (EPCs), not events, are drawn: the events of a journey are no independent evidence.
    """
    rng = np.random.default_rng(seed)
    weights = np.ones((items, 1 + count), dtype=np.float32)
    for column in range(1, 1 + count):
        weights[:, column] = np.bincount(rng.integers(0, items, items), minlength=items)
    return weights


def interval(values: NDArray[np.float64]) -> tuple[float, float, float]:
    """Return (value, low, high): the first of ``values`` [1 + R], and the 95 % percentile interval of the others.

    Resamples that are NaN tell nothing; where all are, there is no interval.
    """
    if np.isnan(values[1:]).all():
        return float(values[0]), float("nan"), float("nan")
    low, high = np.nanpercentile(values[1:], _INTERVAL)
    return float(values[0]), float(low), float(high)


def rank(
    labels: NDArray[np.float32], scores: NDArray[np.float32], item: NDArray[np.integer], weights: NDArray[np.float32]
) -> Samplings:
    """Return METRICS by kind for labels [N, 5] (anomalous from 0.5 on), scores [N, 5] and the item [N] of each event.

    ``weights`` [U, R] says how often each item counts; each of its columns gives one value. NaN where a kind does not
    have both anomalous and normal events; the mean over the kinds passes over those.
    """
    found: Samplings = {}
    for column, kind in enumerate(KINDS):
        found[kind] = Ranking.of(labels[:, column] >= 0.5, scores[:, column], item, len(weights)).measure(weights)
    found[MACRO] = {metric: mean_of_known([found[kind][metric] for kind in KINDS]) for metric in METRICS}
    return found


def threshold_at_fpr(truth: NDArray[np.bool_], score: NDArray[np.float32], rate: float) -> float:
    """Return the score above which at most ``rate`` of the normal events lie; -inf if that is so for all scores."""
    normal = np.sort(score[~truth])[::-1]
    allowed = int(np.floor(rate * len(normal) * (1 + 1e-12)))
    return float(normal[allowed]) if allowed < len(normal) else float("-inf")


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """One kind's events, counted by item between the scores of its anomalous events.

    Level j of L is the j-th highest distinct score of an anomalous event. Normal events fall into 2 L + 1 cells: 2 j
    are those above level j and below level j - 1, 2 j + 1 those tied with level j.
    """

    anomalous: csr_matrix  # [L, U] events by level and item
    normal: csr_matrix  # [2 L + 1, U] events by cell and item

    @classmethod
    def of(
        cls,
        truth: NDArray[np.bool_],
        score: NDArray[np.float32],
        item: NDArray[np.integer],
        items: int,
        weight: NDArray[np.float64] | None = None,
    ) -> Ranking:
        """Count events with ``truth`` [N], ``score`` [N] and ``item`` [N] in 0 .. ``items`` - 1.

        ``weight`` [N]: for how many events each one stands; default: for itself.
        """
        counts = np.ones(len(truth)) if weight is None else weight
        rising = np.unique(score[truth])
        levels = len(rising)
        level = levels - 1 - np.searchsorted(rising, score[truth])
        below = np.searchsorted(rising, score[~truth], side="left")
        tied = np.searchsorted(rising, score[~truth], side="right") > below
        cell = 2 * (levels - below) - tied
        return cls(
            _count(level, item[truth], counts[truth], (levels, items)),
            _count(cell, item[~truth], counts[~truth], (2 * levels + 1, items)),
        )

    def measure(self, weights: NDArray[np.float32]) -> dict[str, NDArray[np.float64]]:
        """Return METRICS [R] for ``weights`` [U, R]; ties are handled as in scikit-learn."""
        anomalous = (self.anomalous @ weights).astype(np.float64)  # [L, R]
        found = anomalous.cumsum(axis=0)
        passed = (self.normal @ weights).cumsum(axis=0, dtype=np.float64)  # [2 L + 1, R]
        above, at, normal = passed[:-1:2], passed[1::2], passed[-1]
        total = anomalous.sum(axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            precision = np.where(found > 0, found / (found + at), 0.0)
            metrics = {
                "roc_auc": (anomalous * (normal - (above + at) / 2)).sum(axis=0) / (total * normal),
                "ap": np.where(normal > 0, (anomalous * precision).sum(axis=0) / total, np.nan),
            }
            for name, rate in FALSE_POSITIVE_RATES.items():
                metrics[name] = np.where(at / normal <= rate, found, 0.0).max(axis=0, initial=0.0) / total
        return {name: np.where((total > 0) & (normal > 0), value, np.nan) for name, value in metrics.items()}


def _count(
    row: NDArray[np.integer], item: NDArray[np.integer], counts: NDArray[np.float64], shape: tuple[int, int]
) -> csr_matrix:
    return csr_matrix((counts.astype(np.float32), (row, item)), shape=shape)


def mean_of_known(values: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Return the mean [R] of values [R] each; those that are NaN are passed over, and it is NaN where all are."""
    stacked = np.stack(values)
    known = ~np.isnan(stacked)
    with np.errstate(invalid="ignore"):
        mean: NDArray[np.float64] = np.where(known, stacked, 0.0).sum(axis=0) / known.sum(axis=0)
    return mean
