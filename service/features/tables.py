"""The tables of a reference as the compiled loops look things up in them; worked out once per reference."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cython
import numpy as np
from cython.cimports.libc.math import asin, isnan, sqrt

from service.events import earth

if TYPE_CHECKING:
    from service.features.reference import Counts, Reference

EARTH_RADIUS_KM = cython.declare(cython.double, earth.EARTH_RADIUS_KM)


@cython.cclass
class CountsTable:
    """Rows and counts of the keys of a table, by a hash table with open addressing."""

    def __init__(self, table: Counts) -> None:
        """Take K different keys, of which each has a count."""
        slots = 4
        while slots < 2 * len(table.key):
            slots *= 2
        self._key = np.zeros(slots, dtype=np.int64)
        self._row = np.full(slots, -1, dtype=np.int32)  # -1: the slot is free
        self._mask = slots - 1
        self._count = np.ascontiguousarray(table.count)
        for row, key in enumerate(table.key.tolist()):
            at = _slot(key) & self._mask
            while self._row[at] >= 0:
                at = (at + 1) & self._mask
            self._key[at], self._row[at] = key, row

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def find(self, key: cython.longlong) -> cython.int:
        """Return the row of a key, -1 if it is not there."""
        at: cython.longlong = _slot(key) & self._mask
        while self._row[at] >= 0:
            if self._key[at] == key:
                return self._row[at]
            at = (at + 1) & self._mask
        return -1

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def count_of(self, key: cython.longlong) -> cython.double:
        """Return how often a key was seen, 0 for one that is not there."""
        return self.count_at(self.find(key))

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def count_at(self, row: cython.int) -> cython.double:
        """Return how often the key of a row was seen, 0 for the row -1."""
        return self._count[row] if row >= 0 else 0.0


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(check=False)
def _slot(key: cython.longlong) -> cython.longlong:
    """Return what the slot of a key goes by; no product leaves 63 bits, so that plain Python gets the same."""
    wide: cython.longlong = cython.cast(cython.longlong, key)  # uncompiled it may be a number of 32 bits
    mixed: cython.longlong = (wide & 0x7FFFFFFF) * 0x2545F491 + ((wide >> 31) & 0x7FFFFFFF) * 0x1B873593
    return mixed ^ (mixed >> 29)


@cython.cclass
class Tables:
    """All tables of a `Reference`, see there; ``vector`` [places + 1, 3]: the places as points of the unit sphere."""

    def __init__(self, reference: Reference) -> None:
        self.places, self.scans, self.start_scan = len(reference.location_id), reference.scans, reference.start_scan
        self.scan, self.lane, self.route = (
            CountsTable(reference.scan),
            CountsTable(reference.lane),
            CountsTable(reference.route),
        )
        self.product_scan, self.product_type = CountsTable(reference.product_scan), CountsTable(reference.product_type)
        self.header, self.company = CountsTable(reference.header), CountsTable(reference.company)
        self.product, self.company_product = CountsTable(reference.product), CountsTable(reference.company_product)
        self.lot, self.product_lot = CountsTable(reference.lot), CountsTable(reference.product_lot)
        self.place = CountsTable(reference.known_places)
        self.vector, self.area = reference.unit_vectors, reference.area
        self.lane_gap, self.route_hours = _floats(reference.lane_gap), _floats(reference.route_hours)
        self.lot_day, self.lot_serial = _floats(reference.lot_day), _floats(reference.lot_serial)
        self.type_pair, self.type_pair_gap = _floats(reference.type_pair), _floats(reference.type_pair_gap)
        self.level_rank, self.type_rank = reference.ranks()
        self.type_pair_total = reference.type_pair.sum(axis=1)
        self.serial_step = reference.serial_step

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def place_of(self, location_id: cython.longlong) -> cython.int:
        """Return the place of a location, ``places`` if it is not known."""
        place: cython.int = self.place.find(location_id)
        return place if place >= 0 else cython.cast(cython.int, self.places)

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def kilometres(self, place: cython.int, other: cython.int) -> cython.double:
        """Return the great-circle distance, 0 if one of the places is not known.

        The chord c of the unit sphere spans the angle 2 asin(c / 2): accurate for small distances too.
        """
        x: cython.double = self.vector[place, 0] - self.vector[other, 0]
        y: cython.double = self.vector[place, 1] - self.vector[other, 1]
        z: cython.double = self.vector[place, 2] - self.vector[other, 2]
        chord: cython.double = sqrt(x * x + y * y + z * z)
        if isnan(chord):
            return 0.0
        return 2 * EARTH_RADIUS_KM * asin(min(chord / 2, 1.0))


def _floats(values):
    return np.ascontiguousarray(values, dtype=np.float64)
