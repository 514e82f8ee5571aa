"""The world that all tests of this folder look at."""

from __future__ import annotations

import pickle
from pathlib import Path

import pandas as pd
import pytest

from tests.support.folders.simulated import EPCS, SEED, read
from tests.support.gateway import ROOT
from tests.support.processes import made_once
from training.simulation.world import WorldSummary, simulate


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, WorldSummary]:
    """The folder of a world of EPCS items, and what it is said to contain."""

    def make(folder: Path) -> None:
        (folder / "summary").write_bytes(pickle.dumps(simulate(folder / "world", EPCS, seed=SEED)))

    folder = made_once(tmp_path_factory, "simulated", make)
    return folder / "world", pickle.loads((folder / "summary").read_bytes())


@pytest.fixture(scope="session")
def world(made: tuple[Path, WorldSummary]) -> pd.DataFrame:
    """Its rows, see `read`."""
    return read(made[0])


@pytest.fixture(scope="session")
def lanes() -> pd.DataFrame:
    """The transition master by (from, to)."""
    table = pd.read_csv(ROOT / "training" / "data" / "transitions.csv")
    return table.set_index(["from_scan_location", "to_scan_location"])
