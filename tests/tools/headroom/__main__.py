"""The evidence of the bundled network, judged by boosted trees that other worlds taught.

``python -m tests.tools.headroom`` simulates the worlds and prints by mode and kind where precision and recall meet: by
the network's score alone, and by trees (histogram gradient boosting) that see the features of the event itself and the
scores of network and SVMs. What trees tell apart, the evidence told; of what they do not, nothing is shown.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from sklearn.ensemble import HistGradientBoostingClassifier  # type: ignore[import-untyped]

from service.detect.ensemble import logit
from service.events.vocabulary import KINDS, MODES
from service.features.table import feature_spec_hash
from service.model.repository import load, load_svm
from tests.support.gateway import ROOT
from training.datasets.truth import truth_beside
from training.evaluation.data_under_test import whole
from training.evaluation.mistakes import break_even
from training.runs.under_test import UnderTest
from training.runs.weights import weights_of_model
from training.samples.samples import Score, samples
from training.simulation.world import simulate

_WANTED = ("epcFake", "jump")
_SUSPECT = 0.003
"""Score below which an event is left to the network: nine of ten are, and next to no anomaly."""


@dataclass(frozen=True)
class Judged:
    """The events [N] of a world in a mode."""

    evidence: NDArray[np.float64]  # [N, F + 10] features, logits of the network and of the SVMs
    scores: NDArray[np.float32]  # [N, 5] of the network
    truth: NDArray[np.bool_]  # [N, 5]


def judged(seed: int, epcs: int, mode: int, network: UnderTest, svm: Score) -> Judged:
    """Return a simulated world as the bundled models judge it."""
    with tempfile.TemporaryDirectory() as folder:
        simulate(Path(folder), epcs, seed)
        subject, _ = whole(network.reference, Path(folder), truth_beside(Path(folder)))
    part = samples(
        subject.events, subject.known.labels, network.reference, causal=bool(mode), limit=network.weights.max_length
    )
    scores = network.weights.model(part)
    return Judged(np.hstack([part.features, logit(scores), logit(svm(part))]), scores, part.labels >= 0.5)


def rows(teachers: list[Judged], world: Judged, mode: str) -> Iterator[list[str]]:
    """Yield a row for each kind."""
    for kind in _WANTED:
        column = KINDS.index(kind)
        taught = [(one.evidence[near], one.truth[near, column]) for one in teachers for near in [_near(one, column)]]
        trees = HistGradientBoostingClassifier(
            max_iter=250, learning_rate=0.05, max_leaf_nodes=15, l2_regularization=1.0, random_state=0
        ).fit(np.concatenate([x for x, _ in taught]), np.concatenate([y for _, y in taught]))
        near, scores = _near(world, column), world.scores[:, column].astype(np.float64)
        by_trees = scores * _SUSPECT  # below all suspects
        by_trees[near] = 1 + trees.predict_proba(world.evidence[near])[:, 1]
        truth = world.truth[:, column]
        yield [mode, kind, f"{break_even(truth, scores):.4f}", f"{break_even(truth, by_trees):.4f}"]


def _near(world: Judged, column: int) -> NDArray[np.bool_]:
    near: NDArray[np.bool_] = world.scores[:, column] >= _SUSPECT
    return near


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--taught", type=int, nargs="+", default=[41, 42, 43], help="seeds of the worlds that teach")
    parser.add_argument("--seed", type=int, default=32, help="of the world that is judged")
    parser.add_argument("--epcs", type=int, default=60_000)
    known = parser.parse_args()
    repository = ROOT / "model_repository"
    network, loaded = UnderTest.of(repository), load(repository, feature_spec_hash=feature_spec_hash())
    beside = load_svm(repository, loaded, feature_spec_hash=feature_spec_hash())
    assert beside is not None
    svm = weights_of_model(beside).model
    table = Table("mode", "kind", "network", "trees", title=f"Precision = recall on seed {known.seed}")
    for number, mode in enumerate(MODES):
        worlds = [judged(seed, known.epcs, number, network, svm) for seed in (*known.taught, known.seed)]
        for row in rows(worlds[:-1], worlds[-1], mode):
            table.add_row(*row)
    Console().print(table)


if __name__ == "__main__":
    main()
