"""Events of other networks: learned from with tables of their own, so that a model learns what all networks share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from service.events.columns import Events
from training.datasets import dataset
from training.datasets.dataset import Dataset
from training.datasets.masters import Masters
from training.datasets.truth import truth_beside
from training.samples.labels import labels_of, weak_labels
from training.samples.splits import normal_events

_TEACHING = (0.4, 0.3, 0.3)  # chances of the ways in which tables are learned, see `OtherNetwork.teaching`

_LEAKS = (0.05, 0.15, 0.4)  # shares of the anomalies that get into tables


@dataclass(frozen=True, slots=True, eq=False)
class OtherNetwork:
    """N labelled events of another network, with masters of its own.

    They are only learned from, all of them: never in the tables, the validation or the test of the network at home.
    """

    events: Events
    labels: NDArray[np.float32]  # [N, 5] 0 .. 1
    masters: Masters
    passed: NDArray[np.bool_]  # [N] the events that the rules pass: what tables are learned from without labels

    @classmethod
    def of(cls, world: Dataset, labels: NDArray[np.float32]) -> OtherNetwork:
        """Return the events of a data set with their ``labels`` [N, 5]."""
        return cls(world.events, labels, world.masters, normal_events(weak_labels(world).labels))

    def teaching(self, rng: np.random.Generator) -> NDArray[np.bool_]:
        """Return which events [N] teach the tables this time.

        Whoever adopts a model has no labels: some anomalies get into his tables, and some normal events do not. So the
        model learns to judge by tables of the normal events, of those and some anomalies, and of what the rules pass.
        """
        normal = normal_events(self.labels)
        way = rng.choice(len(_TEACHING), p=_TEACHING)
        if way == 0:
            return normal
        if way == 1:
            return np.asarray(normal | (rng.random(len(normal)) < rng.choice(_LEAKS)))
        return self.passed


def load_network(folder: Path, time_zone: str) -> tuple[OtherNetwork, Dataset, Path | None]:
    """Return the events of a folder, what was read from it, and its truth file, None if the rules label.

    Raises:
        DataError: they cannot be used.
    """
    world, truth = dataset.load(folder, time_zone=time_zone), truth_beside(folder)
    return OtherNetwork.of(world, labels_of(world, truth).labels), world, truth
