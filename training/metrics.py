"""Numbers that say how good scores are, per kind and on average."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve  # type: ignore[import-untyped]

from service.events import KINDS

MACRO = "macro"
METRICS = ("roc_auc", "ap", "recall_at_1pct_fpr")

Table = dict[str, dict[str, float]]
"""Metric by kind, "macro" included; NaN for a kind without both anomalous and normal events."""


def per_kind(labels: NDArray[np.float32], scores: NDArray[np.float32]) -> Table:
    """Return METRICS by kind and their means, for labels [N, 5] (positive from 0.5 on) and scores [N, 5]."""
    table: Table = {}
    for column, kind in enumerate(KINDS):
        truth, score = labels[:, column] >= 0.5, scores[:, column]
        if truth.all() or not truth.any():
            table[kind] = dict.fromkeys(METRICS, float("nan"))
            continue
        table[kind] = {
            "roc_auc": float(roc_auc_score(truth, score)),
            "ap": float(average_precision_score(truth, score)),
            "recall_at_1pct_fpr": recall_at_fpr(truth, score, 0.01),
        }
    table[MACRO] = {name: float(np.nanmean([table[kind][name] for kind in KINDS])) for name in METRICS}
    return table


def recall_at_fpr(truth: NDArray[np.bool_], score: NDArray[np.float32], false_positive_rate: float) -> float:
    """Return the largest recall whose false-positive rate is at most ``false_positive_rate``."""
    fpr, tpr, _ = roc_curve(truth, score, drop_intermediate=False)
    return float(tpr[fpr <= false_positive_rate].max())


def expected_calibration_error(truth: NDArray[np.bool_], probability: NDArray[np.float32], bins: int = 10) -> float:
    """Return the mean gap between probability and frequency over ``bins`` equal bins, weighted by their events."""
    bin_of = np.minimum((probability * bins).astype(np.intp), bins - 1)
    gap = np.bincount(bin_of, probability.astype(np.float64) - truth, minlength=bins)
    return float(np.abs(gap).sum() / len(truth))
