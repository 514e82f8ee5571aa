"""Who is whose mate: the numbers of the groups that items and scans belong to. Compiled; see `service.features`."""

from __future__ import annotations

import cython
import numpy as np

from service.events import vocabulary
from service.events.groups import slots_for
from service.features.mate_groups import GROUPS, PARTS, SHIPMENT_US, WITHIN

if cython.compiled:
    from cython.cimports.service.events.groups import number
    from cython.cimports.service.features.columns import Columns
else:
    from service.events.groups import number

ITEM_GROUPS = ("all", "mates", "number", "number_product", "company", "product", "lot", "day")
"""Groups of items, by their codes: those of a request, its well-formed ones (a malformed one is alone from here on), of
a lot number, a lot number and product, a company, a product of that, a lot of that, a lot and date."""

SCAN_GROUPS = 2 * len(GROUPS) + 1
"""Groups of scans: those of mates, of each the item's own scans, and last the own scans at one place and level."""

MATES, NUMBER, NUMBER_PRODUCT, COMPANY, PRODUCT, LOT, DAY = (ITEM_GROUPS.index(name) for name in ITEM_GROUPS[1:])

_PART = [list(PARTS).index(group.part) for group in GROUPS]
TYPES = cython.declare(cython.int, vocabulary.TYPES)
LEVELS = cython.declare(cython.int, len(vocabulary.LEVELS) + 1)  # and UNKNOWN, -1
SHIPMENT = cython.declare(cython.longlong, SHIPMENT_US)


def number_items(c: Columns) -> None:
    """Number the groups of items in ``item_group``, whose first row has the request of each code already."""
    codes: cython.Py_ssize_t = c.well_formed.shape[0]
    slots: cython.int[::1] = slots_for(codes)
    alone: cython.longlong[::1] = np.empty(codes, dtype=np.int64)
    of: cython.int[:, ::1] = c.item_group
    u: cython.Py_ssize_t
    for u in range(codes):
        alone[u] = -1 if c.well_formed[u] else u
    number(of[0], alone, of[MATES], slots)
    number(of[MATES], c.lot, of[NUMBER], slots)
    number(of[NUMBER], c.product, of[NUMBER_PRODUCT], slots)
    number(of[MATES], c.company, of[COMPANY], slots)
    number(of[COMPANY], c.product, of[PRODUCT], slots)
    number(of[PRODUCT], c.lot, of[LOT], slots)
    number(of[LOT], c.day, of[DAY], slots)


def number_scans(c: Columns, kind_from: cython.const[cython.longlong][::1], spot_from: cython.int[::1]) -> list[int]:
    """Number the groups of scans in ``group``, and return how many of each kind of mates' groups there are.

    The previous scan of each, with which its leg began, had the type ``kind_from`` [N], -1 before a first one, and was
    at ``spot_from`` [N].
    """
    n: cython.Py_ssize_t = c.epc.shape[0]
    i: cython.Py_ssize_t
    parts: cython.longlong[:, ::1] = np.empty((6, n), dtype=np.int64)  # PARTS, then item, then place and level
    of_lot: cython.int[::1] = np.empty(n, dtype=np.int32)
    slots: cython.int[::1] = slots_for(n)
    of: cython.int[:, ::1] = c.group
    for i in range(n):
        of_lot[i] = c.item_group[LOT, c.epc[i]]
        parts[0, i] = c.spot[i] * TYPES + c.kind[i]
        parts[1, i] = c.kind[i]
        parts[2, i] = spot_from[i] * TYPES + kind_from[i] + 1 if kind_from[i] >= 0 else 0
        parts[3, i] = c.leg_us[i] // SHIPMENT - (c.leg_us[i] % SHIPMENT < 0)
        parts[4, i] = c.epc[i]
        parts[5, i] = c.spot[i] * LEVELS + c.level[i]
    counts = []
    for kind in range(len(GROUPS)):
        within = of_lot if WITHIN[kind] < 0 else of[WITHIN[kind]]
        counts.append(number(within, parts[_PART[kind]], of[kind], slots))
        number(of[kind], parts[4], of[len(GROUPS) + kind], slots)
    number(c.epc, parts[5], of[2 * len(GROUPS)], slots)
    return counts
