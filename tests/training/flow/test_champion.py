"""A new version beside the one that answers: the same days, and only those that the old one has not learned from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from export.flow import export_flow
from service.flow.forecast.forecaster import FlowForecaster
from service.flow.forecast.manifest import read_flow_version
from service.flow.forecast.stock import StockFlow
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


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository of a champion that knows all but the last twenty days; tests only read it."""
    folder = tmp_path_factory.mktemp("earlier")
    champion_of(plants().until(LAST_DAY - 20), folder)
    return folder


def test_only_days_after_the_champions_history_count(found: Backtest, earlier: Path) -> None:
    said: dict[str, Any] = compare_with(Champion(FlowForecaster.load(earlier), "a" * 64), found)
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


def test_a_champion_that_cannot_forecast_from_these_data_has_no_errors_and_says_why(
    found: Backtest, earlier: Path
) -> None:
    """One that forecasts by items, and the new data are counts by day, of which nobody knows the items."""
    version = read_flow_version(earlier)
    by_items = version.manifest.model_copy(deep=True)
    for measure in by_items.measures.values():
        for name, grain in measure.grains.items():
            bands = next(iter(grain.weights.values()))
            whole = {StockFlow.name: type(bands)(1.0 for _ in bands)}
            measure.grains[name] = grain.model_copy(update={"weights": whole})
    other = FlowForecaster(replace(version, manifest=by_items))
    said = compare_with(Champion(other, "a" * 64), found)
    assert (said["errors"], said["note"]) == ({}, "the history knows no items")
