"""What the reference knows of scans and codes like these, looked up for one at a time."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from service.events.vocabulary import START, TYPES
from service.explain.scans import Code, Scan
from service.features.keys import LOTS, PRODUCTS
from service.features.reference import Counts, Reference

Favourite = tuple[int, int, int]
"""(type, location id, count) of the scans that there are most of."""


@dataclass(frozen=True, slots=True)
class Times:
    """How long legs take: ``low`` to ``high`` minutes, by ``count`` of them."""

    low: float
    high: float
    count: int


@dataclass(frozen=True, slots=True)
class Lot:
    """What was issued of one lot of one product."""

    count: int
    days: tuple[int, int]  # first and last, since 1970
    serials: tuple[int, int]  # lowest and highest


class Norms:
    """The tables of a reference, asked with plain numbers: numpy is slow for a single one."""

    def __init__(self, reference: Reference) -> None:
        self._reference = reference
        self._scans = (len(reference.location_id) + 2) * TYPES

    def lot(self, code: Code) -> Lot | None:
        """Return what was issued of the lot, None if nothing was."""
        reference = self._reference
        row = row_of(reference.product_lot, code.product * LOTS + code.lot)
        if row is None:
            return None
        first, last = reference.lot_day[row].tolist()
        lowest, highest = reference.lot_serial[row].tolist()
        count = int(reference.product_lot.count[row])
        return Lot(count, (int(first), int(last)), (int(lowest), int(highest)))

    @cached_property
    def _lot_numbers(self) -> NDArray[np.int64]:
        return self._reference.product_lot.key % LOTS

    def owner_of_lot(self, lot: int) -> tuple[int, int] | None:
        """Return (product, issued codes) of the product with most codes of this lot number."""
        rows = np.flatnonzero(self._lot_numbers == lot)
        return _most(self._reference.product_lot, rows, lambda key: key // LOTS)

    def owner_of_product(self, product: int) -> tuple[int, int] | None:
        """Return (company, issued codes) of the company with most codes of this product number."""
        table = self._reference.company_product
        return _most(table, np.flatnonzero(table.key % PRODUCTS == product), lambda key: key // PRODUCTS)

    def products_of(self, company: int) -> int:
        """Return how many products the company issued codes of."""
        return len(_range(self._reference.company_product, company * PRODUCTS, (company + 1) * PRODUCTS))

    def lane_times(self, before: Scan, scan: Scan) -> Times | None:
        """Return how long normal legs of the lane take, None if none was seen."""
        reference = self._reference
        row = row_of(reference.lane, self.lane_key(before, scan))
        return None if row is None else _times(reference.lane_gap[row], int(reference.lane.count[row]))

    def types_times(self, before: Scan, scan: Scan) -> Times | None:
        """Return how long legs from type to type take, None if none was seen."""
        reference = self._reference
        count = int(reference.type_pair[before.kind, scan.kind])
        return _times(reference.type_pair_gap[before.kind, scan.kind], count) if count else None

    def route_hours(self, before: Scan, scan: Scan) -> tuple[float, float] | None:
        """Return least and most hours of the transition master's route, None if it has none."""
        reference = self._reference
        row = row_of(reference.route, before.place * (len(reference.location_id) + 1) + scan.place)
        return None if row is None else (float(reference.route_hours[row, 2]), float(reference.route_hours[row, 3]))

    def lane_key(self, before: Scan | None, scan: Scan) -> int:
        return self._scan_key(before) * self._scans + self._scan_key(scan)

    def lanes_from(self, before: Scan | None) -> tuple[int, Favourite | None]:
        """Return (normal scans like ``before``; type, location and count of the scan that most often follows)."""
        reference, key = self._reference, self._scan_key(before)
        count = reference.type_pair[START].sum() if before is None else count_of(reference.scan, key)
        rows = _range(reference.lane, key * self._scans, (key + 1) * self._scans)
        return int(count), self._favourite(reference.lane, rows)

    def lane_count(self, before: Scan | None, scan: Scan) -> int:
        return count_of(self._reference.lane, self.lane_key(before, scan))

    def scan_count(self, scan: Scan) -> int:
        return count_of(self._reference.scan, self._scan_key(scan))

    def of_product(self, product: int, scan: Scan) -> tuple[int, int, Favourite | None]:
        """Return normal scans of a product: (of this type here, of this type, where most of them were)."""
        reference, base = self._reference, (product + 1) * self._scans
        rows = _range(reference.product_scan, base, base + self._scans)
        rows = rows[reference.product_scan.key[rows] % TYPES == base % TYPES + scan.kind] if len(rows) else rows
        total = count_of(reference.product_type, (product + 1) * TYPES + scan.kind)
        here = count_of(reference.product_scan, base + self._scan_key(scan))
        return here, total, self._favourite(reference.product_scan, rows)

    def _scan_key(self, scan: Scan | None) -> int:
        return self._reference.start_scan if scan is None else scan.place * TYPES + scan.kind

    def _favourite(self, table: Counts, rows: NDArray[np.intp]) -> Favourite | None:
        """Return (type, location, count) of the row of most counts, None if the place has no id."""
        if not len(rows):
            return None
        most = rows[table.count[rows].argmax()]
        place, kind = divmod(int(table.key[most]) % self._scans, TYPES)
        known = place < len(self._reference.location_id)
        return (kind, int(self._reference.location_id[place]), int(table.count[most])) if known else None


def row_of(table: Counts, key: int) -> int | None:
    row = int(table.key.searchsorted(key))
    return row if row < len(table.key) and table.key[row] == key else None


def count_of(table: Counts, key: int) -> int:
    row = row_of(table, key)
    return 0 if row is None else int(table.count[row])


def _range(table: Counts, low: int, high: int) -> NDArray[np.intp]:
    """Return the rows with keys from ``low`` to below ``high``."""
    return np.arange(*table.key.searchsorted([low, high]))


def _most(table: Counts, rows: NDArray[np.intp], owner: Callable[[int], int]) -> tuple[int, int] | None:
    """Return (owner of the key, count) of the row of most counts."""
    if not len(rows):
        return None
    most = rows[table.count[rows].argmax()]
    return owner(int(table.key[most])), int(table.count[most])


def _times(quantiles: NDArray[np.float64], count: int) -> Times | None:
    """Return LANE_QUANTILES [4] in minutes, None if no gap was measured."""
    low, _, high, _ = quantiles.tolist()
    return Times(math.expm1(low), math.expm1(high), count) if high > 0 else None
