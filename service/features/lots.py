"""Features of a code: its parts against what was issued, and among the items of its lot and product. Compiled."""

from __future__ import annotations

import cython
import numpy as np
from cython.cimports.libc.math import asinh, log1p

from service.events import foreign
from service.features import declared, keys, mates

if cython.compiled:
    from cython.cimports.service.features.columns import Columns, log_count, share
    from cython.cimports.service.features.row import Row
else:
    from service.features.columns import log_count, share

LOTS = cython.declare(cython.longlong, keys.LOTS)
PRODUCTS = cython.declare(cython.longlong, keys.PRODUCTS)
ALL = cython.declare(cython.int, 0)
NUMBER = cython.declare(cython.int, mates.NUMBER)
NUMBER_PRODUCT = cython.declare(cython.int, mates.NUMBER_PRODUCT)
PRODUCT = cython.declare(cython.int, mates.PRODUCT)
LOT = cython.declare(cython.int, mates.LOT)
DAY = cython.declare(cython.int, mates.DAY)
KINDS = cython.declare(cython.int, len(mates.ITEM_GROUPS))
NO_DAY = cython.declare(cython.longlong, foreign.NO_DAY)
NO_SERIAL = cython.declare(cython.double, declared.NO_SERIAL)
FAR = cython.declare(cython.double, np.inf)


def code_rows(c: Columns) -> None:
    """Write the features that a code has by itself, in ``of_code``."""
    u: cython.Py_ssize_t
    for u in range(c.codes):
        code_row(c, u)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def code_row(c: Columns, u: cython.Py_ssize_t) -> cython.void:
    """Write the features of one code."""
    product: cython.longlong = c.product[u]
    of_pair: cython.double = c.tables.company_product.count_of(c.company[u] * PRODUCTS + product)
    lot: cython.int = c.tables.product_lot.find(product * LOTS + c.lot[u])
    of_lot: cython.double = c.tables.product_lot.count_at(lot)
    c.of_code[u].code_well_formed = c.well_formed[u]
    c.of_code[u].code_header_log = log_count(c.tables.header.count_of(c.header[u]))
    c.of_code[u].code_company_log = log_count(c.tables.company.count_of(c.company[u]))
    c.of_code[u].code_product_log = log_count(of_pair)
    c.of_code[u].code_product_foreign = of_pair == 0 and c.tables.product.count_of(product) > 0
    c.of_code[u].code_lot_log = log_count(of_lot)
    c.of_code[u].code_lot_foreign = of_lot == 0 and c.tables.lot.count_of(c.lot[u]) > 0
    c.of_code[u].code_date_valid = c.date_valid[u] or c.day[u] == NO_DAY
    if lot >= 0 and c.date_valid[u]:
        c.of_code[u].code_day_off = outside(c.day[u], c.tables.lot_day[lot, 0], c.tables.lot_day[lot, 1])
    if lot >= 0 and c.serial[u] >= 0:
        step: cython.double = c.tables.serial_step
        low: cython.double = c.tables.lot_serial[lot, 0] / step
        c.of_code[u].code_serial_off = outside(c.serial[u] / step, low, c.tables.lot_serial[lot, 1] / step)


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(check=False)
def outside(value: cython.double, low: cython.double, high: cython.double) -> cython.double:
    """Return asinh of how far a value lies outside of a range, 0 inside."""
    return asinh(max(value - high, 0.0) - max(low - value, 0.0))


