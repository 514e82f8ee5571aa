"""What is to be explained: events in their windows, by kind, and the models whose scores it is about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from service.effects.network import Network
from service.effects.onnx_file import Array
from service.features.case import Case
from service.features.table import INDEX
from service.model.sequences import Windows, pad

_CAUSAL = INDEX["causal"]


@dataclass(frozen=True, slots=True, eq=False)
class Questions:
    """M events, each with the K kinds to explain. T: the longest window."""

    features: NDArray[np.float32]  # [M, T, F] of the windows that answer for the events
    lengths: NDArray[np.int64]  # [M, 1]
    position: NDArray[np.intp]  # [M] of the event in its window
    kinds: NDArray[np.intp]  # [M, K]
    spared: NDArray[np.bool_] | None = None  # [M] see `Case`

    @classmethod
    def of(cls, case: Case, windows: Windows, asked: NDArray[np.intp], kinds: NDArray[np.intp]) -> Questions:
        """Return the questions of some of the asked events of a case.

        Args:
            case: what is known.
            windows: those that answer for its asked events (`View.windows`).
            asked: [M] positions in the order asked; one event may be there several times.
            kinds: [M, K] kinds to explain.
        """
        window = windows.window_of[asked]
        start, length = windows.start[window], windows.length[window]
        features = pad(case.features, start, length, int(length.max(initial=1)))
        spared = None if case.spared is None else case.spared[case.rows[asked]]
        return cls(features, length[:, None].astype(np.int64), windows.offset_of[asked], kinds, spared)

    def __len__(self) -> int:
        return len(self.features)

    @property
    def modes(self) -> NDArray[np.intp]:
        """Return [M, 1]: 1 for events that are judged causally."""
        return (self.features[:, :1, _CAUSAL] > 0.5).astype(np.intp)

    @property
    def events(self) -> NDArray[np.float32]:
        """Return the features [M, F] of the events themselves."""
        return self.features[np.arange(len(self)), self.position]

    def take(self, rows: NDArray[np.intp]) -> Questions:
        """Return some of the questions, with windows no longer than they need; a single one stays as it is."""
        if len(rows) == len(self) == 1:
            return self
        lengths = self.lengths[rows]
        features = self.features[rows, : int(lengths.max(initial=1))]
        spared = None if self.spared is None else self.spared[rows]
        return Questions(features, lengths, self.position[rows], self.kinds[rows], spared)

    def about(self, features: NDArray[np.float32]) -> Questions:
        """Return the same questions with other features [M, T, F]."""
        return replace(self, features=features)


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    """A model among those that a score is made of."""

    network: Network
    weights: Array  # [2, 5] of its logits, by mode and kind
    most: float = np.inf  # its logits are taken as at least -most and at most most
    sees: Callable[[NDArray[np.float32]], NDArray[np.float32]] | None = None  # of features [.., F]; None: as they are


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """What has no gradient but a say, like the rules: its part of a score is explained as a whole."""

    name: str  # of its effect
    judge: Callable[[Questions], Array]  # logits [M, 5]
    weights: Array  # [2, 5]


@dataclass(frozen=True, slots=True, eq=False)
class Mixture:
    """The models that a score is made of: logit = bias + the sum of weight * logit over members and steps."""

    members: tuple[Member, ...]
    bias: Array  # [2, 5] by mode and kind
    steps: tuple[Step, ...] = ()

    @classmethod
    def alone(cls, network: Network, sees: Callable[..., NDArray[np.float32]] | None = None) -> Mixture:
        """Return the scores of one network, see `Member`."""
        member = Member(network, np.ones((2, 5), dtype=np.float32), sees=sees)
        return cls((member,), np.zeros((2, 5), dtype=np.float32))

    def step_logits(self, step: Step, asked: Questions) -> Array:
        """Return what a step adds to the logits [M, K]."""
        rows = np.arange(len(asked))[:, None]
        said: Array = step.weights[asked.modes, asked.kinds] * step.judge(asked)[rows, asked.kinds]
        return said
