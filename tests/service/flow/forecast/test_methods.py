"""Methods of forecasting on flows whose future is known: a steady week, a trend, and items that age."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from service.flow.forecast.baselines import BASELINES
from service.flow.forecast.middle import MEDIAN, forecasts_of
from service.flow.forecast.past import MOST_DAYS, FlowMethod, FlowPast
from service.flow.forecast.smoothing import Ets, Theta
from service.flow.forecast.stock import Stock, StockFlow
from service.flow.forecast.windows import FEATURES, LSTM, FlowWindows, Learned
from tests.support.flows.items import items
from training.flow.history import FlowHistory

WEEK = np.array([5.0, 10, 20, 30, 20, 5, 0])


def steady(days: int = 84) -> FlowPast:
    """Return two series: a week that repeats itself with a stock that grows by one a day, and nothing at all."""
    left = np.stack([np.resize(WEEK, days), np.zeros(days)])
    wip = np.stack([100.0 + np.arange(days), np.zeros(days)])
    return FlowPast(days - 1, wip, left, np.where(left > 0, 48.0, np.nan))


@pytest.mark.parametrize("method", [*BASELINES, Ets(), Theta()], ids=lambda method: method.name)
def test_forecasts_are_finite_and_never_negative(method: FlowMethod) -> None:
    for days in (1, 30, MOST_DAYS):
        said = method.forecast(steady(), days)
        assert said.shape == (2, days, 3)
        assert (np.isfinite(said) & (said >= 0)).all()
        np.testing.assert_allclose(said[1], 0, atol=1e-6)


@pytest.mark.parametrize("method", [*BASELINES[:2], Ets(), Theta()], ids=lambda method: method.name)
def test_a_week_that_repeats_itself_goes_on(method: FlowMethod) -> None:
    said = method.forecast(steady(), 21)[0]
    np.testing.assert_allclose(said[:, 1], np.resize(WEEK, 21), atol=1.0)
    np.testing.assert_allclose(said[:, 2], 48, atol=0.5)


def test_ets_follows_a_stock_that_grows() -> None:
    said = Ets().forecast(steady(), 7)[0, :, 0]
    assert (np.diff(said) > 0).all()
    np.testing.assert_allclose(said, 183 + np.arange(1, 8), atol=3.5)


def test_items_leave_by_their_age_and_come_to_the_next_place() -> None:
    series, known = items(300, 8.0)
    split = series.last_day - 30  # new items come until a week after that
    stock = known.stock(split)
    ahead = stock.ahead_of_series(len(series), 14)
    np.testing.assert_allclose(ahead[:, 0, 0], series.until(split).wip[:, -1])  # of the last day
    came = series.since(split + 1)
    for at, (site, _, _) in enumerate(series.keys.tolist()):
        expected = came.departures[at, :14].sum()
        assert ahead[at, 1:, 1].sum() == pytest.approx(expected, rel=0.1), site
        assert ahead[at, 14, 0] == pytest.approx(came.wip[at, 13], rel=0.15, abs=1), site
    history = FlowHistory(series, known)
    assert history.stock(split) is not None
    again = Stock.from_bytes(stock.to_bytes())
    np.testing.assert_allclose(again.ahead(5), stock.ahead(5), rtol=1e-5)


def test_a_shipment_that_stands_still_is_not_expected_to_leave() -> None:
    series, known = items(300, 8.0)
    split = series.last_day - 30
    stock = known.stock(split)
    assert stock.stalled.sum() == 0
    site = int(np.flatnonzero(stock.there.sum(axis=1) > 0)[0])
    there = stock.there.copy()
    there[site, 60] += 40  # came two months ago, where all others stay for days
    stuck = replace(stock, there=there)
    np.testing.assert_allclose(stuck.stalled[site].sum(), 40)
    np.testing.assert_allclose(stuck.stalled_of_series(len(series)).sum(), 40)
    usual, found = stock.ahead(14), stuck.ahead(14)
    np.testing.assert_allclose(found[:, :, 1:], usual[:, :, 1:])  # no departure more, nor any later
    np.testing.assert_allclose(found[site, :, 0], usual[site, :, 0] + 40)  # and still part of the stock


def test_a_past_without_items_has_no_stock_flow() -> None:
    with pytest.raises(ValueError, match="the history knows no items"):
        StockFlow().forecast(steady(), 3)


def test_what_learns_sees_the_past_in_units_of_the_series() -> None:
    past = steady()
    windows = FlowWindows.of(past, 5, 10)
    assert windows.rows.shape == (10, 10, len(FEATURES))
    large = FlowPast(past.last_day, past.wip * 50, past.departures * 50, past.cycle_h)
    same = [at for at, name in enumerate(FEATURES) if name != "size"]
    np.testing.assert_allclose(FlowWindows.of(large, 5, 10).rows[:5, :, same], windows.rows[:5, :, same], atol=0.05)


def test_the_median_is_of_all_but_the_network_and_asks_each_once() -> None:
    asked = []

    def never(rows: np.ndarray) -> np.ndarray:
        asked.append(len(rows))
        raise AssertionError("the network is not asked")

    plain = {one.name: one for one in (*BASELINES, Ets(), Theta(), StockFlow())}
    said = forecasts_of({**plain, LSTM: Learned(LSTM, 10, never)}, [MEDIAN, Theta.name], steady(), 30)
    assert set(said) == {MEDIAN, Theta.name}
    of_each = [plain[name].forecast(steady(), 30) for name in plain if name != StockFlow.name]
    np.testing.assert_array_equal(said[MEDIAN], np.median(of_each, axis=0))
    assert not asked