@cython.cclass
class LotsPass:
    """The features of items among those of their lot."""

    c: Columns
    rows: cython.pointer(Row)
    number: cython.int[:, ::1]  # [ITEM_GROUPS, U] the group of each kind
    tally: cython.double[:, ::1]  # [ITEM_GROUPS, U] items so far, by number
    gap: cython.double[::1]  # [U] to the nearest serial of the lot, infinite without one
    before: cython.double[:, ::1]  # [ITEM_GROUPS, U] items of the group of each code that the past knows
    seen_before: cython.uchar[::1]  # [U] whether the past knows the item

    def __init__(self, c: Columns, before) -> None:
        codes = len(c.serial)
        self.c, self.rows, self.number = c, c.rows, c.item_group
        numbers: cython.double[:, ::1] = np.zeros((2 * KINDS + 1, codes))
        self.tally, self.before, self.gap = numbers[:KINDS], numbers[KINDS : 2 * KINDS], numbers[2 * KINDS]
        self.gap[:] = FAR
        if before is not None:
            self.before = before

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def all(self, by_serial: cython.Py_ssize_t[::1]) -> cython.void:
        """Write all rows, with everything known."""
        i: cython.Py_ssize_t
        self.nearest_serials(by_serial)
        for i in range(by_serial.shape[0]):
            self.count(i)
        for i in range(self.c.epc.shape[0]):
            self.write(i)

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def in_time(self) -> cython.void:
        """Write the rows of the members as things happen: what comes in the same second is there at once."""
        i: cython.Py_ssize_t
        k: cython.Py_ssize_t
        known: cython.Py_ssize_t = 0  # members whose items were counted
        for k in range(self.c.members.shape[0]):
            i = self.c.members[k]
            while known < self.c.members.shape[0] and self.c.time_us[self.c.members[known]] < self.c.known_us[i]:
                self._count_first(self.c.members[known])
                known += 1
            self.write(i)

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def _count_first(self, i: cython.Py_ssize_t) -> cython.void:
        """Count the item of an event that is its first."""
        if self.c.position[i] == 0 and not self.seen_before[self.c.epc[i]]:
            self.count(self.c.epc[i])

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def count(self, code: cython.Py_ssize_t) -> cython.void:
        """Count an item."""
        kind: cython.int
        for kind in range(KINDS):
            self.tally[kind, self.number[kind, code]] += 1

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def others(self, kind: cython.int, code: cython.Py_ssize_t) -> cython.double:
        """Return the other items of a group that were counted or known before."""
        return self.tally[kind, self.number[kind, code]] + self.before[kind, code] - 1

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def write(self, i: cython.Py_ssize_t) -> cython.void:
        """Write the row of an event, whose own item was counted."""
        code: cython.Py_ssize_t = self.c.epc[i]
        of_lot: cython.double = self.others(LOT, code)
        self.rows[i].lot_mates = log_count(of_lot)
        self.rows[i].product_mates = log_count(self.others(PRODUCT, code))
        self.rows[i].all_items = log_count(self.others(ALL, code))
        self.rows[i].lot_product_share = share(self.others(NUMBER_PRODUCT, code), self.others(NUMBER, code))
        self.rows[i].lot_day_share = share(self.others(DAY, code), of_lot) if self.c.day[code] != NO_DAY else 0.5
        step: cython.double = self.c.tables.serial_step
        self.rows[i].serial_gap = log1p(self.gap[code] / step) if self.gap[code] < FAR else NO_SERIAL

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def nearest_serials(self, by_serial: cython.Py_ssize_t[::1]) -> cython.void:
        """Find the distance to the nearest serial of the lot, given the codes in the order of (lot, serial)."""
        k: cython.Py_ssize_t
        for k in range(1, by_serial.shape[0]):
            code: cython.Py_ssize_t = by_serial[k]
            before: cython.Py_ssize_t = by_serial[k - 1]
            if self.number[LOT, code] == self.number[LOT, before] and self.c.serial[before] >= 0:
                self.gap[code] = self.c.serial[code] - self.c.serial[before]
                self.gap[before] = min(self.gap[before], self.gap[code])


def lot_rows(c: Columns, by_serial: cython.Py_ssize_t[::1]) -> None:
    """Write how many other items of the lot and product there are, and how well the code fits in with theirs.

    ``by_serial`` [U] are the codes in the order of (lot, serial).
    """
    work: LotsPass = LotsPass(c, None)
    if c.is_small:
        work.all(by_serial)
    else:
        with cython.nogil:
            work.all(by_serial)


def lot_rows_in_time(c: Columns, seen_before: cython.uchar[::1], before) -> None:
    """Write the same causally: an item counts from its first scan on.

    A past knows items from before: whether each was ``seen_before`` [U], and how many the groups of each have,
    ``before`` [ITEM_GROUPS, U] or None. The nearest serial so far would change with every item:
    `mate_serial_gap` has to do.
    """
    work: LotsPass = LotsPass(c, before)
    work.seen_before = seen_before
    if c.is_small:
        work.in_time()
    else:
        with cython.nogil:
            work.in_time()
