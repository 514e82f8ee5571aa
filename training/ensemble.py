"""How the scores of the network and of the one-class SVMs are combined: fitted on validation data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]

from service.ensemble import logit
from service.events import KINDS

_ALONE = (1.0, 0.0, 0.0)  # the network's score as it is


def fit_weights(
    lstm: Sequence[NDArray[np.float32]], svm: Sequence[NDArray[np.float32]], labels: Sequence[NDArray[np.float32]]
) -> dict[str, Any]:
    """Return the weights of `service.registry.Ensemble`, [2, 5] each, for probabilities and labels [N, 5] by mode.

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
