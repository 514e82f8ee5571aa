"""Logits to probabilities, and probabilities to findings: both set on validation data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]

from service.detect.ensemble import logit
from service.events.vocabulary import KINDS

_THRESHOLD_RANGE = (0.05, 0.95)
"""Below, a finding would be more noise than signal however few there are; above, a sure case might be missed."""


def platt(logits: NDArray[np.float32], labels: NDArray[np.float32]) -> tuple[list[float], list[float]]:
    """Return (a [5], b [5]) with probability = sigmoid(a * logit + b), by maximum likelihood (Platt, 1999).

    A kind without both anomalous and normal events keeps the identity.
    """
    a, b = [], []
    for column in range(len(KINDS)):
        truth = labels[:, column] >= 0.5
        if truth.all() or not truth.any():
            a.append(1.0)
            b.append(0.0)
            continue
        fit = LogisticRegression(C=1e3).fit(logits[:, [column]], truth)
        a.append(float(fit.coef_[0, 0]))
        b.append(float(fit.intercept_[0]))
    return a, b


def thresholds(probabilities: NDArray[np.float32], labels: NDArray[np.float32], budget: float) -> list[float]:
    """Return the threshold [5] at which ``budget`` of the normal events would be flagged, kept within 0.05 .. 0.95.

    Events that look alike have one score: where they are too many for the budget, the threshold is the next score.
    """
    found = []
    for column in range(len(KINDS)):
        normal = probabilities[labels[:, column] < 0.5, column]
        at_budget = float(np.quantile(normal, 1 - budget)) if len(normal) else 0.5
        flagged = normal[normal >= at_budget]
        if len(flagged) > budget * len(normal) + 1:
            above = flagged[flagged > flagged.min()]
            at_budget = float(above.min() if len(above) else np.nextafter(flagged.min(), np.float32(1)))
        found.append(float(np.clip(at_budget, *_THRESHOLD_RANGE)))
    return found


def thresholds_of_costs(costs: Sequence[tuple[float, float]]) -> list[float]:
    """Return the threshold [5] of least expected cost for (cost of a miss, cost of a false alarm) [5] by kind.

    Flagging an event of probability p costs (1 - p) * alarm, passing it p * miss: equal at alarm / (alarm + miss)
    (Elkan, 2001). That needs calibrated probabilities and no labels.
    """
    return [alarm / (alarm + miss) for miss, alarm in costs]


_ALONE = (1.0, 0.0, 0.0)  # the network's score as it is


def fit_weights(
    lstm: Sequence[NDArray[np.float32]], svm: Sequence[NDArray[np.float32]], labels: Sequence[NDArray[np.float32]]
) -> dict[str, Any]:
    """Return the weights of `manifest.Ensemble`, [2, 5] each, for probabilities and labels [N, 5] by mode.

    Logistic regression by mode and kind; a kind without both anomalous and normal events keeps the network's score.
    """
    found = np.array(
        [
            [_weights(logit(a[:, kind]), logit(b[:, kind]), truth[:, kind] >= 0.5) for kind in range(len(KINDS))]
            for a, b, truth in zip(lstm, svm, labels, strict=True)
        ]
    )  # [2, 5, 3]
    return {name: found[:, :, column].tolist() for column, name in enumerate(("lstm", "svm", "bias"))}


def _weights(
    lstm: NDArray[np.float64], svm: NDArray[np.float64], truth: NDArray[np.bool_]
) -> tuple[float, float, float]:
    if truth.all() or not truth.any():
        return _ALONE
    fit = LogisticRegression(C=1e3).fit(np.stack([lstm, svm], axis=1), truth)
    return float(fit.coef_[0, 0]), float(fit.coef_[0, 1]), float(fit.intercept_[0])
