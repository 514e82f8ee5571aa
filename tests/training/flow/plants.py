"""Daily flow of a small plant world, and a forecast model of it, made once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from export.flow import export_flow
from service.flow.series import PLANT_DIMENSIONS, FlowSeries
from training.flow.config import flow_config
from training.flow.history import FlowHistory
from training.flow.run import FlowRun
from training.flow.train import train_flow

LAST_DAY = 20_400

CONFIG = flow_config(epochs=2, lstm_units_1=8, lstm_units_2=4, batch_size=128, trees=10)


def plants(days: int = 140, seed: int = 5) -> FlowSeries:
    """Return two plants of two applications: each weekday has its own throughput, and WIP obeys Little's law."""
    generator = np.random.default_rng(seed)
    keys = np.array([(plant, use, "65") for plant in ("P1", "P2") for use in ("TV", "phone")])
    day = np.arange(LAST_DAY - days + 1, LAST_DAY + 1)
    level = np.array([50.0, 20.0, 90.0, 35.0])[:, None]
    weekday = np.array([1.0, 1.1, 1.2, 1.1, 1.0, 0.4, 0.2])[day % 7]
    left = generator.poisson(level * weekday).astype(float)
    cycle_h = 48 + 6 * generator.standard_normal((4, days))
    wip = level * cycle_h / 24 + generator.normal(0, 2, (4, days))
    return FlowSeries(PLANT_DIMENSIONS, keys, int(day[0]), wip, left, np.where(left > 0, cycle_h, np.nan))


@pytest.fixture(scope="session")
def flow_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, FlowRun]:
    """Return the folder of a training on `plants`, and what it left there."""
    folder = tmp_path_factory.mktemp("flow") / "run"
    run, _ = train_flow(FlowHistory(plants()), CONFIG, folder, lambda _what, _done: None)
    return folder, run


@pytest.fixture(scope="session")
def flow_repository(flow_run: tuple[Path, FlowRun], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a repository with that model as version 1."""
    repository = tmp_path_factory.mktemp("flow_repository")
    export_flow(flow_run[0], repository)
    return repository
