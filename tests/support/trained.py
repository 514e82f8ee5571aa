"""Small simulated worlds, and one short training on one of them, shared by the session. A pytest plugin."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from export.run import export_run
from service.rawfiles.columns import read_files
from service.rawfiles.folders import raw_files
from tests.support.processes import made_once
from training.datasets.dataset import Dataset
from training.datasets.truth import Truth
from training.fitting.config import TrainConfig
from training.samples.labelled_data import Material, load
from training.simulation.world import simulate
from training.train import train

SHORT = TrainConfig(
    architecture="bilstm-attention", hidden=16, epochs=2, windows_per_epoch=6_000, batch=32, learning_rate=0.01
)
"""Two epochs in a few seconds, of the network that has every part."""


@dataclass(frozen=True)
class TinyWorld:
    """A simulated world of TINY_EPCS items: its folder, and what `training.samples.labelled_data.load` makes of it."""

    folder: Path
    dataset: Dataset
    known: Truth
    labelled: Material

    @property
    def truth(self) -> Path:
        return self.folder / "truth.parquet"


OTHER_EPCS = 500

TINY_EPCS, TINY_SEED = 1_500, 3


class Stopped(Exception):
    """As if the process had been killed."""


def stop_after_the_first_epoch(what: str, _done: float) -> None:
    """Take progress; raise Stopped once a training has done its first epoch."""
    if what.startswith("epoch 1/"):
        raise Stopped


def weights(run: Path) -> dict[str, torch.Tensor]:
    """Return the weights of a run."""
    loaded: dict[str, torch.Tensor] = torch.load(run / "weights.pt", weights_only=True)
    return loaded


def silent(*_what: object) -> None:
    """Show no progress."""


@pytest.fixture(scope="session")
def other_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of another world of OTHER_EPCS items; tests only read it."""
    return made_once(tmp_path_factory, "other_world", lambda folder: simulate(folder, OTHER_EPCS, seed=8))


@pytest.fixture(scope="session")
def tiny_world(tmp_path_factory: pytest.TempPathFactory) -> TinyWorld:
    """A world that tests only read."""
    folder = made_once(tmp_path_factory, "tiny_world", lambda folder: simulate(folder, TINY_EPCS, TINY_SEED))
    return TinyWorld(folder, *load(folder, folder / "truth.parquet", SHORT.max_length))


@pytest.fixture(scope="session")
def tiny_run(tiny_world: TinyWorld, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of a SHORT training on the tiny world; tests only read it."""

    def make(folder: Path) -> None:
        train(tiny_world.folder, tiny_world.truth, folder, SHORT, silent)

    return made_once(tmp_path_factory, "tiny_run", make)


@pytest.fixture(scope="session")
def exported(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model repository with the tiny run as version 1; tests only read it."""
    return made_once(tmp_path_factory, "exported", lambda folder: export_run(tiny_run, folder))


@pytest.fixture(scope="session")
def replayed_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Raw files to replay; tests only read them."""
    return made_once(tmp_path_factory, "replayed", lambda folder: simulate(folder, 1000, 5, silent))


@pytest.fixture(scope="session")
def replayed_rows(replayed_world: Path) -> int:
    """The events of the replayed world."""
    return len(read_files(raw_files([replayed_world])).events)


@pytest.fixture(scope="session")
def six_seconds(replayed_world: Path) -> float:
    """The speed at which the world takes six seconds."""
    times = read_files(raw_files([replayed_world])).events.time_us
    return float(times.max() - times.min()) / 6e6
