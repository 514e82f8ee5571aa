"""How often are words wrong, if all who judge err alike? Of two words on one claim one is wrong with 2 e (1 - e)."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

LEAST_PAIRS: Final = 300
"""Claims that two persons judged, of fewer than which nothing is told of the errors of all."""

_MOST_CONTRADICTED = 0.48
"""Share of contradictions of the error rate 0.4; beyond, words tell nothing."""


def shown_error_rate(confirmed: NDArray[np.int64], words: NDArray[np.int64]) -> float:
    """Return the share of wrong words by which persons contradict each other as often as they do, 0 to below 0.5.

    0 where fewer than LEAST_PAIRS claims were judged by two. A claim counts once, however many judged it.

    Args:
        confirmed: words for an anomaly on each of C claims, [C].
        words: all words on it, [C].
    """
    several = words > 1
    if several.sum() < LEAST_PAIRS:
        return 0.0
    confirmed, words = confirmed[several], words[several]
    contradicted = float((2 * confirmed * (words - confirmed) / (words * (words - 1))).mean())
    return (1 - math.sqrt(1 - 2 * min(contradicted, _MOST_CONTRADICTED))) / 2
