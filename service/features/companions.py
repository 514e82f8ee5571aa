"""Features of an item among its companions: the mates of its lot that travel in the same shipments. Compiled.

What a lot's mates do is the strongest hint of all: an item that left with its mates and arrived alone, elsewhere,
earlier or later than they did is suspicious however plausible its own journey looks. Companions are those of the same
request, and with a past (`past.Past`) those of all time; causal judgements see only what they did before.
Events that were judged before keep the features that they had then. What happens in the same second is one moment: a
shipment that one gate reads knows of itself, whatever the ids of its scans.
"""

from __future__ import annotations

import cython
import numpy as np
from cython.cimports.libc.math import asinh, fabs, log1p

from service.features import declared, mates
from service.features.mates import GROUPS, HERE, MATES_GROUPS

if cython.compiled:
    from cython.cimports.service.events.groups import count_sort
    from cython.cimports.service.features.columns import Columns, log_count, same_instant, share
    from cython.cimports.service.features.row import Row
else:
    from service.events.groups import count_sort
    from service.features.columns import log_count, same_instant, share

NO_SERIAL = cython.declare(cython.double, declared.NO_SERIAL)
FAR = cython.declare(cython.double, np.inf)
NEIGHBOURS = cython.declare(cython.int, declared.NEIGHBOURS)  # so many before, or half here and there
LEAST = cython.declare(cython.int, 4)  # the how many-th least difference of serials counts

_KIND_OF = {group.name: kind for kind, group in enumerate(GROUPS)}
KINDS = cython.declare(cython.int, MATES_GROUPS)
OWN = cython.declare(cython.int, len(GROUPS))  # from here on the item's own scans of each
LOT = cython.declare(cython.int, mates.LOT)
OF_HERE = cython.declare(cython.int, HERE)
OF_TYPE = cython.declare(cython.int, _KIND_OF["type"])
OF_LEFT = cython.declare(cython.int, _KIND_OF["left"])
OF_LEG = cython.declare(cython.int, _KIND_OF["leg"])
OF_SHIPMENT = cython.declare(cython.int, _KIND_OF["shipment"])
OF_SHIPMENT_HERE = cython.declare(cython.int, _KIND_OF["shipment_here"])
OF_GATE = cython.declare(cython.int, _KIND_OF["gate_hours_mates"])


