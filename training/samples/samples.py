"""Sequences with labels: what the model learns from and is measured on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from service.events.columns import Events
from service.events.journeys import Journeys
from service.features import table as features
from service.features.reference import Reference
from service.features.table import INDEX
from service.model.sequences import Windows, prefix_windows, whole_windows


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Sequences with labels: W windows over the rows of ``features``."""

    features: NDArray[np.float32]  # [N, F]
    labels: NDArray[np.float32]  # [N, 5]
    windows: Windows
    index: NDArray[np.intp]  # [N] position of each row in the events that were given
    oftener: NDArray[np.float32] | None = None  # [W] how much oftener each window is drawn; None: all alike
    spared: NDArray[np.bool_] | None = None  # [N] rows whose codes are spared, see `Case`; None: none is so

    @property
    def draws(self) -> NDArray[np.float32]:
        """How much oftener each window [W] is drawn."""
        return np.ones(len(self.windows.start), dtype=np.float32) if self.oftener is None else self.oftener

    @property
    def to_judge(self) -> Windows:
        """The windows that a model has to read: causally one tells of all events that it begins with."""
        causal = self.features[:, INDEX["causal"]] > 0
        return self.windows.joined() if causal.all() else self.windows

    def take(self, rows: NDArray[np.intp]) -> Samples:
        """Return the samples of ``rows``, in ascending order and all those of their journeys."""
        windows = self.windows.answering(rows)
        windows = replace(windows, start=np.searchsorted(rows, windows.start))
        spared = None if self.spared is None else self.spared[rows]
        return Samples(self.features[rows], self.labels[rows], windows, self.index[rows], spared=spared)


Draw = Callable[[np.random.Generator], tuple[Samples, Samples]]
"""Returns the (retrospective, causal) samples of one pass over the training data, another one on every call."""


Score = Callable[[Samples], NDArray[np.float32]]
"""Returns the probabilities [N, 5] of the rows of samples."""


def samples(  # noqa: PLR0913 - three of them are options, given by name
    events: Events,
    labels: NDArray[np.float32],
    reference: Reference,
    *,
    causal: bool,
    limit: int,
    settle_us: int = 0,
) -> Samples:
    """Return the sequences of ``events``, all companions of each other: as one request would be judged.

    Causal ones are those ``settle_us`` microseconds after each event, see `features.compute`.
    """
    journeys = Journeys.of(events)
    table = features.compute(journeys, reference, causal=causal, settle_us=settle_us)
    windows = prefix_windows(journeys, limit) if causal else whole_windows(journeys, limit)
    return Samples(table, labels[journeys.order], windows, journeys.order)


def concatenate(parts: list[Samples]) -> Samples:
    """Return the samples of all parts as one; positions in the given events lose their meaning."""
    rows = np.cumsum([0] + [len(part.features) for part in parts])
    windows = np.cumsum([0] + [len(part.windows.start) for part in parts])
    return Samples(
        features=np.concatenate([part.features for part in parts]),
        labels=np.concatenate([part.labels for part in parts]),
        windows=Windows(
            start=np.concatenate([part.windows.start + row for part, row in zip(parts, rows, strict=False)]),
            length=np.concatenate([part.windows.length for part in parts]),
            window_of=np.concatenate([part.windows.window_of + w for part, w in zip(parts, windows, strict=False)]),
            offset_of=np.concatenate([part.windows.offset_of for part in parts]),
        ),
        index=np.concatenate([part.index + row for part, row in zip(parts, rows, strict=False)]),
        oftener=None if all(part.oftener is None for part in parts) else np.concatenate([part.draws for part in parts]),
    )
