"""Normal journeys: on the lanes, in working hours, together with their shipments."""

from __future__ import annotations

import pandas as pd
import pytest

from tests.support.folders.simulated import EPCS


def test_normal_transitions_stay_on_the_lanes(world: pd.DataFrame, lanes: pd.DataFrame) -> None:
    pairs = {"WMS_Outbound": "HUB_Inbound", "HUB_Outbound": "W_Stock_Inbound", "W_Stock_Outbound": "R_Stock_Inbound"}
    moved = world[world.normal & world.last_normal.eq(True) & (world.noise == "") & (world.last_noise == "")]
    moved = moved[moved.last_event_type.map(pairs) == moved.event_type]
    assert len(moved) > 0.25 * EPCS
    lane = lanes.reindex(pd.MultiIndex.from_frame(moved[["last_scan_location", "scan_location"]]))
    assert lane.time_taken_hours_min.notna().all()
    assert (moved.hours.to_numpy() >= lane.time_taken_hours_min.to_numpy() - 1e-9).all()
    assert moved.hours.mean() == pytest.approx(lane.time_taken_hours_mean.mean(), rel=0.05)


def test_nothing_leaves_on_sundays(world: pd.DataFrame) -> None:
    left = world[world.normal & (world.noise == "") & world.event_type.str.endswith("_Outbound")]
    share = left.time.dt.day_of_week.value_counts(normalize=True)
    assert share.get(6, 0.0) < 0.01
    assert share.drop(6, errors="ignore").min() > 0.1


def test_shipments_travel_together_and_split(world: pd.DataFrame) -> None:
    normal = world[world.normal & (world.noise == "")]
    mates = {}
    for event in ("WMS_Outbound", "HUB_Outbound", "W_Stock_Outbound", "POS_Sell"):
        scans = normal[normal.event_type == event]
        batch = scans.time.dt.floor("2h").astype(str) + scans.epc_lot + scans.location_id
        mates[event] = batch.map(batch.value_counts()).mean()
    assert mates["WMS_Outbound"] > mates["HUB_Outbound"] > mates["W_Stock_Outbound"] > mates["POS_Sell"]
    assert mates["POS_Sell"] < 2
