"""What the bundled network is worth where little is known: the same events in requests of few items and of many.

``python -m tests.tools.small_requests`` simulates a world, judges it in requests of whole items, in the order of their
first scans, without a history, and prints precision and recall at the balanced point by size, mode and kind.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from service.bench.run import cuts
from service.console import wide_console
from service.events.vocabulary import KINDS, MODES
from tests.support.gateway import ROOT
from training.datasets import dataset
from training.datasets.truth import load_truth
from training.runs.under_test import UnderTest
from training.samples.samples import Samples, samples
from training.simulation.world import simulate

_SIZES = (50, 500, 5_000)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=33, help="of the world that is judged")
    parser.add_argument("--epcs", type=int, default=60_000, help="of the world")
    parser.add_argument("--events", type=int, default=30_000, help="judged in each size and mode, about so many")
    known = parser.parse_args()
    network = UnderTest.of(ROOT / "model_repository")
    with tempfile.TemporaryDirectory() as folder:
        simulate(Path(folder), known.epcs, known.seed)
        world = dataset.load(Path(folder))
        labels = load_truth(Path(folder) / "truth.parquet", world.events).labels
    table = Table("events", "mode", *KINDS, title=f"Precision / recall by events of a request, seed {known.seed}")
    for size in _SIZES:
        requests = list(cuts(world.events, size))[: known.events // size]
        for causal, mode in enumerate(MODES):
            parts = [
                samples(
                    world.events.take(rows), labels[rows], network.reference,
                    causal=bool(causal), limit=network.weights.max_length,
                )
                for rows in requests
            ]  # fmt: skip
            table.add_row(f"{size:,}", mode, *_shares(network, mode, parts))
    wide_console().print(table)


def _shares(network: UnderTest, mode: str, requests: list[Samples]) -> list[str]:
    """Return precision and recall of each kind at the balanced point, in words."""
    thresholds = np.array(network.balanced(mode), dtype=np.float32)
    planted: NDArray[np.bool_] = np.concatenate([part.labels >= 0.5 for part in requests])
    flagged = np.concatenate([network.weights.score(part) >= thresholds for part in requests])
    right, flags, anomalies = ((planted & flagged).sum(axis=0), flagged.sum(axis=0), planted.sum(axis=0))
    return [f"{a / max(b, 1):.3f} / {a / max(c, 1):.3f}" for a, b, c in zip(right, flags, anomalies, strict=True)]


if __name__ == "__main__":
    main()
