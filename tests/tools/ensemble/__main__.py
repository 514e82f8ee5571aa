"""What the ensemble adds to the network of a model repository: AP of both on folders with their truth, as served.

Run it as ``python -m tests.tools.ensemble REPOSITORY DIR... [--kinds] [--unknown-codes flagged]``: each folder is one
request to a gateway of its own, and one stream.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from service.detect.detector import Judgement
from service.detect.names import DetectorName
from service.events.columns import Events
from service.events.vocabulary import KINDS, MODES
from service.gateway.build import build_wiring
from service.settings import load_settings
from training.datasets.dataset import load
from training.datasets.truth import load_truth, truth_beside
from training.errors import DataError
from training.metrics.per_kind import per_kind
from training.metrics.ranking import MACRO

DETECTORS = (DetectorName.LSTM, DetectorName.ENSEMBLE)


async def served(
    repository: Path, events: Events, mode: str, unknown_codes: str | None = None
) -> dict[DetectorName, Judgement]:
    """Return what a gateway says of events by each of `DETECTORS`."""
    settings = load_settings(backend=f"onnx:{repository}", unknown_codes=unknown_codes, history="none")
    wiring = build_wiring(settings)
    found = {}
    for detector in DETECTORS:
        judge = wiring.analyzer.analyze if mode == MODES[0] else wiring.analyzer.stream().follow
        found[detector] = await judge(events, detector)
    await wiring.close()
    return found


def measured(
    repository: Path, folder: Path, unknown_codes: str | None = None
) -> dict[tuple[str, DetectorName, str], float]:
    """Return the AP on a folder by mode, detector and kind, or mean of them."""
    events = load(folder).events
    truth = truth_beside(folder)
    if truth is None:
        raise DataError(f"{folder} has no truth.parquet or truth.csv")
    labels: NDArray[np.float32] = load_truth(truth, events).labels
    return {
        (mode, detector, kind): row["ap"]
        for mode in MODES
        for detector, judgement in asyncio.run(served(repository, events, mode, unknown_codes)).items()
        for kind, row in per_kind(labels, judgement.scores).items()
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("repository", type=Path)
    parser.add_argument("folders", type=Path, nargs="+", metavar="DIR")
    parser.add_argument("--kinds", action="store_true", help="a row for each kind as well")
    parser.add_argument("--unknown-codes", help="spared or flagged, as of serve")
    asked = parser.parse_args()
    logging.disable(logging.WARNING)
    print("| AP | network | ensemble | network, causal | ensemble, causal |")
    print("| --- | --- | --- | --- | --- |")
    for folder in asked.folders:
        ap = measured(asked.repository, folder, asked.unknown_codes)
        for kind in (MACRO, *KINDS) if asked.kinds else (MACRO,):
            cells = [f"{ap[mode, detector, kind]:.4f}" for mode in MODES for detector in DETECTORS]
            name = folder.name if kind == MACRO else f"{folder.name}, {kind}"
            print(f"| {' | '.join([name, *cells])} |", flush=True)


if __name__ == "__main__":
    main()
