"""A world to replay, as raw files. A pytest plugin."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.rawfiles.columns import read_files
from service.rawfiles.folders import raw_files
from training.simulation.world import simulate


@pytest.fixture(scope="session")
def replayed_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("replayed")
    simulate(folder, 1000, 5, lambda _stage, _done: None)
    return folder


@pytest.fixture(scope="session")
def replayed_rows(replayed_world: Path) -> int:
    return len(read_files(raw_files([replayed_world])).events)


@pytest.fixture(scope="session")
def six_seconds(replayed_world: Path) -> float:
    """The speed at which the world takes six seconds."""
    times = read_files(raw_files([replayed_world])).events.time_us
    return float(times.max() - times.min()) / 6e6
