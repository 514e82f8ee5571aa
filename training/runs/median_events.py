"""The median normal event of each type and mode: what scores are explained against."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from service.events.vocabulary import EVENT_TYPES, MODES
from service.features.table import TYPE_COLUMNS
from service.model.manifest import NormalEvents
from training.samples.samples import Samples
from training.samples.splits import normal_events

_FEW = 10
"""Of fewer normal events of a type the median is that of all types: it would be the accident of a few."""


def median_events(check: Sequence[Samples]) -> NormalEvents:
    """Return the medians, feature by feature, of the normal events of ``check``: validation samples by mode."""
    return NormalEvents(**{mode: _by_type(part) for mode, part in zip(MODES, check, strict=True)})


def _by_type(part: Samples) -> list[list[float]]:
    normal = part.features[normal_events(part.labels)]
    kind = normal[:, TYPE_COLUMNS].argmax(axis=1)
    found = []
    for number in range(len(TYPE_COLUMNS)):
        alike = normal[kind == number]
        median = np.median(alike if len(alike) >= _FEW else normal, axis=0)
        if number < len(EVENT_TYPES):  # an unknown type is not normal, and has an effect
            median[TYPE_COLUMNS] = np.arange(len(TYPE_COLUMNS)) == number
        found.append([float(f"{value:.6g}") for value in median])  # 6 digits: more would only be long
    return found
