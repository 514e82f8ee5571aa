"""jump: times are outside those of the routes."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tests.support.folders.simulated import of


def test_jumps_are_outside_the_route_times(world: pd.DataFrame, lanes: pd.DataFrame) -> None:
    for variant in ("teleport", "below_route_minimum", "slow_transit"):
        found = of(world, variant)
        lane = lanes.reindex(pd.MultiIndex.from_frame(found[["last_scan_location", "scan_location"]]))
        if variant == "slow_transit":
            assert (found.hours.to_numpy() > 3 * lane.time_taken_hours_max.to_numpy()).all()
        else:
            assert (found.hours.to_numpy() < lane.time_taken_hours_min.to_numpy()).all()
    assert (of(world, "teleport").hours < 0.25).all()
    assert (of(world, "below_route_minimum").hours > 0.4).all()
    assert (of(world, "stalled_for_months").hours > 50 * 24).all()
    assert (of(world, "stalled_behind_mates").hours > 12 * 24).all()


def test_fast_for_its_day_is_ahead_of_all_on_its_lane_that_day(world: pd.DataFrame, lanes: pd.DataFrame) -> None:
    world = world.assign(day=world.last_time.dt.floor("D"))
    lane_day = ["last_scan_location", "scan_location", "event_type", "day"]
    others = world[world.normal & world.last_normal.eq(True) & (world.noise == "") & (world.last_noise == "")]
    beside = others.groupby(lane_day).hours.agg(["min", "median", "size"])
    found = of(world, "fast_for_its_day")
    beside = beside.reindex(pd.MultiIndex.from_frame(found[lane_day]))
    hours = found.hours.to_numpy()
    assert (beside["size"] >= 2).mean() > 0.98
    assert ((hours < 0.66 * beside["min"]) | beside["min"].isna()).mean() > 0.98
    lane = lanes.reindex(pd.MultiIndex.from_frame(found[["last_scan_location", "scan_location"]]))
    assert (hours > lane.time_taken_hours_min.to_numpy()).all()
    assert (hours < lane.time_taken_hours_mean.to_numpy()).all()
    slow = beside["median"].to_numpy() / lane.time_taken_hours_mean.to_numpy()
    assert (slow[~np.isnan(slow)] > 1.05).mean() > 0.95
    assert np.nanmedian(slow) > 1.5
