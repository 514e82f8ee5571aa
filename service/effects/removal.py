"""What a score would be without some features: whether the cause that is named is what the models went by."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from service.effects.onnx_file import Array
from service.effects.questions import Questions

LEAST_FALL = 0.01
"""Points that a score must fall by; less is rounding."""


def without_features(normal: NDArray[np.float32], asked: Questions, removed: NDArray[np.bool_]) -> Questions:
    """Return the questions if some features were as in a median normal event, all along the journey.

    They go at the other events of the window too, for each event tells of its neighbours: a code is that of all of
    them, and where an item went astray, the events after it are at odd places as well. One changed event would be a
    contradiction, and a network that remembers would still see the rest.

    Args:
        normal: [M, T, F] the normal events in the place of those of each window.
        asked: M events.
        removed: [M, F] the features.
    """
    return asked.about(np.where(removed[:, None, :], normal, asked.features))


def reason_elsewhere(scores: Array, without: Array) -> NDArray[np.bool_]:
    """Return where the scores do not fall without the features of the cause: models went by something else."""
    return without > scores - LEAST_FALL
