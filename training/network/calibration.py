"""Logits to probabilities, and probabilities to findings: both set on validation data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]

from service.detect.cutoffs import cost_threshold
from service.detect.detector import CERTAIN_SCORE
from service.detect.ensemble import SUSPICION, Members, logit, logit_of_evidence, logit_of_svm
from service.events.vocabulary import KINDS, OperatingPoint

_THRESHOLD_RANGE = (SUSPICION, 0.95)
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

    That needs calibrated probabilities and no labels.
    """
    return [cost_threshold(miss, alarm) for miss, alarm in costs]


PRECISION = 0.99
"""Share of the findings at the precise point that are right, at least, on the data that it is set on."""

_DEVIATIONS = 2.0
"""Thresholds whose F1 is less than the best by no more standard deviations do as well: 95 % of chance. Around the best
one F1 is flat, and its place is chance."""


def points(
    probabilities: NDArray[np.float32], labels: NDArray[np.float32], sensitive: list[float]
) -> dict[OperatingPoint, list[float]]:
    """Return the thresholds [5] of each operating point, for probabilities and labels [N, 5].

    Balanced is, from ``sensitive`` on, where precision and recall are closest among the thresholds of the best F1, as
    far as so few events can tell; precise is the least one from there on whose findings, and one false alarm more, are
    right in `PRECISION` of the cases, or the nearest to that.
    None is above the score of a malformed code, which is always a finding.
    """
    pairs = [
        _balanced_and_precise(probabilities[:, column], labels[:, column] >= 0.5, least)
        for column, least in enumerate(sensitive)
    ]
    return {
        OperatingPoint.PRECISE: [precise for _, precise in pairs],
        OperatingPoint.BALANCED: [balanced for balanced, _ in pairs],
        OperatingPoint.SENSITIVE: sensitive,
    }


def _balanced_and_precise(scores: NDArray[np.float32], truth: NDArray[np.bool_], least: float) -> tuple[float, float]:
    """Return both thresholds of one kind, for scores [N]; without an anomaly both are 0.5, or ``least`` if above."""
    cuts = np.unique(-scores)  # from the highest score on; a threshold is at one of them
    order = np.argsort(-scores, kind="stable")
    last = np.searchsorted(-scores[order], cuts, side="right")  # [C] events at or above each cut
    cuts, found = -cuts, np.cumsum(truth[order])[last - 1]
    kept = cuts >= np.float32(least)
    if not truth.any() or not kept.any() or not found[kept].any():
        middle = max(0.5, least)
        return middle, middle
    cuts, found, flagged = cuts[kept], found[kept], last[kept]
    f1, precision = 2 * found / (flagged + truth.sum()), found / flagged
    # F1 = 2 R / (2 R + E) of R right findings and E errors, a count that varies by its root.
    top = int(f1.argmax())
    errors = flagged[top] + truth.sum() - 2 * found[top]
    deviation = f1[top] * np.sqrt(errors) / (flagged[top] + truth.sum())
    alike = np.flatnonzero(f1 >= f1[top] - _DEVIATIONS * deviation)
    best = int(alike[np.argmin(np.abs(precision - found / truth.sum())[alike])])
    # With one false alarm more: else a few findings that happen to be right would be taken for precision.
    above = found[: best + 1] / (flagged[: best + 1] + 1)
    enough = np.flatnonzero(above >= PRECISION)
    sure = int(enough[-1]) if len(enough) else int(np.argmax(above))
    balanced, precise = (_between(cuts, at, least) for at in (best, sure))
    return balanced, precise


def _between(cuts: NDArray[np.float32], at: int, least: float) -> float:
    """Return the threshold in the middle between a cut and the next lower one, which other data may fall between."""
    below = float(cuts[at + 1]) if at + 1 < len(cuts) else least
    return min((float(cuts[at]) + below) / 2, CERTAIN_SCORE)


_ALONE = (1.0, 0.0, 0.0, 0.0)  # the network's score as it is


def fit_weights(members: Sequence[Members], labels: Sequence[NDArray[np.float32]]) -> dict[str, Any]:
    """Return the weights of `manifest.Ensemble`, [2, 5] each, for what its members say and labels [N, 5], by mode.

    Logistic regression by mode and kind, without negative weights: what a member finds suspicious makes nothing less
    so. A kind without both anomalous and normal events keeps the network's score.
    """
    found = np.array([_weights(each, truth >= 0.5) for each, truth in zip(members, labels, strict=True)])  # [2, 5, 4]
    return {name: found[:, :, column].tolist() for column, name in enumerate(("lstm", "svm", "rules", "bias"))}


def _weights(members: Members, labels: NDArray[np.bool_]) -> list[tuple[float, ...]]:
    """Return (weight of the network, of the SVMs, of the rules, bias) of each kind."""
    assert members.svm is not None  # noqa: S101 - in a training they always answer
    logits = np.stack(
        [logit(members.lstm), logit_of_svm(members.svm), logit_of_evidence(members.rules.evidence)], axis=2
    )
    found: list[tuple[float, ...]] = []
    for kind in range(len(KINDS)):
        truth = labels[:, kind]
        if truth.all() or not truth.any():
            found.append(_ALONE)
            continue
        found.append(_not_negative(logits[:, kind], truth))
    return found


def _not_negative(logits: NDArray[np.float64], truth: NDArray[np.bool_]) -> tuple[float, ...]:
    """Return the weights and the bias for logits [N, 3]; members with a negative weight are left out, worst first."""
    weights, members = np.zeros(logits.shape[1]), list(range(logits.shape[1]))
    while True:
        fit = LogisticRegression(C=1e3).fit(logits[:, members], truth)
        worst = int(np.argmin(fit.coef_[0]))
        if fit.coef_[0, worst] >= 0 or len(members) == 1:
            weights[members] = fit.coef_[0]
            return *map(float, weights), float(fit.intercept_[0])
        del members[worst]
