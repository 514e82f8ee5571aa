"""Work in progress and its like, beside counting item by item and minute by minute."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC as UTC_ZONE
from datetime import datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import InvalidRequest
from service.events.zones import TimeZones
from service.flow.measures import DAY_US, Flow, measure
from service.flow.stays import Stays, stays_of
from tests.support.worlds import HOURS, ROUTE, Scan, code, journey, to_events

UTC = TimeZones("UTC")


def flow_of(scans: list[Scan], zones: TimeZones = UTC) -> tuple[Stays, Flow]:
    events = to_events(scans)
    stays = stays_of(events)
    return stays, measure(stays, events.epc_codes, zones)


@st.composite
def some_items(draw: st.DrawFn) -> list[Scan]:
    scans: list[Scan] = []
    for serial in range(draw(st.integers(1, 5))):
        delay = draw(st.floats(0, 200))
        seen = draw(st.lists(st.booleans(), min_size=10, max_size=10).filter(any))
        scans += [
            scan
            for scan, is_seen in zip(journey(code(serial), ROUTE, [hour + delay for hour in HOURS]), seen, strict=True)
            if is_seen
        ]
    return scans


@given(some_items())
def test_measures_are_what_counting_item_by_item_finds(scans: list[Scan]) -> None:
    stays, flow = flow_of(scans)
    for row in range(len(flow)):
        here = stays.take((stays.location_id == flow.location_id[row]) & (stays.step == flow.step[row]))
        begin, end = int(flow.day[row]) * DAY_US, (int(flow.day[row]) + 1) * DAY_US
        came = (here.arrived_us >= begin) & (here.arrived_us < end)
        went = here.has_left & (here.left_us >= begin) & (here.left_us < end)
        assert (flow.arrivals[row], flow.departures[row]) == (came.sum(), went.sum())
        assert flow.wip[row] == ((here.arrived_us < end) & (here.left_us >= end)).sum()
        inside = np.minimum(here.left_us, end) - np.maximum(here.arrived_us, begin)
        assert abs(flow.mean_wip[row] - np.maximum(inside, 0).sum() / DAY_US) < 1e-6
        if went.any():
            dwell, age = ((here.left_us - since)[went].mean() / 3.6e9 for since in (here.arrived_us, here.first_us))
            np.testing.assert_allclose((flow.dwell_h[row], flow.cycle_h[row]), (dwell, age), atol=1e-9)
        else:
            assert np.isnan([flow.dwell_h[row], flow.cycle_h[row]]).all()
    assert flow.arrivals.sum() == len(stays)
    assert flow.departures.sum() == stays.has_left.sum()


def test_days_are_those_of_the_site_and_products_apart() -> None:
    scans = [*journey(code(1)), *journey(code(2, product=1_293_292))]
    _, flow = flow_of(scans, TimeZones("UTC", {5: "Pacific/Kiritimati"}))  # 14 hours ahead
    first = {int(site): int(flow.day[flow.location_id == site].min()) for site in (1, 5)}
    assert first[5] == first[1] + 1  # an hour after 9 o'clock in UTC
    assert set(flow.product.tolist()) == {1_293_291, 1_293_292}


def test_a_clock_that_was_wrong_costs_no_memory() -> None:
    scans = journey(code(1))
    with pytest.raises(InvalidRequest, match=r"data: is from 1970-01-01 to .* at most 3,660 can be measured"):
        flow_of([replace(scans[0], time=datetime(1970, 1, 1, tzinfo=UTC_ZONE)), *scans[1:]])
    stays = stays_of(to_events(scans))
    with pytest.raises(InvalidRequest, match=r"data: has .* sites with their steps and products"):
        measure(stays, to_events(scans).epc_codes, UTC, most_cells=3)


def test_the_last_days_are_not_complete_because_departures_are_known_late() -> None:
    scans = [scan for at in range(60) for scan in journey(code(at), ROUTE, [hour + 24 * at for hour in HOURS])]
    end = max(scan.time for scan in scans) - timedelta(days=20)
    _, flow = flow_of([scan for scan in scans if scan.time <= end])
    days = np.unique(flow.day[~flow.is_complete])
    assert 1 <= len(days) <= 3, "what is on its way is there within 10 hours"
    assert days.max() == flow.day.max()
    assert not flow.is_complete[flow.day == days.max()].any()
