"""Daily series: dense ones from rows, sums of keys, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from service.events.zones import TimeZones
from service.flow.measures import measure
from service.flow.series import SCAN_DIMENSIONS, FlowSeries
from service.flow.stays import stays_of
from tests.support.worlds import normal_scans, to_events
from tests.training.flow.plants import plants


def test_scans_become_series_that_add_up_to_what_was_measured() -> None:
    events = to_events(normal_scans())
    flow = measure(stays_of(events), events.epc_codes, TimeZones("UTC"))
    series = FlowSeries.from_flow(flow)
    whole = flow.take(flow.day <= series.last_day)
    assert series.dimensions == SCAN_DIMENSIONS
    assert whole.is_complete.all()
    by_day = np.bincount(whole.day - series.first_day, whole.departures, minlength=series.days)
    wip, departures, cycle_h = (column[0] for column in series.summed(np.ones((1, len(series)), dtype=bool)))
    np.testing.assert_array_equal(departures, by_day)
    np.testing.assert_array_equal(wip, np.bincount(whole.day - series.first_day, whole.wip, minlength=series.days))
    hours = np.bincount(
        whole.day - series.first_day, np.nan_to_num(whole.cycle_h * whole.departures), minlength=series.days
    )
    np.testing.assert_allclose(cycle_h[by_day > 0], (hours / np.maximum(by_day, 1))[by_day > 0])
    assert np.isnan(cycle_h[by_day == 0]).all()


def test_series_are_kept_in_a_file() -> None:
    series = plants()
    read = FlowSeries.from_bytes(series.to_bytes())
    assert (read.dimensions, read.first_day) == (series.dimensions, series.first_day)
    np.testing.assert_array_equal(read.keys, series.keys)
    for name in ("wip", "departures", "cycle_h"):
        np.testing.assert_allclose(getattr(read, name), getattr(series, name), rtol=1e-6)
    assert series.until(series.last_day - 3).days == series.since(series.first_day + 3).days == series.days - 3


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"day": [5, 5]}, "same key and day"),
        ({"wip": [1, -1]}, "wip has a value"),
        ({"departures": [1, np.nan]}, "departures"),
    ],
)
def test_impossible_rows_are_refused(changed: dict[str, list[float]], said: str) -> None:
    rows = {"day": [5, 6], "wip": [1, 1], "departures": [1, 1], "cycle_h": [2, 2]} | changed
    columns = {name: np.array(column) for name, column in rows.items()}
    with pytest.raises(ValueError, match=said):
        FlowSeries.from_rows(("plant",), [np.array(["P1", "P1"])], **columns)
