"""A training of flow forecasts: what it leaves behind, what it may know, and what it refuses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from service.flow.series import MEASURES, FlowSeries
from tests.training.flow.plants import CONFIG, plants
from training.errors import DataError
from training.flow.backtest import backtest
from training.flow.calibration import ScaledErrors, calibrated
from training.flow.config import flow_config
from training.flow.history import FlowHistory
from training.flow.origins import origins_of
from training.flow.run import FlowRun
from training.flow.train import train_flow


def test_a_run_is_read_as_it_was_left(flow_run: tuple[Path, FlowRun]) -> None:
    folder, run = flow_run
    assert FlowRun.load(folder).record == run.record


def test_no_choice_knows_what_came_after_the_split() -> None:
    series = plants(days=80)
    split = origins_of(series, CONFIG.train_test_split).split_day
    late = np.arange(series.first_day, series.last_day + 1) > split
    other = FlowSeries(
        series.dimensions,
        series.keys,
        series.first_day,
        np.where(late, 1e6, series.wip),
        np.where(late, 1e5, series.departures),
        np.where(late, 1e4, series.cycle_h),
    )
    first, second = (backtest(FlowHistory(one), CONFIG, lambda _what, _done: None) for one in (series, other))
    assert first.chosen == second.chosen
    assert first.scores() != second.scores()


def test_a_cycle_time_is_served_as_wide_as_errors_of_its_kind_ask_for(tmp_path: Path) -> None:
    run, found = train_flow(FlowHistory(plants(days=80)), CONFIG, tmp_path / "run", lambda _what, _done: None)
    trials, cycle_time = found.testing, len(MEASURES) - 1
    off = (trials.truth[..., cycle_time] - found.served(trials)[..., cycle_time]) / trials.width[..., cycle_time]
    of_stock = []
    for grain, chosen in found.chosen[MEASURES[cycle_time]].grains.items():
        inside = trials.groups.grain == grain
        errors = ScaledErrors(off[:, inside], trials.kind[:, inside], trials.origin, is_stock=False)
        kept = np.array(run.record.measures[MEASURES[cycle_time]].grains[grain].quantiles)
        np.testing.assert_allclose(kept, (np.array(chosen.quantiles) + calibrated(errors)) / 2)
        of_stock.append(np.allclose(calibrated(errors), calibrated(replace(errors, is_stock=True))))
    assert not all(of_stock), "here it is not all the same"


def test_a_short_history_is_refused() -> None:
    with pytest.raises(DataError, match="the history has 40 complete days: forecasts need 63"):
        origins_of(plants(days=40), 0.8)


def test_each_setting_out_of_range_is_named() -> None:
    said = r"dropout_rate is 1.5: it should be less than 1; epochs is 0: it should be greater than or equal to 1"
    with pytest.raises(DataError, match=said):
        flow_config(dropout_rate=1.5, epochs=0)


def test_no_folder_of_a_run(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"is no run folder of flow \(flow.json is missing\)"):
        FlowRun.load(tmp_path)
