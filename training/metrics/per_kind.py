"""Numbers that say how good a detector is, per kind and on average."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from service.events.vocabulary import KINDS
from training.metrics import ranking
from training.metrics.ranking import MACRO, METRICS

__all__ = ["MACRO", "METRICS"]

AT_THRESHOLDS = ("precision", "recall", "f1", "specificity", "hamming_loss", "cost_weighted_accuracy")
CONFUSION = ("true_positives", "false_positives", "false_negatives", "true_negatives")

MISS_COST = 10.0
"""What a missed anomaly costs, in false alarms: a forged item on sale against a second look at a genuine one."""

KindScores = NDArray[np.float32]
"""[N, 5]: what a detector says of N events, higher is more anomalous."""

MetricsByKind = dict[str, dict[str, float]]
"""Metric by kind, "macro" included; NaN where a metric is not defined."""


def per_kind(labels: NDArray[np.float32], scores: NDArray[np.float32]) -> MetricsByKind:
    """Return METRICS by kind and their means, for labels [N, 5] (positive from 0.5 on) and scores [N, 5]."""
    one_item = np.zeros(len(labels), dtype=np.intp)
    found = ranking.rank(labels, scores, one_item, ranking.original(1))
    return {kind: {metric: float(value[0]) for metric, value in row.items()} for kind, row in found.items()}


def at_thresholds(labels: NDArray[np.float32], flags: NDArray[np.bool_], miss_cost: float = MISS_COST) -> MetricsByKind:
    """Return AT_THRESHOLDS by kind and their means, and CONFUSION by kind, for labels and findings [N, 5].

    - Hamming loss: share of wrong answers; over the kinds, its mean is that of multi-label learning.
    - Cost-weighted accuracy: (c TP + TN) / (c (TP + FN) + TN + FP), a missed anomaly counting as c = ``miss_cost``
      false alarms: the weighted accuracy of Androutsopoulos et al., 2000.
    """
    table: MetricsByKind = {}
    truth = labels >= 0.5
    for column, kind in enumerate(KINDS):
        real, flagged = truth[:, column], flags[:, column]
        tp, fp = int((real & flagged).sum()), int((~real & flagged).sum())
        fn, tn = int((real & ~flagged).sum()), int((~real & ~flagged).sum())
        table[kind] = {
            "precision": _ratio(tp, tp + fp),
            "recall": _ratio(tp, tp + fn),
            "f1": _ratio(2 * tp, 2 * tp + fp + fn),
            "specificity": _ratio(tn, tn + fp),
            "hamming_loss": _ratio(fp + fn, len(real)),
            "cost_weighted_accuracy": _ratio(miss_cost * tp + tn, miss_cost * (tp + fn) + tn + fp),
            **dict(zip(CONFUSION, map(float, (tp, fp, fn, tn)), strict=True)),
        }
    return table | {MACRO: {metric: _mean([table[kind][metric] for kind in KINDS]) for metric in AT_THRESHOLDS}}


def calibration_errors(labels: NDArray[np.float32], probabilities: NDArray[np.float32]) -> MetricsByKind:
    """Return the expected calibration error by kind and its mean, as the metric "ece"."""
    table = {
        kind: {"ece": expected_calibration_error(labels[:, column] >= 0.5, probabilities[:, column])}
        for column, kind in enumerate(KINDS)
    }
    return table | {MACRO: {"ece": _mean([row["ece"] for row in table.values()])}}


def temporal_consistency(causal: NDArray[np.bool_], retrospective: NDArray[np.bool_]) -> MetricsByKind:
    """Return how far the findings [N, 5] made when an event happened outlast what came later, by kind and on average.

    As the metric "temporal_consistency": the positive agreement 2 both / (causal + retrospective) of Cicchetti and
    Feinstein, 1990, of the two verdicts on the same events. Plain agreement would be near 1 for any detector, since
    nine of ten events are normal and nobody flags them. 1: no verdict is ever revised; NaN: nothing was flagged.
    """
    both = (causal & retrospective).sum(axis=0)
    either = causal.sum(axis=0) + retrospective.sum(axis=0)
    table = {
        kind: {"temporal_consistency": _ratio(2 * int(both[column]), int(either[column]))}
        for column, kind in enumerate(KINDS)
    }
    return table | {MACRO: {"temporal_consistency": _mean([row["temporal_consistency"] for row in table.values()])}}


def expected_calibration_error(truth: NDArray[np.bool_], probability: NDArray[np.float32], bins: int = 10) -> float:
    """Return the mean gap between probability and frequency over ``bins`` equal bins, weighted by their events."""
    bin_of = np.minimum((probability * bins).astype(np.intp), bins - 1)
    gap = np.bincount(bin_of, probability.astype(np.float64) - truth, minlength=bins)
    return float(np.abs(gap).sum() / len(truth))


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")


def _mean(values: list[float]) -> float:
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")
