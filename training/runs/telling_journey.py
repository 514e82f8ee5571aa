"""The journey of a manifest's golden probe: one of which a model's answer tells that model from others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from service.model.sequences import Windows
from training.samples.samples import Samples, Score

_LOOKED_AT = 5_000
"""Journeys at most, spread over all: more of them are hardly less sure."""


def telling_journey(part: Samples, longest: int, score: Score) -> list[list[float]]:
    """Return the features [T, F] of the first ``longest`` events of the journey of which ``score`` is least sure.

    Where a probability is 0 or 1 to the tolerance of the probe, other weights say the same. So the journey is the one
    whose surest kind is least sure, p(1 - p) at the best of its events: that is how far an answer moves with its logit.
    """
    length = np.minimum(part.windows.length, longest)
    T = int(length.max())
    full = np.flatnonzero(length == T)
    start = part.windows.start[full[:: -(-len(full) // _LOOKED_AT)]]
    asked = np.arange(len(start) * T)
    cut = Windows(start, np.full(len(start), T), asked // T, asked % T)
    said = score(replace(part, windows=cut)).reshape(len(start), T, -1).astype(np.float64)
    moves = (said * (1 - said)).max(axis=1).min(axis=1)  # [W]
    first = start[int(moves.argmax())]
    return [[float(value) for value in event] for event in part.features[first : first + T]]
