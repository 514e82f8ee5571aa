"""How many events are of each class, told by a classifier that takes some classes for others."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls  # type: ignore[import-untyped]


def mixture(
    known: NDArray[np.float64], label: NDArray[np.integer], unknown: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return how many [K] of the ``unknown`` events are of each class.

    As many as make a classifier say, on average, what it says of them: named by the likeliest class, those that look
    like two would all count for one (Bella et al., 2010, "Quantification via probability estimators").

    Args:
        known: [P, K] what the classifier says of events that it did not learn from; all 0 where there is nothing.
        label: [P] class of each of them.
        unknown: [R, K] what it says of the others.
    """
    count = unknown.shape[1]
    if not len(unknown):
        return np.zeros(count)
    usable = known.any(axis=1)
    says = np.zeros((count, count))  # [says, is]
    for each in np.unique(label[usable]):
        says[:, each] = known[usable & (label == each)].mean(axis=0)
    shares = nnls(says, unknown.mean(axis=0))[0]
    return np.asarray(len(unknown) * shares / max(float(shares.sum()), 1e-9))
