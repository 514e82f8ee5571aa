"""jump: times are outside those of the routes."""

from __future__ import annotations

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
