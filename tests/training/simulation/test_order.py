"""evtOrderErr: scans are out of order."""

from __future__ import annotations

import pandas as pd

from tests.support.folders.simulated import of


def test_order_errors_are_out_of_order(world: pd.DataFrame) -> None:
    steps = {name: rank for rank, name in enumerate(dict.fromkeys(world.event_type.sort_values()))}
    assert len(steps) == 10
    for variant in ("double_in", "double_out"):
        found = of(world, variant)
        assert found.event_type.str.endswith("_Inbound" if variant == "double_in" else "_Outbound").all()
        assert (found.event_type == found.last_event_type).mean() > 0.98
    for variant in ("out_before_in", "swapped_pair"):
        pair = of(world, variant).sort_values(["epc_code", "time"]).groupby("epc_code").event_type
        assert (pair.size() == 2).all()
        if variant == "out_before_in":
            assert pair.first().str.endswith("_Outbound").all()
            assert pair.last().str.endswith("_Inbound").all()
        else:
            assert pair.first().str.endswith("_Inbound").all()
            assert pair.last().str.endswith("_Outbound").all()
    rolled = of(world, "clock_rolled_back")
    following = world.reindex(rolled.index + 1)
    assert following.event_type.str.endswith("_Outbound").all()
    assert (following.last_variant == "clock_rolled_back").all()
