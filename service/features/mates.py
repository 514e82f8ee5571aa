"""Who belongs together? The groups of items and scans: one table of them, and their numbers. Compiled.

Mates are the items of a lot; traffic is everybody on the same road, through the same gate, whatever their lots. A
request numbers the groups of its scans here; `running_groups` finds those of earlier scans by hashes of the same.
"""

from __future__ import annotations

from typing import NamedTuple

import cython
import numpy as np

from service.events import vocabulary
from service.events.groups import slots_for

if cython.compiled:
    from cython.cimports.service.events.groups import number
    from cython.cimports.service.features.columns import Columns, floor_of
else:
    from service.events.groups import number
    from service.features.columns import floor_of

ITEM_GROUPS = ("all", "mates", "number", "number_product", "company", "product", "lot", "day")
"""Groups of items, by their codes: those of a request, its well-formed ones (a malformed one is alone from here on), of
a lot number, a lot number and product, a company, a product of that, a lot of that, a lot and date."""

SHIPMENT_US = 2 * 3_600_000_000
"""Scans of a lot at one place within the same two hours, by the clock of where they arrive, are one shipment."""

DAY_US = 24 * 3_600_000_000

COLUMNS = (
    "location",
    "kind",
    "left_location",
    "left_kind",
    "departure",
    "departure_day",
    "arrival",
    "arrival_day",
    "way",
    "serial",
)
"""What the hash of a group is made of, beside whose it is: in this order, or they are other hashes."""

PARTS: dict[str, tuple[str, ...]] = {
    "here": ("location", "kind"),  # the place and the type of the scan
    "type": ("kind",),
    "left": ("left_location", "left_kind"),  # the previous scan of the item, with which its leg began
    "departure": ("departure",),  # the two hours in which it began
    "road": ("location", "kind", "left_location", "left_kind"),
    "departure_day": ("departure_day",),
    "way_today": ("way", "departure_day"),  # into which area, or a stay at which place
    "here_today": ("location", "kind", "arrival_day"),
    "here_now": ("location", "kind", "arrival"),  # and in the same two hours
    "from_there_today": ("left_location", "kind", "arrival_day"),
    "serial": ("serial",),
}
"""The columns of each part of a key."""


class ScanGroup(NamedTuple):
    """Scans that have something in common."""

    name: str
    of: str  # whose: of ITEM_GROUPS
    within: str  # the group that it is a part of, "" for all scans of those items
    part: str  # what its scans share beside that: of PARTS
    mean_of: str = ""  # what the features take the mean of, "" for nothing


GROUPS = (
    ScanGroup("here", of="lot", within="", part="here", mean_of="hour"),
    ScanGroup("type", of="lot", within="", part="type"),
    ScanGroup("left", of="lot", within="", part="left"),
    ScanGroup("leg", of="lot", within="left", part="here", mean_of="log_gap"),
    ScanGroup("shipment", of="lot", within="left", part="departure"),
    ScanGroup("shipment_here", of="lot", within="shipment", part="here", mean_of="log_gap"),
    ScanGroup("gate_hours_mates", of="lot", within="", part="here_now"),
    ScanGroup("serial", of="lot", within="shipment", part="serial", mean_of="log_gap"),
    ScanGroup("road", of="all", within="", part="road", mean_of="log_gap"),
    ScanGroup("road_day", of="all", within="road", part="departure_day", mean_of="log_gap"),
    ScanGroup("road_hours", of="all", within="road", part="departure", mean_of="log_gap"),
    ScanGroup("area_day", of="all", within="", part="way_today", mean_of="lane_gap_ratio"),
    ScanGroup("gate_day", of="all", within="", part="here_today", mean_of="skipped"),
    ScanGroup("gate_hours", of="all", within="", part="here_now", mean_of="skipped"),
    ScanGroup("origin_day", of="all", within="", part="from_there_today", mean_of="skipped"),
    ScanGroup("product_left", of="product", within="", part="left"),
    ScanGroup("product_leg", of="product", within="product_left", part="here"),
)
"""Groups that a scan belongs to; the number of each is its place here, and part of the hashes too. Those of mates come
first; the others are its traffic."""

MATES_GROUPS = sum(group.of == "lot" for group in GROUPS)

HERE = next(at for at, group in enumerate(GROUPS) if group.name == "here")
"""The group of which also the last few scans are remembered."""

SERIAL = next(at for at, group in enumerate(GROUPS) if group.name == "serial")
"""The scans of one serial number, of which also those of its neighbours are looked up, in the same shipment."""

REACH = 5
"""How many serial numbers below and above are neighbours."""

TOGETHER = 0.05
"""Log gaps that differ by no more are of those that went together."""

WITHIN = [next((at for at, other in enumerate(GROUPS) if other.name == group.within), -1) for group in GROUPS]
"""The number of the group that each is a part of, -1 for all scans of those items."""


def _columns(group: ScanGroup) -> frozenset[str]:
    """Return the columns of the key of a group, those of the group around it included."""
    around = [_columns(other) for other in GROUPS if other.name == group.within]
    return frozenset(PARTS[group.part]).union(*around)


USED = np.array([[name in _columns(group) for group in GROUPS] for name in COLUMNS], dtype=np.int64)
"""[COLUMNS, GROUPS] 1 if the column is in the key of the group."""

SCAN_GROUPS = len(GROUPS) + MATES_GROUPS + 1
"""Groups of scans: those of GROUPS, of each of mates the own scans, and last the own ones at one place and level."""

