"""What a model is made from: events with labels, each EPC in one part, train, validation or test."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from service import features, rules
from service.events import KINDS, Events
from service.journeys import Journeys
from service.reference import Reference
from training import dataset
from training.dataset import DataError, Dataset, Truth
from training.reference import Masters, learn
from training.samples import SPLITS, Samples, normal_events, samples, split_epcs

MIN_EPCS = 200
"""Fewer EPCs cannot be split into parts that say anything."""


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """N labelled events of U EPCs."""

    events: Events
    labels: NDArray[np.float32]  # [N, 5] 0 .. 1
    split: NDArray[np.int8]  # [U] index into SPLITS, -1 for an EPC that is left out
    masters: Masters
    max_length: int  # events of a window

    def rows(self, part: str) -> NDArray[np.intp]:
        """Return the positions of the events of a part."""
        return np.flatnonzero(self.split[self.events.epc] == SPLITS.index(part))

    def take(self, part: str) -> tuple[Events, NDArray[np.float32]]:
        """Return the events of a part and their labels."""
        rows = self.rows(part)
        return self.events.take(rows), self.labels[rows]

    def reference(self, part: str) -> Reference:
        """Return the tables that the normal events of a part teach."""
        events, labels = self.take(part)
        return learn(events, normal_events(labels), self.masters)

    def samples(self, part: str, reference: Reference) -> list[Samples]:
        """Return the samples of a part, retrospective and causal, all its events in one request."""
        return [samples(*self.take(part), reference, causal=causal, limit=self.max_length) for causal in (False, True)]


def load(
    data: Path, truth: Path | None, max_length: int, quarantine: Path | None = None
) -> tuple[Dataset, Truth, Material]:
    """Return a data folder, its labels (those of the rules without ``truth``), and both as material.

    Raises:
        DataError: they cannot be used.
    """
    world = dataset.load(data, quarantine=quarantine)
    if len(world.events.epc_codes) < MIN_EPCS:
        raise DataError(f"{data} has {len(world.events.epc_codes)} EPCs; training needs {MIN_EPCS} at least")
    known = dataset.load_truth(truth, world.events) if truth else weak_labels(world)
    return world, known, Material(world.events, known.labels, split_epcs(world.events), world.masters, max_length)


def weak_labels(world: Dataset) -> Truth:
    """Return the rules' scores as soft labels: tables are learned from all events, then from those the rules pass."""
    journeys = Journeys.of(world.events)
    normal = np.ones(len(world.events), dtype=np.bool_)
    labels = np.zeros((len(world.events), len(KINDS)), dtype=np.float32)
    for _ in range(2):
        reference = learn(world.events, normal, world.masters)
        labels[journeys.order] = rules.judge(features.compute(journeys, reference, causal=False))[0]
        normal = normal_events(labels)
    return Truth(labels)
