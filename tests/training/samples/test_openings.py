"""At a place that has just opened no product is a stranger, until it has shown which ones go there."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from service.features.keys import scan_key
from service.features.reference import Counts, Reference
from tests.support.worlds import (
    DETOUR,
    OTHER_PRODUCT,
    ROUTE,
    Scan,
    masters,
    normal_scans,
    shipment,
    to_events,
)
from training.samples.openings import welcomed
from training.samples.reference import learn

PRODUCT, SHOP, LAST_TYPE = 1_293_291, 3, 9
"""SHOP is a place that opens; the last scan of a journey is made there."""


def lots(places: Sequence[int], count: int, lot: int, product: int) -> list[Scan]:
    """Return two items of each of some lots on a road, long after those of `normal_scans`."""
    return [
        scan
        for number in range(count)
        for scan in shipment(places, range(2), start=2_000 + 10 * number, lot=lot + number, product=product)
    ]


def counted(there: int, elsewhere: int) -> tuple[dict[int, float], Reference]:
    """Return how often each product counts as seen at the new shop, and the tables.

    Of the new lots as many of PRODUCT as ``there`` says came to the shop, and ``elsewhere`` of OTHER_PRODUCT to others.
    """
    new = [*lots((*ROUTE[:-1], SHOP), there, 20_000, PRODUCT), *lots(DETOUR, elsewhere, 30_000, OTHER_PRODUCT)]
    both = to_events([*normal_scans(), *new])
    tables = learn(both, np.ones(len(both), dtype=np.bool_), masters())
    scan = scan_key(tables.place_of(np.array([SHOP])), np.array([LAST_TYPE]))
    found = welcomed(tables, scan, to_events(new))
    counts = [
        count_of(found.product_scan, found.product_scan_key(np.array([one]), scan)) for one in (PRODUCT, OTHER_PRODUCT)
    ]
    return dict(zip((PRODUCT, OTHER_PRODUCT), counts, strict=True)), found


def count_of(table: Counts, key: NDArray[np.int64]) -> float:
    return float(np.append(table.count, 0.0)[table.find(key)[0]])


def test_a_product_that_had_no_occasion_to_come_counts_as_all_do() -> None:
    counts, _ = counted(there=3, elsewhere=1)
    # Three of four scans of the type since then were made there, of 40 scans before and two since then.
    assert counts[OTHER_PRODUCT] == pytest.approx(0.75 * 42)
    assert counts[PRODUCT] == pytest.approx(0.75 * 46), "nor is the one that came there as rare as the first few say"


def test_of_a_product_whose_lots_all_went_elsewhere_it_is_told() -> None:
    counts, _ = counted(there=11, elsewhere=9)
    assert counts[OTHER_PRODUCT] > 0, "of nine lots five would have come, or four"
    counts, tables = counted(there=12, elsewhere=12)
    assert counts[OTHER_PRODUCT] == 0
    assert counts[PRODUCT] == 24
    assert (np.diff(tables.product_scan.key) > 0).all()


def test_where_nothing_opened_nothing_changes() -> None:
    both = to_events(normal_scans())
    tables = learn(both, np.ones(len(both), dtype=np.bool_), masters())
    same = welcomed(tables, np.zeros(0, dtype=np.int64), both)
    np.testing.assert_array_equal(same.product_scan.count, tables.product_scan.count)
    np.testing.assert_array_equal(same.product_scan.key, tables.product_scan.key)


def test_the_lots_of_home_do_not_tell() -> None:
    assert counted(there=12, elsewhere=0)[0][OTHER_PRODUCT] == pytest.approx(40)
