"""The parts of a backtest: weights, widths, scores, origins, and tables of daily flow."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from service.flow.forecast.intervals import COVERAGE, bounds, quantiles
from service.flow.forecast.middle import MEDIAN
from service.flow.forecast.windows import LSTM, TREES
from service.flow.plants import PLANT_COLUMNS, PlantPlan, generate, write_plants
from service.flow.series import PLANT_DIMENSIONS
from tests.training.flow.plants import plants
from training.errors import DataError
from training.flow.blend import fit_weights
from training.flow.config import flow_config
from training.flow.origins import LEAST_PAST, origins_of
from training.flow.run import FlowRun
from training.flow.scores import score, share_error
from training.flow.table import is_flow_table, read_table


def test_a_blend_takes_what_is_right_and_leaves_what_is_not() -> None:
    generator = np.random.default_rng(3)
    came = generator.gamma(2, 10, 3000).astype(np.float32)
    high, low = came + 4 + generator.normal(0, 1, 3000), came - 4 + generator.normal(0, 1, 3000)
    wrong = generator.gamma(2, 10, 3000)
    shares = fit_weights(np.stack([high, low, wrong], axis=1).astype(np.float32), came, np.ones(3000))
    assert shares.sum() == pytest.approx(1)
    np.testing.assert_allclose(shares, [0.5, 0.5, 0.0], atol=0.05)


def test_intervals_of_errors_hold_their_share_of_new_ones() -> None:
    generator = np.random.default_rng(4)
    errors, fresh = generator.standard_t(3, 400), generator.standard_t(3, 20_000)
    lower, upper = bounds(np.full(1, 100.0), np.ones(1), quantiles(errors)[None])
    assert ((100 + fresh >= lower) & (100 + fresh <= upper)).mean() == pytest.approx(COVERAGE, abs=0.03)
    with pytest.raises(ValueError, match="there are no errors"):
        quantiles(np.empty(0))


def test_scores_are_those_of_the_books() -> None:
    one = score(np.array([8, 12, 30], np.float32), np.array([10, 10, np.nan], np.float32))
    assert (one.wape, one.mae, one.rmse, one.count) == (0.2, 2, 2, 2)
    assert score(np.array([1, 2, 4], np.float32), np.array([1, 2, 3], np.float32)).r2 == pytest.approx(0.5)


def test_a_share_is_the_less_sure_the_more_origins_share_their_luck() -> None:
    generator, came = np.random.default_rng(2), np.full(36, 100)
    apart = [generator.binomial(100, 0.9, 36) for _ in range(300)]
    together = [100 * np.repeat(generator.random(6) < 0.9, 6).astype(np.int64) for _ in range(300)]
    for draws, wanted in ((apart, np.sqrt(0.09 / 3600)), (together, np.sqrt(0.09 / 6))):
        assert np.sqrt(np.mean([share_error(held, came) ** 2 for held in draws])) == pytest.approx(wanted, rel=0.15)


def test_what_decides_ends_where_the_test_begins() -> None:
    series = plants()
    found = origins_of(series, 0.8)
    assert series.first_day + LEAST_PAST - 1 <= found.learn_day <= found.deciding.min()
    assert found.deciding.max() < found.split_day <= found.testing.min()
    assert found.testing.max() < series.last_day
    assert len({int(day) % 7 for day in found.deciding}) == 7


def test_every_method_is_compared_and_what_is_served_is_among_them(flow_run: tuple[Path, FlowRun]) -> None:
    metrics = flow_run[1].record.metrics
    errors, coverage = metrics["errors"], metrics["coverage"]
    assert isinstance(errors, dict)
    assert isinstance(coverage, dict)
    throughput = errors["throughput"]
    assert isinstance(throughput, dict)
    plain = {"seasonal naive", "weekday mean", "last value", "ETS", "Theta"}
    assert {"served", *plain, LSTM, TREES, MEDIAN} == set(throughput)
    of = {name: np.mean([one["wape"] for one in by_horizon.values()]) for name, by_horizon in throughput.items()}  # type: ignore[union-attr,call-overload,index]
    assert of["served"] < 1.1 * min(of["weekday mean"], of["seasonal naive"])
    assert all(0.75 < share <= 1 for share in coverage["throughput"].values())  # type: ignore[union-attr,call-overload,index,operator]


def test_tables_of_daily_flow_are_read(tmp_path: Path) -> None:
    data = generate(PlantPlan(plants=["P1"], applications=["TV"], panel_sizes=["32"], historical_days=9))
    path = tmp_path / "plants.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        write_plants(data, file)
    assert is_flow_table(path)
    series = read_table(path)
    assert (series.dimensions, series.days) == (PLANT_DIMENSIONS, 9)
    np.testing.assert_array_equal(series.wip, data.wip)
    np.testing.assert_array_equal(series.departures, data.departures)
    path.write_text(path.read_text().replace("True", "False", 1))
    with pytest.raises(DataError, match="there are no rows"):
        read_table(path)
    path.write_text("day,wip,departures,cycle_h\n")
    with pytest.raises(DataError, match="neither the columns location_id"):
        read_table(path)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("2025-12-30", "", "line 9: day is ''"),
        ("2025-12-30", "2025-13-30", "line 9: day is '2025-13-30'"),
        ("2025-12-30", "1925-12-30", "36,527 days: at most 3,660"),
        ("2025-12-30", "9999-12-30", "at most 3,660"),
        ("2025-12-31", "2025-12-30", "two rows are of the same key and day"),
        ("P1,TV,32,2025-12-30,70,51,91,", "P1,TV,32,2025-12-30,70,51,many,", "line 9: wip is 'many'"),
        ("P1,TV,32,2025-12-30,70,51,91,", "P1,TV,32,2025-12-30,70,-1,91,", "line 9: departures is '-1'"),
        ("P1,TV,32,2025-12-30,70,51,91,", "P1,TV,32,2025-12-30,70,nan,91,", "line 9: departures is 'nan'"),
        ("P1,TV,32,2025-12-30,70,51,91,", "P1,TV,32,2025-12-30,70,51,inf,", "line 9: wip is 'inf'"),
        ("P1,TV,32,2025-12-30,70,51,91,", "P1,TV,32,2025-12-30,70,51\n", "line 9: has no wip"),
        ("2.5,True", "-2.5,True", "line 10: cycle_h is '-2.5'"),
        ("2.5,True", "1e300,True", "line 10: cycle_h is '1e300'"),
    ],
)
def test_a_table_that_cannot_be_says_where(tmp_path: Path, before: str, after: str, said: str) -> None:
    rows = [f"P1,TV,32,2025-12-{day},70,51,91,80.5,2.5,2.5,True" for day in range(23, 32)]
    text = "\n".join(["\ufeff" + ",".join(PLANT_COLUMNS), *rows]) + "\n"  # as spreadsheets write it
    path = tmp_path / "plants.csv"
    path.write_text(text, encoding="utf-8")
    assert read_table(path).days == 9
    at = text.rindex(before)
    path.write_text(text[:at] + after + text[at + len(before) :], encoding="utf-8")
    with pytest.raises(DataError, match=re.escape(said)):
        read_table(path)


def test_a_setting_that_is_no_number_of_trees() -> None:
    with pytest.raises(DataError, match="trees"):
        flow_config(trees=0)
