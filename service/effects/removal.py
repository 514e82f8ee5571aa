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
    everywhere: NDArray[np.bool_],
) -> Array:
    """Return the scores [M, K] in points if some features were as in a median normal event.

    Args:
        mixture: the models.
        baseline: the normal events.
        asked: M events.
        removed: [M, F] the features.
        everywhere: [M] whether those of the other events of the window are removed too. So it must be with what is
            constant over the journey, like all that its code tells: one changed event would be a contradiction.
    """
    T = asked.features.shape[1]
    where = everywhere[:, None] | (np.arange(T) == asked.position[:, None])  # [M, T]
    replaced = where[:, :, None] & removed[:, None, :]
    return mixture.scores(asked.about(np.where(replaced, baseline.of(asked), asked.features)))


def reason_elsewhere(scores: Array, without: Array) -> NDArray[np.bool_]:
    """Return where the scores do not fall without the features of the cause: models went by something else."""
    return without > scores - LEAST_FALL
