"""Features of a scan among all traffic, whatever the lots: the pace of its road, the day there, its gates. Compiled.

Mates tell how a shipment fares; traffic tells how everybody does. An item that overtakes all others of its road that
day is suspicious though the road allows its pace on other days, and a scan out of order is none beside a gate that
misses many. Others are those of the request, and with a past (`past.Past`) those that the gateway knows of; causal
judgements see only what they did before, or in the same second.
"""

from __future__ import annotations

import cython
import numpy as np

from service.events import vocabulary
from service.features.mates import GROUPS

if cython.compiled:
    from cython.cimports.service.features.columns import Columns, log_count, share
    from cython.cimports.service.features.row import Row
else:
    from service.features.columns import log_count, share

_KIND_OF = {group.name: kind for kind, group in enumerate(GROUPS)}
ROAD = cython.declare(cython.int, _KIND_OF["road"])
ROAD_DAY = cython.declare(cython.int, _KIND_OF["road_day"])
ROAD_HOURS = cython.declare(cython.int, _KIND_OF["road_hours"])
AREA_DAY = cython.declare(cython.int, _KIND_OF["area_day"])
GATE_DAY = cython.declare(cython.int, _KIND_OF["gate_day"])
GATE_HOURS = cython.declare(cython.int, _KIND_OF["gate_hours"])
ORIGIN_DAY = cython.declare(cython.int, _KIND_OF["origin_day"])
PRODUCT_LEFT = cython.declare(cython.int, _KIND_OF["product_left"])
PRODUCT_LEG = cython.declare(cython.int, _KIND_OF["product_leg"])
TYPES = cython.declare(cython.int, vocabulary.TYPES)


