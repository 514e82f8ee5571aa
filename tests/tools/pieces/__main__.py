"""What a network loses, and what it costs, with fewer pieces in its encoding (`training/fitting/thinning.py`).

``python -m tests.tools.pieces REPOSITORY TRAINING_DATA WORLD... [--other-network DIR]`` thins the newest network by one
pass over labelled data like those that it was trained on, asks each network about the worlds, folders with their truth,
as a gateway asks it, and times all graphs in one run, turn by turn. A network that was thinned in its training only
tells of fewer pieces still.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.table import Table

from export.from_onnx import start_of_model
from export.frontier import costs
from export.to_onnx import export_onnx
from service.console import wide_console
from service.events.vocabulary import MODES
from service.features.reference import Reference
from service.features.table import feature_spec_hash
from service.model.repository import load
from training.datasets.truth import truth_beside
from training.evaluation.data_under_test import whole
from training.fitting.config import TrainConfig
from training.fitting.thinning import thinned
from training.metrics.per_kind import per_kind
from training.metrics.ranking import MACRO
from training.network.lstm import CalibratedModel
from training.network.predict import predict
from training.samples import labelled_data
from training.samples.labelled_data import draw_from
from training.samples.other_networks import load_network
from training.samples.samples import Samples

_PIECES = (224, 192, 160, 128, 96, 64)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("repository", type=Path)
    parser.add_argument("training_data", type=Path)
    parser.add_argument("worlds", type=Path, nargs="+")
    parser.add_argument("--other-network", type=Path, action="append", default=[], help="as of train")
    known = parser.parse_args()
    start = start_of_model(load(known.repository, feature_spec_hash=feature_spec_hash()))
    networks = [start.model, *_thinned(start.model, known.training_data, known.other_network)]
    worlds = {folder: _by_mode(folder, start.reference) for folder in known.worlds}
    with tempfile.TemporaryDirectory() as folder:
        graphs = [Path(folder) / f"{network.model.config.pieces}.onnx" for network in networks]
        for network, graph in zip(networks, graphs, strict=True):
            export_onnx(network, graph)
        us_per_event = costs(graphs, worlds[known.worlds[0]][0])
    headings = [f"{folder.name}, {mode}" for folder in worlds for mode in MODES]
    table = Table("pieces", *headings, "us/event", "times", title="Macro AP, and processor time of the graph")
    for network, cost in zip(networks, us_per_event, strict=True):
        aps = [
            per_kind(part.labels, predict(network, part))[MACRO]["ap"] for parts in worlds.values() for part in parts
        ]
        row = [f"{ap:.5f}" for ap in aps]
        table.add_row(str(network.model.config.pieces), *row, f"{cost:.2f}", f"{cost / us_per_event[0]:.2f}")
    wide_console().print(table)


def _thinned(network: CalibratedModel, data: Path, others: list[Path]) -> list[CalibratedModel]:
    """Return the network with each number of pieces below its own."""
    config = TrainConfig()
    with tempfile.TemporaryDirectory() as folder:
        quarantine = Path(folder) / "quarantine.csv"
        *_, labelled = labelled_data.load(data, truth_beside(data), config.max_length, quarantine)
    networks = tuple(load_network(other, config.time_zone)[0] for other in others)
    passes = draw_from(replace(labelled, networks=networks))(np.random.default_rng(config.seed))  # one for all
    fewer = [pieces for pieces in _PIECES if pieces < network.model.config.pieces]
    return [
        CalibratedModel(thinned(network.model, pieces, lambda _rng: passes, config.seed), network.a, network.b)
        for pieces in fewer
    ]


def _by_mode(folder: Path, reference: Reference) -> list[Samples]:
    """Return the samples of a world by mode."""
    subject, _ = whole(reference, folder, truth_beside(folder))
    return [subject.samples(causal=causal, limit=TrainConfig().max_length) for causal in (False, True)]


if __name__ == "__main__":
    main()
