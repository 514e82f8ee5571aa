"""Congestion: whole days on which all roads into an area are slow."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tests.support.folders.simulated import SEED
from training.simulation.catalogue import catalogue
from training.simulation.congestion import congestion
from training.simulation.scans import HOUR


def test_all_roads_into_a_region_are_slow_on_some_days(world: pd.DataFrame, lanes: pd.DataFrame) -> None:
    legs = pd.MultiIndex.from_frame(world[["last_scan_location", "scan_location"]]).isin(lanes.index)
    usual = world[legs & world.normal & (world.noise == "") & world.last_normal.eq(True) & (world.last_noise == "")]
    area = usual.scan_location.str[:2], usual.last_time.dt.floor("D")
    days = usual.groupby([*area]).agg(least=("hours", "min"), median=("hours", "median"), size=("hours", "size"))
    days = days[days["size"] > 30]
    slow = days.least > 5
    assert 0.03 < slow.mean() < 0.15
    assert days["median"][slow].median() > 1.5 * days["median"][~slow].median()


def test_what_is_slowed_can_be_undone() -> None:
    cat = catalogue(SEED)
    roads = congestion(cat, np.random.default_rng(1))
    assert 0.05 < (roads.factor > 1).mean() < 0.11
    lane = np.arange(len(cat.lanes.mean))
    usual = (cat.lanes.mean * HOUR).astype(np.int64)
    factor = np.where(lane % 2, 1.0, 1.7)
    slowed = roads.slowed(usual, lane, factor)
    assert np.abs(slowed / usual - factor).max() < 0.01
    assert np.abs(roads.usual(slowed, lane, factor) - usual).max() < 10
