"""The journey of a manifest's golden probe: one of which a model's answer tells that model from others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from service.model.backend import PROBE_TOLERANCE
from service.model.sequences import Windows
from training.samples.samples import Samples, Score

_LOOKED_AT = 5_000
"""Journeys at most, spread over all: more of them are hardly less sure."""


def telling_journey(part: Samples, longest: int, score: Score) -> list[list[float]]:
    """Return the features [T, F] of the first ``longest`` events of the journey whose answer tells ``score`` best.

    p(1 - p) is how far an answer moves with its logit. What moves less than the probe's tolerance, where p is 0 or 1,
    is the answer of many a model: there is nothing to choose between a little of it and less, and one kind of which the
    network is always sure is no reason to take a journey of which it is sure in all. So each kind counts, at the best
    of its events, by how many times its move is above that.
    """
    length = np.minimum(part.windows.length, longest)
    T = int(length.max())
    full = np.flatnonzero(length == T)
    start = part.windows.start[full[:: -(-len(full) // _LOOKED_AT)]]
    asked = np.arange(len(start) * T)
    cut = Windows(start, np.full(len(start), T), asked // T, asked % T)
    said = score(replace(part, windows=cut)).reshape(len(start), T, -1).astype(np.float64)
    moves = (said * (1 - said)).max(axis=1)  # [W, 5]
    first = start[int(np.log(moves + PROBE_TOLERANCE).sum(axis=1).argmax())]
    return [[float(value) for value in event] for event in part.features[first : first + T]]
