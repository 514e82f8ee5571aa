"""The labels of a data set: the truth, or the scores of the rules where there is none."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from service.detect import rules
from service.events.journeys import Journeys
from service.events.vocabulary import KINDS
from service.features import table as features
from training.datasets.dataset import Dataset
from training.datasets.truth import Truth, load_truth
from training.samples.reference import learn
from training.samples.splits import normal_events


def labels_of(world: Dataset, truth: Path | None) -> Truth:
    """Return the truth, or the weak labels of the rules where there is none."""
    return load_truth(truth, world.events) if truth else weak_labels(world)


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
