"""Features of an item among the items of its lot and product, by their codes. Compiled; see `service.features`."""

from __future__ import annotations

import cython
import numpy as np
from cython.cimports.libc.math import log1p

if cython.compiled:
    from cython.cimports.service.features.row import Row

ITEM_GROUPS = ("all", "number", "number_product", "product", "lot", "day")
"""Groups of items, by their codes: of a request, a lot number, a lot number and product, a product, a lot, a lot and
date. A malformed code is alone in all but the first."""

ALL = cython.declare(cython.int, 0)
NUMBER = cython.declare(cython.int, 1)
NUMBER_PRODUCT = cython.declare(cython.int, 2)
PRODUCT = cython.declare(cython.int, 3)
LOT = cython.declare(cython.int, 4)
DAY = cython.declare(cython.int, 5)
KINDS = cython.declare(cython.int, 6)
NO_SERIAL = cython.declare(cython.double, 20.0)
FAR = cython.declare(cython.double, np.inf)


@cython.cclass
class LotsPass:
    """N events in the order of their journeys, of U codes."""

    rows: Row[::1]
    epc: cython.int[::1]  # [N]
    position: cython.Py_ssize_t[::1]  # [N] in the journey
    number: cython.int[:, ::1]  # [ITEM_GROUPS, U] the group of each kind
    serial: cython.longlong[::1]  # [U]
    tally: cython.double[:, ::1]  # [ITEM_GROUPS, U] items so far, by number
    before: cython.double[:, ::1]  # [ITEM_GROUPS, U] items of the group of each code that the past knows
    gap: cython.double[::1]  # [U] to the nearest serial of the lot, infinite without one

    def __init__(self, rows, trail, groups) -> None:  # noqa: ANN001
        """Args: ``rows`` [N] to write, the ``trail``, its `Groups` of ITEM_GROUPS by name."""
        self.rows, self.epc, self.position = rows, trail.events.epc, trail.journeys.position
        self.number = np.stack([groups[name].number for name in ITEM_GROUPS])
        self.serial = trail.parts.serial
        self.tally = np.zeros((len(ITEM_GROUPS), len(trail.parts.serial)))
        self.before = np.zeros((len(ITEM_GROUPS), len(trail.parts.serial)))
        if trail.past is not None:
            self.before = np.stack([trail.past.items[name] for name in ITEM_GROUPS])
        self.gap = np.full(len(trail.parts.serial), np.inf)

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
    def others(self, kind: cython.int, code: cython.Py_ssize_t, own: cython.double) -> cython.double:
        """Return the items of a group that were counted or known before, less the ``own`` ones."""
        return self.tally[kind, self.number[kind, code]] + self.before[kind, code] - own

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def write(self, i: cython.Py_ssize_t, own: cython.double) -> cython.void:
        """Write the row of an event whose own item was counted ``own`` times."""
        code: cython.Py_ssize_t = self.epc[i]
        of_lot: cython.double = self.others(LOT, code, own)
        self.rows[i].lot_mates = log1p(of_lot)
        self.rows[i].product_mates = log1p(self.others(PRODUCT, code, own))
        self.rows[i].all_items = log1p(self.others(ALL, code, own))
        self.rows[i].lot_product_share = share(self.others(NUMBER_PRODUCT, code, own), self.others(NUMBER, code, own))
        self.rows[i].lot_day_share = share(self.others(DAY, code, own), of_lot)
        self.rows[i].serial_gap = log1p(self.gap[code]) if self.gap[code] < FAR else NO_SERIAL

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def nearest_serials(self, by_serial: cython.Py_ssize_t[::1]) -> cython.void:
        """Find the distance to the nearest serial of the lot, given the codes in the order of (lot, serial)."""
        k: cython.Py_ssize_t
        for k in range(1, by_serial.shape[0]):
            code: cython.Py_ssize_t = by_serial[k]
            before: cython.Py_ssize_t = by_serial[k - 1]
            if self.number[LOT, code] == self.number[LOT, before]:
                self.gap[code] = self.serial[code] - self.serial[before]
                self.gap[before] = min(self.gap[before], self.gap[code])


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(check=False)
def share(part: cython.double, whole: cython.double) -> cython.double:
    """Return (part + 0.5) / (whole + 1): 0.5 where nothing is known."""
    return (part + 0.5) / (whole + 1.0)


def lot_rows(rows, trail, groups) -> None:  # noqa: ANN001
    """Write how many other items of the lot and product there are, and how well the code fits in with theirs.

    Causally an item counts from its first scan on, and the nearest serial so far would change with every item:
    `mate_serial_gap` has to do. A past knows items from before.
    """
    work: LotsPass = LotsPass(rows, trail, groups)
    if trail.causal:
        _in_time(work, trail)
        return
    by_serial: cython.Py_ssize_t[::1] = np.lexsort((trail.parts.serial, groups["lot"].number))
    i: cython.Py_ssize_t
    with cython.nogil:
        work.nearest_serials(by_serial)
        for i in range(by_serial.shape[0]):
            work.count(i)
        for i in range(work.epc.shape[0]):
            work.write(i, 1)


@cython.cfunc
def _in_time(work: LotsPass, trail):  # noqa: ANN001, ANN202
    nobody = np.zeros(len(trail.parts.serial), dtype=np.bool_)
    seen_before: cython.uchar[::1] = (nobody if trail.past is None else trail.past.seen_before).view("u1")
    members: cython.Py_ssize_t[::1] = trail.members
    i: cython.Py_ssize_t
    k: cython.Py_ssize_t
    with cython.nogil:
        for k in range(members.shape[0]):
            i = members[k]
            if work.position[i] == 0 and not seen_before[work.epc[i]]:
                work.write(i, 0)
                work.count(work.epc[i])
            else:
                work.write(i, 1)
