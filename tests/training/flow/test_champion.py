"""A new version beside the one that answers: the same days, and only those that the old one has not learned from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from export.flow import export_flow
from service.flow.forecast.forecaster import FlowForecaster
from service.flow.series import MEASURES, FlowSeries
from tests.training.flow.plants import CONFIG, LAST_DAY, plants
from training.flow.backtest import Backtest, backtest
from training.flow.champion import Champion, compare_with
from training.flow.history import FlowHistory
from training.flow.train import train_flow


@pytest.fixture(scope="module")
def found() -> Backtest:
    return backtest(FlowHistory(plants()), CONFIG, lambda _what, _done: None)


def champion_of(series: FlowSeries, folder: Path) -> Champion:
    train_flow(FlowHistory(series), CONFIG, folder / "run", lambda _what, _done: None)
    export_flow(folder / "run", folder)
    return Champion(FlowForecaster.load(folder), "a" * 64)


def test_only_days_after_the_champions_history_count(found: Backtest, tmp_path: Path) -> None:
    said: dict[str, Any] = compare_with(champion_of(plants().until(LAST_DAY - 20), tmp_path), found)
    later = found.testing.origin >= LAST_DAY - 20
    assert said["origins"] == later.sum() > 5
    assert said["origins"] < len(found.testing.origin)
    assert tuple(said["errors"]) == MEASURES
    both = said["errors"]["throughput"]["7"]
    assert both["champion"] == pytest.approx(both["served"], rel=0.5)
    assert both["champion"] != both["served"]


def test_days_that_the_champion_has_learned_from_say_nothing(
    found: Backtest, flow_repository: Path, tmp_path: Path
) -> None:
    said = compare_with(Champion(FlowForecaster.load(flow_repository), "b" * 64), found)
    assert (said["errors"], said["note"]) == ({}, "only 0 of the days to forecast from are new to it")
    other = plants()
    renamed = FlowSeries(
        ("site", "step", "product"), other.keys, other.first_day, other.wip, other.departures, other.cycle_h
    )
    said = compare_with(champion_of(renamed, tmp_path), found)
    assert (said["errors"], said["note"]) == ({}, "its history is of site, step, product")
