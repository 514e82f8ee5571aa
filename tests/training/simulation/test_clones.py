"""epcDup: clones are where the item is not."""

from __future__ import annotations

import pandas as pd

from tests.support.folders.simulated import SEED, of
from training.simulation.catalogue import catalogue


def test_clones_are_where_the_item_is_not(world: pd.DataFrame) -> None:
    cat = catalogue(SEED)
    region = dict(zip(cat.places.name, cat.places.region.tolist(), strict=True))
    for variant, low, high, same_region in (("two_regions_at_once", 0, 0.2, False), ("clone_nearby", 2, 30.1, True)):
        later = of(world, variant)
        assert later.epc_code.is_unique
        assert (later.event_type == later.last_event_type).all()
        assert (later.scan_location != later.last_scan_location).all()
        assert later.hours.between(low, high).all()
        moved = later.scan_location.map(region) != later.last_scan_location.map(region)
        assert (moved != same_region).all()
    again = of(world, "resold")
    assert (again.event_type == "POS_Sell").all()
    assert (again.last_event_type == "POS_Sell").all()
    early = of(world, "sold_while_upstream").groupby("epc_code").event_type
    assert (early.size() == 2).all()
    assert (early.first() == "POS_Sell").all()
    assert early.last().str.endswith("_Outbound").all()


def test_interleaved_journeys_are_labelled_from_the_second_one_on(world: pd.DataFrame) -> None:
    scans = of(world, "parallel_journey")
    first = scans.drop_duplicates("epc_code").set_index("epc_code")
    assert set(first.event_type) == {"HUB_Inbound", "W_Stock_Inbound"}
    assert (first.event_type == first.last_event_type).all()
    assert (first.scan_location != first.last_scan_location).all()
    # The clone moves on, then the item itself from where it was.
    second = scans.groupby("epc_code").nth(1).set_index("epc_code")
    assert second.event_type.str.endswith("_Outbound").all()
    assert (second.scan_location == first.scan_location).all()
    origin = scans.epc_code.map(first.last_scan_location)
    assert (scans.scan_location == origin).groupby(scans.epc_code).any().all()
    last = world.groupby("epc_code").tail(1).set_index("epc_code")
    assert last.variant[first.index].eq("parallel_journey").all()


def test_no_clone_is_labelled_before_it_can_be_known(world: pd.DataFrame) -> None:
    assert not world[world.last_event_type.isna()].epcDup.any()
    first = world[world.epcDup].drop_duplicates("epc_code")
    assert (first.scan_location != first.last_scan_location).all()
    assert not world.epcDup.to_numpy()[first.index - 1].any()


def test_clones_look_normal_by_themselves(world: pd.DataFrame) -> None:
    cat = catalogue(SEED)
    clones = world[world.epcDup & ~world.locErr]
    product = clones.product_name.str.removeprefix("Product ").astype(int) - 1
    assert cat.reached[product, pd.Index(cat.places.name).get_indexer(clones.scan_location)].all()
    hour = clones.time.dt.hour[(clones.event_type == "POS_Sell") & (clones.variant != "two_regions_at_once")]
    assert hour.between(9, 22).all()
    left = clones[clones.event_type.str.endswith("_Outbound") & (clones.variant == "parallel_journey")]
    assert (left.time.dt.day_of_week != 6).mean() > 0.97  # genuine ones among them may be late by seconds
    assert left.time.dt.hour.between(7, 22).all()