@cython.cclass
class TrafficPass:
    """The features of scans among those of all others."""

    c: Columns
    rows: cython.pointer(Row)
    after_past: cython.bint
    members: cython.Py_ssize_t[::1]
    group: cython.int[:, ::1]
    value: cython.double[::1]  # [N] what the mean is taken of
    tally: cython.double[:, ::1]  # [2, N] scratch: count and sum by group
    count: cython.double[::1]  # [N] others of the group
    total: cython.double[::1]  # [N] their sum
    of_product: cython.double[::1]  # [N] others of the product that left from the same scan
    prior_count: cython.double[:, ::1]  # [GROUPS, N] earlier scans of the group that the past knows
    prior_total: cython.double[:, ::1]  # [GROUPS, N] and their sum of what the mean is taken of

    def __init__(self, c: Columns, prior) -> None:
        """Args: ``prior`` is what a past knows of the groups, or None."""
        self.c, self.rows, self.members, self.group = c, c.rows, c.members, c.group
        self.after_past = prior is not None
        numbers: cython.double[:, ::1] = np.zeros((6, len(c.epc)))
        self.value, self.count, self.total, self.of_product = numbers[0], numbers[1], numbers[2], numbers[3]
        self.tally = numbers[4:]
        if prior is not None:
            self.prior_count, self.prior_total = prior.count, prior.total

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def all(self) -> cython.void:
        """Write the rows of all members."""
        self.roads()
        self.area()
        self.gates()
        self.products()

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def others(self, kind: cython.int) -> cython.void:
        """Find how many others are in each event's group of a kind, and the sum of their values.

        What the item itself did there before is counted too: hardly any comes by twice.
        """
        i: cython.Py_ssize_t
        k: cython.Py_ssize_t
        known: cython.Py_ssize_t = 0  # members that were added
        self.tally[:, :] = 0
        for k in range(self.members.shape[0]):
            i = self.members[k]
            while known < self.members.shape[0] and self.c.time_us[self.members[known]] < self.c.known_us[i]:
                self._add(kind, self.members[known])
                known += 1
            self._take(kind, i)

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def _add(self, kind: cython.int, i: cython.Py_ssize_t) -> cython.void:
        self.tally[0, self.group[kind, i]] += 1
        self.tally[1, self.group[kind, i]] += self.value[i]

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def _take(self, kind: cython.int, i: cython.Py_ssize_t) -> cython.void:
        self.count[i] = self.tally[0, self.group[kind, i]] - 1
        self.total[i] = self.tally[1, self.group[kind, i]] - self.value[i]
        if self.after_past:
            self.count[i] += self.prior_count[kind, i]
            self.total[i] += self.prior_total[kind, i]

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def _less_mean(self, i: cython.Py_ssize_t) -> cython.double:
        """Return the own value less the mean of the others', 0 without others."""
        return self.value[i] - self.total[i] / self.count[i] if self.count[i] > 0 else 0.0

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def roads(self) -> cython.void:
        """Write the pace of the leg against all others on its road."""
        i: cython.Py_ssize_t
        k: cython.Py_ssize_t
        self.value[:] = self.c.log_gap
        self.others(ROAD)
        for k in range(self.members.shape[0]):
            i = self.members[k]
            self.rows[i].road_scans = log_count(self.count[i])
            self.rows[i].road_gap_ratio = self._less_mean(i)
        self.others(ROAD_DAY)
        for k in range(self.members.shape[0]):
            i = self.members[k]
            self.rows[i].road_day_scans = log_count(self.count[i])
            self.rows[i].road_day_gap_ratio = self._less_mean(i)
        self.others(ROAD_HOURS)
        for k in range(self.members.shape[0]):
            i = self.members[k]
            self.rows[i].road_hours_scans = log_count(self.count[i])
            self.rows[i].road_hours_gap_ratio = self._less_mean(i)

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def area(self) -> cython.void:
        """Write how slow the day is on all roads into the area."""
        i: cython.Py_ssize_t
        k: cython.Py_ssize_t
        for i in range(self.value.shape[0]):
            self.value[i] = self.rows[i].lane_gap_ratio
        self.others(AREA_DAY)
        for k in range(self.members.shape[0]):
            i = self.members[k]
            self.rows[i].area_day_scans = log_count(self.count[i])
            self.rows[i].area_day_pace = self.total[i] / self.count[i] if self.count[i] > 0 else 0.0
            self.rows[i].area_day_gap_ratio = self._less_mean(i)

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def gates(self) -> cython.void:
        """Write how many others came without the scan before."""
        i: cython.Py_ssize_t
        k: cython.Py_ssize_t
        for i in range(self.value.shape[0]):
            self.value[i] = skipped(self.c.kind[i], self.c.leg_kind[i])
        self.others(GATE_DAY)
        for k in range(self.members.shape[0]):
            i = self.members[k]
            self.rows[i].gate_day_skips = share(self.total[i], self.count[i])
        self.others(GATE_HOURS)
        for k in range(self.members.shape[0]):
            i = self.members[k]
            self.rows[i].gate_hours_skips = share(self.total[i], self.count[i])
        self.others(ORIGIN_DAY)
        for k in range(self.members.shape[0]):
            i = self.members[k]
            self.rows[i].origin_day_skips = share(self.total[i], self.count[i])

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def products(self) -> cython.void:
        """Write how much of the product's traffic goes this way."""
        i: cython.Py_ssize_t
        k: cython.Py_ssize_t
        self.others(PRODUCT_LEFT)
        self.of_product[:] = self.count
        self.others(PRODUCT_LEG)
        for k in range(self.members.shape[0]):
            i = self.members[k]
            self.rows[i].product_leg_share = share(self.count[i], self.of_product[i])


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(check=False)
def skipped(kind: cython.longlong, kind_from: cython.longlong) -> cython.bint:
    """Return whether a type comes later in the normal journey than next to the previous one, -1 before the first."""
    return kind != TYPES - 1 and kind_from != TYPES - 1 and kind - kind_from > 1


def traffic_rows(c: Columns, prior) -> None:
    """Write what all others did, for the members; ``prior`` as in `TrafficPass`."""
    work: TrafficPass = TrafficPass(c, prior)
    if c.is_small:
        work.all()
    else:
        with cython.nogil:
            work.all()
