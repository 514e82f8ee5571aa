"""What adoption is worth in a world whose truth is known: ``python -m tests.tools.adoption DIR [REPO]``.

AP, false alarms and recall of the newest network of a repository (default: the bundled one), with its own tables,
with those learned from the world as it is, with adopted ones, and with those that the true normal events teach; and the
recall that the adoption estimates beside the true one. The truth is used for these numbers alone.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from service.events.vocabulary import KINDS, MODES
from service.features.reference import Reference
from service.features.table import feature_spec_hash
from service.model.repository import load
from tests.support.gateway import ROOT
from training.adoption.adopt import adopt
from training.adoption.judging import judged
from training.adoption.settings import AdoptSettings
from training.datasets import dataset
from training.datasets.truth import load_truth, truth_beside
from training.metrics.per_kind import per_kind
from training.metrics.ranking import MACRO
from training.runs.weights import weights_of_model
from training.samples.reference import learn
from training.samples.splits import normal_events

_NEAR = 0.05
"""An estimate of recall that is not farther off is good enough."""


def main(folder: Path, repository: Path) -> None:
    """Print the tables of a world."""
    truth_file = truth_beside(folder)
    assert truth_file is not None, f"{folder} has no truth.parquet or truth.csv"
    world = dataset.load(folder)
    labels = load_truth(truth_file, world.events).labels
    model = load(repository, feature_spec_hash=feature_spec_hash())
    weights = weights_of_model(model)
    adoption = adopt(world, weights, AdoptSettings(), lambda _what, _done: None)
    everything, normal = np.ones(len(labels), dtype=np.bool_), normal_events(labels)
    tables = {
        "bundled": Reference.from_json(model.manifest.reference),
        "of all events": learn(world.events, everything, world.masters),
        "adopted": adoption.reference,
        "of the truly normal events": learn(world.events, normal, world.masters),
    }
    aside = adoption.settled.rounds[-1].aside
    print(f"{len(labels):,} events, {(~normal).mean():.1%} anomalous; {aside:,} set aside, ", end="")
    print(f"{(~adoption.settled.normal & normal).sum():,} of them normal; rounds {len(adoption.settled.rounds)}")
    print("| tables | mode | macro AP | AP by kind | false alarms, % | recall |\n| --- | --- | --- | --- | --- | --- |")
    for name, reference in tables.items():
        for causal, mode in enumerate(MODES):
            scores = judged(world.events, reference, weights, causal=bool(causal)).scores
            print(f"| {name} | {mode} | {_measured(labels, scores, adoption.cuts.of(mode))} |", flush=True)
    print("| mode | kind | true recall | estimated | off |\n| --- | --- | --- | --- | --- |")
    near = 0
    for mode in MODES:
        flags = adoption.scores[mode] >= adoption.cuts.of(mode)
        for at, kind in enumerate(KINDS):
            true, estimated = flags[labels[:, at] >= 0.5, at].mean(), adoption.trusted[mode][kind].recall
            near += bool(abs(estimated - true) <= _NEAR)
            print(f"| {mode} | {kind} | {true:.3f} | {estimated:.3f} | {estimated - true:+.3f} |")
    print(f"{near} of {len(MODES) * len(KINDS)} estimates are within {_NEAR} of the true recall.")


def _measured(labels: NDArray[np.float32], scores: NDArray[np.float32], cuts: NDArray[np.float32]) -> str:
    flags, truth, ap = scores >= cuts, labels >= 0.5, per_kind(labels, scores)
    by_kind = [ap[kind]["ap"] for kind in KINDS]
    alarms = 100 * flags[normal_events(labels)].mean(axis=0)
    recall = [flags[truth[:, at], at].mean() for at in range(len(KINDS))]
    cells = (
        " ".join(f"{value:.{digits}f}" for value in row) for row, digits in ((by_kind, 3), (alarms, 2), (recall, 2))
    )
    return f"{ap[MACRO]['ap']:.3f} | {' | '.join(cells)}"


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else ROOT / "model_repository")