MATES, NUMBER, NUMBER_PRODUCT, COMPANY, PRODUCT, LOT, DAY = (ITEM_GROUPS.index(name) for name in ITEM_GROUPS[1:])

PART = cython.declare(cython.int[::1], np.array([list(PARTS).index(group.part) for group in GROUPS], dtype=np.int32))
OF = cython.declare(cython.int[::1], np.array([ITEM_GROUPS.index(group.of) for group in GROUPS], dtype=np.int32))
WITHIN_GROUP = cython.declare(cython.int[::1], np.array(WITHIN, dtype=np.int32))
ALL_GROUPS = cython.declare(cython.int, len(GROUPS))
MATES_BELOW = cython.declare(cython.int, MATES_GROUPS)
OWN_AT_LEVEL = cython.declare(cython.int, SCAN_GROUPS - 1)
TYPES = cython.declare(cython.int, vocabulary.TYPES)
LEVELS = cython.declare(cython.int, len(vocabulary.LEVELS) + 1)  # and UNKNOWN, -1
SHIPMENT = cython.declare(cython.longlong, SHIPMENT_US)
WHOLE_DAY = cython.declare(cython.longlong, DAY_US)
TIMES = cython.declare(cython.longlong, 1 << 27)  # twice the two hours from the year 1 to 9999
PARTS_BELOW = cython.declare(cython.int, len(PARTS))
OF_SERIAL = cython.declare(cython.int, SERIAL)
SERIAL_PART = cython.declare(cython.int, list(PARTS).index("serial"))
PRODUCT_GROUP = cython.declare(cython.int, PRODUCT)
LOT_GROUP = cython.declare(cython.int, LOT)


def neighbour_step(serial_step: float) -> int:
    """Return how far neighbours are apart whose serials have such steps, within what 64 bits can add to a serial."""
    return min(round(serial_step), 1 << 59)


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


def number_scans(c: Columns) -> list[int]:
    """Number the groups of scans in ``group``, and return how many of each of GROUPS there are."""
    n: cython.Py_ssize_t = c.epc.shape[0]
    i: cython.Py_ssize_t
    here: cython.longlong
    left_spot: cython.longlong
    left: cython.longlong
    day: cython.longlong
    clock_us: cython.longlong  # what the clock of the place is ahead of UTC
    scans: cython.longlong = 0
    parts: cython.longlong[:, ::1] = np.empty((len(PARTS) + 2, n), dtype=np.int64)  # then item, place and level
    of_items: cython.int[:, ::1] = np.empty((len(ITEM_GROUPS), n), dtype=np.int32)
    slots: cython.int[::1] = slots_for(n)
    of: cython.int[:, ::1] = c.group
    for i in range(n):
        scans = max(scans, (c.spot[i] + 1) * TYPES)
    for i in range(n):
        here = cython.cast(cython.longlong, c.spot[i] * TYPES + c.kind[i])  # uncompiled it has 32 bits
        left_spot = cython.cast(cython.longlong, c.spot_from[i]) + 1 if c.leg_kind[i] >= 0 else 0
        left = (left_spot - 1) * TYPES + cython.cast(cython.longlong, c.leg_kind[i]) + 1 if c.leg_kind[i] >= 0 else 0
        parts[0, i] = here
        parts[1, i] = c.kind[i]
        parts[2, i] = left
        clock_us = c.local_us[i] - c.time_us[i]
        parts[3, i] = floor_of(c.leg_us[i] + clock_us, SHIPMENT)
        parts[4, i] = left * scans + here
        parts[5, i] = floor_of(c.leg_us[i] + clock_us, WHOLE_DAY)
        parts[6, i] = c.way[i] * TIMES + parts[5, i] + TIMES // 2
        day = floor_of(c.local_us[i], WHOLE_DAY) + TIMES // 2
        parts[7, i] = here * TIMES + day
        parts[8, i] = here * TIMES + floor_of(c.local_us[i], SHIPMENT) + TIMES // 2
        parts[9, i] = cython.cast(cython.longlong, left_spot * TYPES + c.kind[i]) * TIMES + day
        parts[SERIAL_PART, i] = c.serial[c.epc[i]]
        parts[PARTS_BELOW, i] = c.epc[i]
        parts[PARTS_BELOW + 1, i] = c.spot[i] * LEVELS + c.level[i]
        of_items[0, i] = c.item_group[0, c.epc[i]]
        of_items[PRODUCT_GROUP, i] = c.item_group[PRODUCT_GROUP, c.epc[i]]
        of_items[LOT_GROUP, i] = c.item_group[LOT_GROUP, c.epc[i]]
    counts = []
    kind: cython.int
    for kind in range(ALL_GROUPS):
        within: cython.int[::1] = of_items[OF[kind]]
        if WITHIN_GROUP[kind] >= 0:
            within = of[WITHIN_GROUP[kind]]
        if kind == OF_SERIAL:  # whose slots are kept, for look-ups
            c.serials, c.serial_slots = parts[SERIAL_PART], slots_for(n)
            counts.append(number(within, c.serials, of[kind], c.serial_slots))
            continue
        counts.append(number(within, parts[PART[kind]], of[kind], slots))
        if kind < MATES_BELOW:
            number(of[kind], parts[PARTS_BELOW], of[ALL_GROUPS + kind], slots)
    number(c.epc, parts[PARTS_BELOW + 1], of[OWN_AT_LEVEL], slots)
    return counts