@cython.cclass
class MatesPass:
    """The features of scans among those of mates."""

    c: Columns
    rows: cython.pointer(Row)
    causal: cython.bint
    after_past: cython.bint
    has_judged: cython.bint  # some events are not fresh
    epc: cython.int[::1]
    time_us: cython.longlong[::1]
    members: cython.Py_ssize_t[::1]
    order: cython.Py_ssize_t[::1]  # the members by their groups here, in each by time
    fresh: cython.uchar[::1]  # [N] whether an event is one of them, if some are not
    group: cython.int[:, ::1]
    base_us: cython.longlong[::1]  # [U] by lot, the first scan of the lot: sums of what is counted from it are short
    value: cython.double[::1]  # [N] what the mean is taken of
    count: cython.double[:, ::1]  # [GROUPS, N] scans of mates in the group
    less_mean: cython.double[:, ::1]  # [GROUPS, N] the own value less the mean of the mates' ones
    prior_count: cython.double[:, ::1]  # [GROUPS, N] earlier scans of the group that the past knows
    prior_total: cython.double[:, ::1]  # [GROUPS, N] and their sum of what the mean is taken of
    prior_minute: cython.double[::1]  # [N] when the past knows the last scan here of another item, else NaN
    gate_before: cython.double[::1]  # [N] mates at the gate, of the events that were judged before
    prior_serial: cython.longlong[:, ::1]  # [NEIGHBOURS, N] of the scans here before the request, below 0 if no mate's
    tally: cython.double[:, ::1]  # [4, N] scratch: count and sum by group, count and sum of the own ones
    least: cython.double[::1]  # [LEAST] scratch

    def __init__(self, c: Columns, fresh, prior, gate_before) -> None:
        """Args: ``fresh`` [N] or None for all; ``prior`` and ``gate_before`` are what a past knows, or None."""
        n = len(c.epc)
        self.c, self.rows, self.causal, self.after_past = c, c.rows, c.causal, prior is not None
        self.epc, self.time_us, self.members, self.group = c.epc, c.time_us, c.members, c.group
        self.order = np.empty(len(c.members), dtype=np.intp)
        self.base_us = np.empty(len(c.serial), dtype=np.int64)
        numbers: cython.double[:, ::1] = np.zeros((6 + 2 * KINDS, max(n, LEAST)))
        self.value, self.least, self.tally = numbers[0, :n], numbers[1], numbers[2:6]
        self.count, self.less_mean = numbers[6 : 6 + KINDS], numbers[6 + KINDS :]
        self.has_judged = fresh is not None
        if fresh is not None:
            self.fresh, self.gate_before = fresh.view(np.uint8), gate_before
        if prior is not None:
            self.prior_count, self.prior_total = prior.count, prior.total
            self.prior_minute, self.prior_serial = prior.minute, prior.serial

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def all(self, start: cython.int[::1]) -> cython.void:
        """Write the rows of all members; the groups here begin at ``start`` in their order."""
        g: cython.Py_ssize_t
        self.hours()
        self.mates(OF_HERE, True, True)
        self.mates(OF_TYPE, False, False)
        self.mates(OF_LEFT, False, False)
        self.mates(OF_SHIPMENT, False, False)
        self.mates(OF_GATE, False, False)
        self.value[:] = self.c.log_gap
        self.mates(OF_LEG, True, False)
        self.mates(OF_SHIPMENT_HERE, True, False)
        self.write()
        for g in range(start.shape[0] - 1):
            self.crowd(start[g], start[g + 1])
            self.instants(start[g], start[g + 1])

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def mates(self, kind: cython.int, has_mean: cython.bint, zero_us: cython.bint) -> cython.void:
        """Count the mates' scans of each event's group of a kind, and compare with their mean.

        Causal ones are the earlier scans and those of the same second. The past counts all that was judged before,
        whatever its time: so what the item itself has among that is taken off.
        """
        i: cython.Py_ssize_t
        k: cython.Py_ssize_t
        known: cython.Py_ssize_t = 0  # members that were added
        self.tally[:, :] = 0
        if self.after_past and self.has_judged:
            for i in range(self.epc.shape[0]):
                if not self.fresh[i]:
                    self._add(kind, i, grouped=False)
        for k in range(self.members.shape[0]):
            i = self.members[k]
            while known < self.members.shape[0] and self.time_us[self.members[known]] < self.c.known_us[i]:
                self._add(kind, self.members[known], grouped=True)
                known += 1
            self._compare(kind, i, has_mean, zero_us)

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def _add(self, kind: cython.int, i: cython.Py_ssize_t, grouped: cython.bint) -> cython.void:
        group: cython.int = self.group[kind, i]
        own: cython.int = self.group[OWN + kind, i]
        if grouped:
            self.tally[0, group] += 1
            self.tally[1, group] += self.value[i]
        self.tally[2, own] += 1
        self.tally[3, own] += self.value[i]

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def _compare(
        self, kind: cython.int, i: cython.Py_ssize_t, has_mean: cython.bint, zero_us: cython.bint
    ) -> cython.void:
        group: cython.int = self.group[kind, i]
        own: cython.int = self.group[OWN + kind, i]
        count: cython.double = self.tally[0, group] - self.tally[2, own]
        total: cython.double = self.tally[1, group] - self.tally[3, own]
        if self.after_past:
            count += self.prior_count[kind, i]
            total += self.prior_total[kind, i]
            if zero_us:
                total -= self.prior_count[kind, i] * (self.base_us[self.lot(i)] / 3_600e6)
        self.count[kind, i] = count
        if has_mean and count > 0:
            self.less_mean[kind, i] = self.value[i] - total / count

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def hours(self) -> cython.void:
        """Take the mean of the hours since the first scan of the lot."""
        i: cython.Py_ssize_t
        for i in range(self.epc.shape[0]):
            self.base_us[self.lot(i)] = self.time_us[i]
        for i in range(self.epc.shape[0]):
            self.base_us[self.lot(i)] = min(self.base_us[self.lot(i)], self.time_us[i])
        for i in range(self.epc.shape[0]):
            self.value[i] = (self.time_us[i] - self.base_us[self.lot(i)]) / 3_600e6

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def lot(self, i: cython.Py_ssize_t) -> cython.int:
        """Return the number of an event's lot."""
        return self.c.item_group[LOT, self.epc[i]]

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def write(self) -> cython.void:
        """Write what was counted."""
        i: cython.Py_ssize_t
        k: cython.Py_ssize_t
        for k in range(self.members.shape[0]):
            i = self.members[k]
            self.rows[i].scan_mates = log_count(self.count[OF_HERE, i])
            self.rows[i].scan_share = share(self.count[OF_HERE, i], self.count[OF_TYPE, i])
            self.rows[i].scan_mate_offset = asinh(self.less_mean[OF_HERE, i])
            self.rows[i].leg_mates = log_count(self.count[OF_LEG, i])
            self.rows[i].leg_share = share(self.count[OF_LEG, i], self.count[OF_LEFT, i])
            self.rows[i].leg_gap_ratio = self.less_mean[OF_LEG, i]
            self.rows[i].shipment_mates = log_count(self.count[OF_SHIPMENT, i])
            self.rows[i].shipment_share = share(self.count[OF_SHIPMENT_HERE, i], self.count[OF_SHIPMENT, i])
            self.rows[i].shipment_gap_ratio = self.less_mean[OF_SHIPMENT_HERE, i]
            self.rows[i].gate_mates = log_count(self.count[OF_GATE, i])
            self.rows[i].mates_left_behind = log_count(max(self._came_along(i) - self.count[OF_SHIPMENT, i], 0.0))

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def _came_along(self, i: cython.Py_ssize_t) -> cython.double:
        """Return how many mates were at the gate of the previous scan, in its two hours; 0 without one."""
        if self.c.position[i] == 0:
            return 0.0
        if self.has_judged and not self.fresh[i - 1]:
            return self.gate_before[i - 1]
        return self.count[OF_GATE, i - 1]

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def crowd(self, begin: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.void:
        """Write how near in time and in serials the mates are who were scanned here."""
        k: cython.Py_ssize_t
        i: cython.Py_ssize_t
        stranger: cython.Py_ssize_t = -1  # the nearest earlier scan of another item
        for k in range(begin, end):
            i = self.order[k]
            if k > begin and self.epc[self.order[k - 1]] != self.epc[i]:
                stranger = self.order[k - 1]
            gap: cython.double = FAR
            if stranger >= 0:
                gap = (self.time_us[i] - self.time_us[stranger]) / 60e6
            elif self.after_past and self.prior_minute[i] == self.prior_minute[i]:  # not NaN
                gap = fabs(self.time_us[i] / 60e6 - self.prior_minute[i])
            self.value[i] = gap
            self._serials(k, begin, end)
        stranger = -1
        for k in range(end - 1, begin - 1, -1):
            i = self.order[k]
            if k < end - 1 and self.epc[self.order[k + 1]] != self.epc[i]:
                stranger = self.order[k + 1]
            if stranger >= 0 and self.time_us[stranger] < self.c.known_us[i]:
                self.value[i] = min(self.value[i], (self.time_us[stranger] - self.time_us[i]) / 60e6)
            self.rows[i].scan_mate_gap = log1p(self.value[i]) if self.value[i] < FAR else 0.0

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def instants(self, begin: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.void:
        """Write how many scans of the lot were here in the same second."""
        k: cython.Py_ssize_t
        over: cython.Py_ssize_t = begin  # where the second of the scan is over
        mates: cython.double = 0
        for k in range(begin, end):
            if k == over:
                while over < end and same_instant(self.time_us[self.order[over]], self.time_us[self.order[k]]):
                    over += 1
                mates = log_count(over - k - 1)
            self.rows[self.order[k]].instant_mates = mates

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def _serials(self, k: cython.Py_ssize_t, begin: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.void:
        """How far the serial is off those of the mates scanned here.

        The 4th smallest of eight differences: up to three accomplices with neighbouring serials do not hide a forged
        item, and up to four forged ones among the eight do not make a genuine item look so.
        """
        i: cython.Py_ssize_t = self.order[k]
        other: cython.Py_ssize_t
        steps: cython.Py_ssize_t
        found: cython.int = 0
        serial: cython.longlong = self.c.serial[self.epc[i]]
        ahead: cython.Py_ssize_t = NEIGHBOURS // 2
        while self.causal and ahead > 0 and not self._is_known(k + ahead, k, end):
            ahead -= 1
        for steps in range(ahead - NEIGHBOURS, ahead + 1):
            if steps == 0 or serial < 0:
                continue
            if begin <= k + steps < end:
                other = self.order[k + steps]
                if self.epc[other] != self.epc[i] and self.c.serial[self.epc[other]] >= 0:
                    found = self._keep(found, fabs(self.c.serial[self.epc[other]] - serial))
            elif self.after_past and steps < 0:
                before: cython.longlong = self.prior_serial[steps + NEIGHBOURS, i]
                if before >= 0:
                    found = self._keep(found, fabs(before - serial))
        step: cython.double = self.c.tables.serial_step
        self.rows[i].mate_serial_gap = log1p(self.least[found - 1] / step) if found > 0 else NO_SERIAL

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def _is_known(self, at: cython.Py_ssize_t, k: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.bint:
        """Whether there is a scan here at ``at`` that the ``k``-th one knows."""
        return at < end and self.time_us[self.order[at]] < self.c.known_us[self.order[k]]

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def _keep(self, found: cython.int, difference: cython.double) -> cython.int:
        """Put a difference among the least ones, of which so many are ``found``, and return how many are now."""
        at: cython.int = found
        if found == LEAST:
            if difference >= self.least[LEAST - 1]:
                return found
            at = LEAST - 1
        while at > 0 and self.least[at - 1] > difference:
            self.least[at] = self.least[at - 1]
            at -= 1
        self.least[at] = difference
        return min(found + 1, LEAST)


def mate_rows(c: Columns, fresh, prior, gate_before, groups_here: cython.Py_ssize_t) -> None:
    """Write what the mates did, here and on the way here, for the members.

    Args: ``fresh``, ``prior`` and ``gate_before`` as in `MatesPass`; ``groups_here`` is how many groups of one type at
    one place there are.
    """
    work: MatesPass = MatesPass(c, fresh, prior, gate_before)
    start: cython.int[::1] = np.zeros(groups_here + 1, dtype=np.int32)
    count_sort(c.group[OF_HERE], c.members, start, work.order)
    if c.is_small:
        work.all(start)
    else:
        with cython.nogil:
            work.all(start)
