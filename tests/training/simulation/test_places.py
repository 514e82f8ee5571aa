"""locErr: wrong places are off the flow."""

from __future__ import annotations

import pandas as pd

from tests.support.folders.simulated import SEED, of
from training.simulation.catalogue import catalogue


def test_wrong_places_are_off_the_flow(world: pd.DataFrame, lanes: pd.DataFrame) -> None:
    cat = catalogue(SEED)
    names = pd.Index(cat.places.name)
    arrived = world[world.variant.isin(["wrong_hub", "wrong_region", "retailer_over_the_border", "stage_skipped"])]
    arrived = arrived[arrived.last_scan_location.notna() & (arrived.last_variant != arrived.variant)]
    product = arrived.product_name.str.removeprefix("Product ").astype(int) - 1
    lane = cat.lanes.between[names.get_indexer(arrived.last_scan_location), names.get_indexer(arrived.scan_location)]
    assert len(arrived) > 100
    assert ((lane < 0) | (cat.flow[product, lane] == 0)).all()
    borrowed = of(world, "lane_of_other_product")
    borrowed = borrowed[borrowed.event_type == "W_Stock_Inbound"]
    on_lane = pd.MultiIndex.from_frame(borrowed[["last_scan_location", "scan_location"]]).isin(lanes.index)
    assert on_lane.mean() > 0.98
    for variant, event in (("back_to_hub", "HUB_Inbound"), ("back_to_warehouse", "WMS_Inbound")):
        assert (of(world, variant).event_type == event).all()
