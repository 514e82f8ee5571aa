"""Bands of sites, what is subtracted, and what rules recommend of it."""

from __future__ import annotations

import numpy as np
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest

from service.api.flow.exposition import FlowAlertCollector
from service.events.vocabulary import KINDS
from service.flow.advice import of_forecast, of_plan, of_sites
from service.flow.alerts import BAND_DAYS, LAST_DAYS, BandAlert, out_of_band
from service.flow.counted import counted, stalled_stays
from service.flow.little import check_plan
from service.flow.sites import SiteDays
from service.flow.stays import stays_of
from tests.support.worlds import code, journey, to_events

DAYS = 70


def sites(wip: np.ndarray, departures: float = 20.0, arrivals: float = 20.0, dwell_h: float = 48.0) -> SiteDays:
    """Return one site with a stock by day."""
    rows = np.ones((1, len(wip)))
    return SiteDays(
        location_id=np.array([7]), step=np.array([2], dtype=np.int8), first_day=20_000,
        complete=np.array([len(wip)]), arrivals=rows * arrivals, departures=rows * departures,
        wip=wip[None, :], mean_wip=wip[None, :], dwell_h=rows * dwell_h,
    )  # fmt: skip


def steady(rng: np.random.Generator) -> np.ndarray:
    return 100 + rng.normal(0, 3, DAYS)


def test_a_steady_stock_stays_in_its_band_and_one_that_leaves_it_is_named() -> None:
    rng = np.random.default_rng(4)
    found = [out_of_band(sites(steady(rng))) for _ in range(50)]
    assert {one.measured for one in found} == {2}
    assert not [one for bands in found for one in bands.alerts]
    wip = steady(rng)
    wip[-3:] = 300
    [alert] = out_of_band(sites(wip), {7: 12}).alerts
    assert (alert.location_id, alert.measure, alert.day, alert.value) == (7, "wip", 20_000 + DAYS - 1, 300)
    assert (alert.days, alert.stalled_items) == (3, 12)
    assert 0 <= alert.lower < 100 < alert.upper < 300
    quick = sites(steady(rng))
    quick.dwell_h[0, -1] = 400
    assert [one.measure for one in out_of_band(quick).alerts] == ["dwell_h"]


def test_without_a_past_there_is_no_band() -> None:
    short = sites(np.r_[np.full(10, 100.0), np.full(LAST_DAYS, 900.0)])
    assert (out_of_band(short).measured, out_of_band(short).alerts) == (0, [])
    assert of_sites(sites(np.full(BAND_DAYS - 1, 1e6))) == []


def test_rules_name_the_bottleneck_and_what_is_too_much_with_their_numbers() -> None:
    growing = sites(np.linspace(100, 400, DAYS), arrivals=24)
    advice = {one.rule: one for one in of_sites(growing)}
    assert set(advice) == {"bottleneck", "excess_stock"}
    assert advice["bottleneck"].numbers["utilisation"] == pytest.approx(24 / 20)
    excess = advice["excess_stock"].numbers
    assert excess["needed_wip"] == pytest.approx(20 * 48 / 24)
    assert excess["excess"] == pytest.approx(excess["wip"] - excess["needed_wip"])
    assert of_sites(sites(np.full(DAYS, 40.0))) == []
    assert of_plan(check_plan(100, 50, 2), 100, 50, 2) == []
    [plan] = of_forecast(100, 45, 48, planned=60)
    assert (plan.numbers["feasible_throughput"], plan.numbers["needed_wip"]) == (50, 120)
    assert "the plan of 60.0 needs 120.0 items" in plan.text


def test_what_is_flagged_does_not_count_and_what_stalled_is_known() -> None:
    events = to_events([*journey(code(1)), *journey(code(2))])
    flags = np.zeros((len(events), len(KINDS)), dtype=np.bool_)
    flags[np.flatnonzero(events.epc == 0)[0], KINDS.index("epcDup")] = True
    wrong = np.flatnonzero(events.epc == 1)[3]
    flags[wrong, KINDS.index("locErr")] = True
    counts = counted(events, flags)
    assert not counts[events.epc == 0].any()
    assert np.flatnonzero((events.epc == 1) & ~counts).tolist() == [wrong]
    stays = stays_of(events)
    stalled = np.zeros(len(events), dtype=np.bool_)
    out = np.flatnonzero(events.epc == 1)[2]  # scanned out of the second place
    stalled[out] = True
    [stay] = np.flatnonzero(stalled_stays(stays, events, stalled))
    assert (stays.epc[stay], stays.location_id[stay]) == (1, events.location_id[out])


def test_alerts_are_a_metric_while_they_last() -> None:
    alerts = [BandAlert(7, "wip", 20_000, 300, 80, 120, 3, 0)]
    registry = CollectorRegistry()
    registry.register(FlowAlertCollector(lambda: alerts))
    line = 'epc_sentinel_flow_alert_days{location_id="7",measure="wip"} 3.0'
    assert line in generate_latest(registry).decode()
    alerts.clear()
    assert line not in generate_latest(registry).decode()
