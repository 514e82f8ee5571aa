"""What codes of unknown lots, and of unknown products, cost in false alarms of epcFake, with the guard and without.

Run it as ``python -m tests.tools.unknown_codes [EPCS]``: worlds of the simulator, one of a seed that taught the bundled
model and one of another seed, whose lots are all new, and a world of another generator, whose products are.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.detect.coverage import Coverage
from service.detect.names import DetectorName
from service.events.columns import Events
from service.events.vocabulary import KINDS
from service.gateway.build import build_wiring
from service.settings import load_settings
from tests.support.foreign import write_foreign_world
from training.datasets.dataset import load
from training.datasets.truth import load_truth
from training.simulation.world import simulate

_FAKE = KINDS.index("epcFake")


class Counted(NamedTuple):
    """The findings epcFake in a world."""

    false_alarms: float  # share of the events that are not forged
    recall: float
    coverage: Coverage  # of its first file


def read(folder: Path, truth: Path) -> tuple[Events, NDArray[np.bool_]]:
    """Return the events of a folder and [N] which are forged."""
    events = load(folder).events
    return events, load_truth(truth, events).labels[:, _FAKE] > 0


async def counted(
    events: Events, forged: NDArray[np.bool_], detector: DetectorName, unknown_codes: str, *, causal: bool = False
) -> Counted:
    """Judge a world as whole journeys, or ``causal``, in one request."""
    wiring = build_wiring(load_settings(backend="onnx:model_repository", unknown_codes=unknown_codes))
    judge: Callable = wiring.analyzer.stream().follow if causal else wiring.analyzer.analyze  # type: ignore[type-arg]
    judgement = await judge(events, detector)
    await wiring.close()
    found = judgement.flags[:, _FAKE]
    first = next(iter(judgement.coverage.values()))
    return Counted(float(found[~forged].mean()), float(found[forged].mean()), first)


def _worlds(folder: Path, epcs: int) -> dict[str, tuple[Events, NDArray[np.bool_]]]:
    worlds = {}
    for name, seed in (("lots known", 0), ("lots new", 12)):
        simulate(folder / name, epcs, seed)
        worlds[name] = read(folder / name, folder / name / "truth.parquet")
    truth = write_foreign_world(folder / "foreign", epcs, 5)
    return {**worlds, "products new": read(folder / "foreign", truth)}


def main() -> None:
    """Print the table."""
    logging.disable(logging.WARNING)
    print("| world | unknown products, lots | detector | false alarms, recall of epcFake flagged | spared |")
    print("| --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        for name, (events, forged) in _worlds(Path(folder), int(sys.argv[1]) if len(sys.argv) > 1 else 6_000).items():
            for detector in DetectorName:
                two = [asyncio.run(counted(events, forged, detector, setting)) for setting in ("flagged", "spared")]
                shares = " | ".join(f"{100 * one.false_alarms:.2f} %, {one.recall:.3f}" for one in two)
                covered = two[0].coverage
                unknown = f"{100 * covered.share('product'):.1f} %, {100 * covered.share('lot'):.1f} %"
                print(f"| {name} | {unknown} | {detector} | {shares} |")


if __name__ == "__main__":
    main()
