"""Tables that roll on: both are in them, the old ones faded."""

from __future__ import annotations

import numpy as np
import pytest

from service.features.keys import scan_key
from tests.support.trained import TinyWorld
from tests.support.worlds import DETOUR, OTHER_PRODUCT, ROUTE, masters, normal_scans, shipment, to_events
from training.adoption.rolling import Earlier, earlier_of, rolled
from training.samples.reference import learn
from training.samples.splits import first_scans, normal_events

_DAY_US = 86_400_000_000

SHOP = 3  # a place that opens


def halves(world: TinyWorld) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions of the events of the items that began first, and of the others."""
    first = first_scans(world.dataset.events)
    early = (first <= np.median(first))[world.dataset.events.epc]
    return np.flatnonzero(early), np.flatnonzero(~early)


def test_both_halves_rolled_are_the_counts_of_the_whole(tiny_world: TinyWorld) -> None:
    events, masters = tiny_world.dataset.events, tiny_world.dataset.masters
    normal = normal_events(tiny_world.known.labels)
    old, new = (learn(events.take(rows), normal[rows], masters) for rows in halves(tiny_world))
    whole, both = learn(events, normal, masters), rolled(old, new, 1.0, -np.inf)
    for name in ("scan", "lane", "product_scan", "product_type", "company", "product_lot", "lot", "route"):
        one, other = getattr(whole, name), getattr(both, name)
        assert one.key.tolist() == other.key.tolist(), name
        np.testing.assert_allclose(other.count, one.count, err_msg=name)
    np.testing.assert_allclose(both.type_pair, whole.type_pair)
    np.testing.assert_allclose(both.lot_day, whole.lot_day)
    np.testing.assert_allclose(both.lot_serial, whole.lot_serial)
    seen = whole.lane.count >= 50
    assert np.abs(both.lane_gap - whole.lane_gap)[seen, 1].mean() < 0.2, "log minutes, of medians"


def test_places_that_only_one_of_them_knows_keep_their_scans(tiny_world: TinyWorld) -> None:
    events, masters = tiny_world.dataset.events, tiny_world.dataset.masters
    old = learn(events, np.ones(len(events), dtype=np.bool_), masters)
    there = events.location_id == events.location_id.max()
    moved = events.take(np.arange(len(events)))
    moved.location_id[there] = 999_999
    new = learn(moved, np.ones(len(events), dtype=np.bool_), masters)
    both = rolled(old, new, 0.5, -np.inf)
    place = both.place_of(np.array([999_999, events.location_id.max()]))
    counted = [both.scan.count[both.scan.key // 11 == one].sum() for one in place.tolist()]
    assert counted == [there.sum(), 0.5 * there.sum()]


@pytest.mark.parametrize(("items", "share"), [(4, 0.0), (5, 1 / 5)])
def test_a_place_that_opened_knows_no_product_as_a_stranger(items: int, share: float) -> None:
    """Five of 25 scans of the type are made there; four are too few for an opening."""
    old = to_events(normal_scans())
    new = to_events([
        *shipment((*ROUTE[:-1], SHOP), range(6_000, 6_000 + items), start=2_000, lot=20_000),
        *shipment(DETOUR, range(7_000, 7_020), start=2_001, lot=20_001, product=OTHER_PRODUCT),
    ])  # fmt: skip
    before, after = (learn(events, np.ones(len(events), dtype=np.bool_), masters()) for events in (old, new))
    both = Earlier(before, 1.0, -np.inf).with_new(after, new)
    scan = scan_key(both.place_of(np.array([SHOP])), np.array([9]))
    row = both.product_scan.find(both.product_scan_key(np.array([OTHER_PRODUCT]), scan))
    assert np.append(both.product_scan.count, 0.0)[row] == pytest.approx(share * 60), "of 40 scans before and 20 now"


def test_counts_fade_to_nothing_and_lots_are_forgotten_at_that_age(tiny_world: TinyWorld) -> None:
    reference = learn(
        tiny_world.dataset.events, np.ones(len(tiny_world.dataset.events), dtype=np.bool_), tiny_world.dataset.masters
    )
    until = int(tiny_world.dataset.events.time_us.max())
    assert earlier_of(reference, until, until, 90).keep == 1.0
    assert earlier_of(reference, until, until + 45 * _DAY_US, 90).keep == 0.5
    assert earlier_of(reference, until, until + 500 * _DAY_US, 90).keep == 0.0
    assert earlier_of(reference, until, until + 500 * _DAY_US, 90).oldest_lot_day > reference.lot_day.max()
