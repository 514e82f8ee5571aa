"""What a score would be without some features: whether the cause that is named is what the models went by."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from service.effects.gradients import NormalWindows
from service.effects.onnx_file import Array
from service.effects.questions import Mixture, Questions

LEAST_FALL = 0.01
"""Points that a score must fall by; less is rounding."""


def scores_without(
    mixture: Mixture,
    baseline: NormalWindows,
    asked: Questions,
    removed: NDArray[np.bool_],
) -> Array:
    """Return the scores [M, K] in points if some features were as in a median normal event, all along the journey.

    They go at the other events of the window too, for each event tells of its neighbours: a code is that of all of
    them, and where an item went astray, the events after it are at odd places as well. One changed event would be a
    contradiction, and a network that remembers would still see the rest.

    Args:
        mixture: the models.
        baseline: the normal events.
        asked: M events.
        removed: [M, F] the features.
    """
    return mixture.scores(asked.about(np.where(removed[:, None, :], baseline.of(asked), asked.features)))


def reason_elsewhere(scores: Array, without: Array) -> NDArray[np.bool_]:
    """Return where the scores do not fall without the features of the cause: models went by something else."""
    return without > scores - LEAST_FALL
