"""Features of an item among its companions: the mates of its lot that travel in the same shipments. Compiled.

What a lot's mates do is the strongest hint of all: an item that left with its mates and arrived alone, elsewhere,
earlier or later than they did is suspicious however plausible its own journey looks. Companions are those of the same
request, and with a past (`past.Past`) those of all time; causal judgements see only what they did before.
Events that were judged before keep the features that they had then.
"""

from __future__ import annotations

import cython
import numpy as np
from cython.cimports.libc.math import asinh, fabs, log1p

from service.events.groups import Groups
from service.features.mate_groups import GROUPS, HERE

if cython.compiled:
    from cython.cimports.service.features.row import Row

NO_SERIAL = cython.declare(cython.double, 20.0)
FAR = cython.declare(cython.double, np.inf)
NEIGHBOURS = cython.declare(cython.int, 8)  # scans whose serials are looked at: so many before, or half here and there
LEAST = cython.declare(cython.int, 4)  # the how many-th least difference of serials counts

_KIND_OF = {group.name: kind for kind, group in enumerate(GROUPS)}
OF_HERE = cython.declare(cython.int, HERE)
OF_TYPE = cython.declare(cython.int, _KIND_OF["type"])
OF_LEFT = cython.declare(cython.int, _KIND_OF["left"])
OF_LEG = cython.declare(cython.int, _KIND_OF["leg"])
OF_SHIPMENT = cython.declare(cython.int, _KIND_OF["shipment"])
OF_SHIPMENT_HERE = cython.declare(cython.int, _KIND_OF["shipment_here"])


@cython.cclass
class MatesPass:
    """N events in the order of their journeys, [N] unless another shape is given, and the rows that they get."""

    rows: Row[::1]
    causal: cython.bint
    after_past: cython.bint
    epc: cython.int[::1]
    serial: cython.longlong[::1]  # [U]
    time_us: cython.longlong[::1]
    base_us: cython.longlong[::1]  # [U] the first scan of the request: sums of what is counted from it are short
    members: cython.Py_ssize_t[::1]  # [n] the fresh events in the order of time
    fresh: cython.uchar[::1]  # whether an event is one of them
    group: cython.int[:, ::1]  # [GROUPS, N] of mates
    own: cython.int[:, ::1]  # [GROUPS, N] the item's own events of that group
    value: cython.double[::1]  # what the mean is taken of
    count: cython.double[:, ::1]  # [GROUPS, N] scans of mates in the group
    less_mean: cython.double[:, ::1]  # [GROUPS, N] the own value less the mean of the mates' ones
    prior_count: cython.double[:, ::1]  # [GROUPS, N] earlier scans of the group that the past knows
    prior_total: cython.double[:, ::1]  # [GROUPS, N] and their sum of what the mean is taken of
    prior_minute: cython.double[::1]  # when the past knows the last scan here of another item, NaN if it does not
    prior_serial: cython.double[:, ::1]  # [NEIGHBOURS, N] of the scans here before the request, NaN if it is no mate's
    tally: cython.double[:, ::1]  # [4, n] scratch: count and sum by group, count and sum of the own ones
    least: cython.double[::1]  # [LEAST] scratch

    def __init__(self, rows, trail, groups, prior) -> None:  # noqa: ANN001
        """Args: ``rows`` [N] to write, the ``trail``, its `mates.mate_groups`, and what a past knows of them, or None."""
        events, n = trail.events, len(trail.events)
        self.rows, self.causal, self.after_past = rows, trail.causal, prior is not None
        self.epc, self.serial, self.time_us = events.epc, trail.parts.serial, events.time_us
        first = np.full(int(trail.scope.max(initial=0)) + 1, np.iinfo(np.int64).max)
        np.minimum.at(first, trail.scope[events.epc], events.time_us)
        self.base_us = first[trail.scope]
        self.members = trail.members
        self.fresh = (np.ones(n, dtype=np.bool_) if trail.fresh is None else trail.fresh).view("u1")
        self.group = np.stack([group.number for group in groups])
        self.own = np.stack([Groups(group.number, events.epc.astype(np.int64)).number for group in groups])
        kinds = len(groups)
        self.value, self.least = np.zeros(n), np.empty(4)
        self.count, self.less_mean = np.zeros((kinds, n)), np.zeros((kinds, n))
        self.tally = np.zeros((4, n + 1))
        if prior is not None:
            self.prior_count, self.prior_total = prior.count, prior.total
            self.prior_minute, self.prior_serial = prior.minute, prior.serial

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def mates(self, kind: cython.int, has_mean: cython.bint, zero_us: cython.bint) -> cython.void:
        """Count the mates' scans of each event's group of a kind, and compare with their mean.

        Causal ones are the earlier scans. The past counts all that was judged before, whatever its time: so what the
        item itself has among that is taken off.
        """
        i: cython.Py_ssize_t
        k: cython.Py_ssize_t
        self.tally[:, :] = 0
        if not self.causal:
            for k in range(self.members.shape[0]):
                self._add(kind, self.members[k], grouped=True)
        elif self.after_past:
            for i in range(self.epc.shape[0]):
                if not self.fresh[i]:
                    self._add(kind, i, grouped=False)
        for k in range(self.members.shape[0]):
            i = self.members[k]
            self._compare(kind, i, has_mean, zero_us)
            if self.causal:
                self._add(kind, i, grouped=True)

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def _add(self, kind: cython.int, i: cython.Py_ssize_t, grouped: cython.bint) -> cython.void:
        group: cython.int = self.group[kind, i]
        own: cython.int = self.own[kind, i]
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
        own: cython.int = self.own[kind, i]
        count: cython.double = self.tally[0, group] - self.tally[2, own]
        total: cython.double = self.tally[1, group] - self.tally[3, own]
        if self.after_past:
            count += self.prior_count[kind, i]
            total += self.prior_total[kind, i]
            if zero_us:
                total -= self.prior_count[kind, i] * (self.base_us[self.epc[i]] / 3_600e6)
        self.count[kind, i] = count
        if has_mean and count > 0:
            self.less_mean[kind, i] = self.value[i] - total / count

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def hours(self) -> cython.void:
        """Take the mean of the hours since the request began."""
        i: cython.Py_ssize_t
        for i in range(self.epc.shape[0]):
            self.value[i] = (self.time_us[i] - self.base_us[self.epc[i]]) / 3_600e6

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def log_gaps(self, since_us: cython.longlong[::1]) -> cython.void:
        """Take the mean of the log gaps ``since_us`` [N], when each leg began."""
        i: cython.Py_ssize_t
        for i in range(self.epc.shape[0]):
            self.value[i] = log1p((self.time_us[i] - since_us[i]) / 60e6)

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def write(self) -> cython.void:
        """Write what was counted."""
        i: cython.Py_ssize_t
        k: cython.Py_ssize_t
        for k in range(self.members.shape[0]):
            i = self.members[k]
            self.rows[i].scan_mates = log1p(self.count[OF_HERE, i])
            self.rows[i].scan_share = share(self.count[OF_HERE, i], self.count[OF_TYPE, i])
            self.rows[i].scan_mate_offset = asinh(self.less_mean[OF_HERE, i])
            self.rows[i].leg_mates = log1p(self.count[OF_LEG, i])
            self.rows[i].leg_share = share(self.count[OF_LEG, i], self.count[OF_LEFT, i])
            self.rows[i].leg_gap_ratio = self.less_mean[OF_LEG, i]
            self.rows[i].shipment_mates = log1p(self.count[OF_SHIPMENT, i])
            self.rows[i].shipment_share = share(self.count[OF_SHIPMENT_HERE, i], self.count[OF_SHIPMENT, i])
            self.rows[i].shipment_gap_ratio = self.less_mean[OF_SHIPMENT_HERE, i]

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def crowd(self, order: cython.Py_ssize_t[::1], begin: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.void:
        """Write how near in time and in serials the mates are who were scanned here: ``order`` is that of time."""
        k: cython.Py_ssize_t
        i: cython.Py_ssize_t
        stranger: cython.Py_ssize_t = -1  # the nearest earlier scan of another item
        for k in range(begin, end):
            i = order[k]
            if k > begin and self.epc[order[k - 1]] != self.epc[i]:
                stranger = order[k - 1]
            gap: cython.double = FAR
            if stranger >= 0:
                gap = (self.time_us[i] - self.time_us[stranger]) / 60e6
            elif self.after_past and self.prior_minute[i] == self.prior_minute[i]:  # not NaN
                gap = fabs(self.time_us[i] / 60e6 - self.prior_minute[i])
            self.value[i] = gap
            self._serials(order, k, begin, end)
        stranger = -1
        for k in range(end - 1, begin - 1, -1):
            i = order[k]
            if k < end - 1 and self.epc[order[k + 1]] != self.epc[i]:
                stranger = order[k + 1]
            if stranger >= 0 and not self.causal:
                self.value[i] = min(self.value[i], (self.time_us[stranger] - self.time_us[i]) / 60e6)
            self.rows[i].scan_mate_gap = log1p(self.value[i]) if self.value[i] < FAR else 0.0

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def _serials(
        self, order: cython.Py_ssize_t[::1], k: cython.Py_ssize_t, begin: cython.Py_ssize_t, end: cython.Py_ssize_t
    ) -> cython.void:
        """How far the serial is off those of the mates scanned here.

        The 4th smallest of eight differences: up to three accomplices with neighbouring serials do not hide a forged
        item, and up to four forged ones among the eight do not make a genuine item look so.
        """
        i: cython.Py_ssize_t = order[k]
        other: cython.Py_ssize_t
        steps: cython.Py_ssize_t
        found: cython.int = 0
        serial: cython.longlong = self.serial[self.epc[i]]
        back: cython.Py_ssize_t = NEIGHBOURS if self.causal else NEIGHBOURS // 2
        for steps in range(-back, NEIGHBOURS - back + 1):
            if steps == 0:
                continue
            if begin <= k + steps < end:
                other = order[k + steps]
                if self.epc[other] != self.epc[i]:
                    found = self._keep(found, fabs(self.serial[self.epc[other]] - serial))
            elif self.after_past and self.prior_serial[steps + back, i] == self.prior_serial[steps + back, i]:
                found = self._keep(found, fabs(self.prior_serial[steps + back, i] - serial))
        self.rows[i].mate_serial_gap = log1p(self.least[found - 1]) if found > 0 else NO_SERIAL

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


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(check=False)
def share(part: cython.double, whole: cython.double) -> cython.double:
    """Return (part + 0.5) / (whole + 1): 0.5 where nothing is known."""
    return (part + 0.5) / (whole + 1.0)


def mate_rows(rows, trail, groups, prior) -> None:  # noqa: ANN001
    """Write what the mates did, here and on the way here, for the fresh events of a trail; see `MatesPass`."""
    work: MatesPass = MatesPass(rows, trail, groups, prior)
    order: cython.Py_ssize_t[::1]
    start: cython.int[::1]
    order, start = groups[HERE].members(trail.members)
    since_us: cython.longlong[::1] = trail.legs.time_us
    g: cython.Py_ssize_t
    with cython.nogil:
        work.hours()
        work.mates(OF_HERE, True, True)
        work.mates(OF_TYPE, False, False)
        work.mates(OF_LEFT, False, False)
        work.mates(OF_SHIPMENT, False, False)
        work.log_gaps(since_us)
        work.mates(OF_LEG, True, False)
        work.mates(OF_SHIPMENT_HERE, True, False)
        work.write()
        for g in range(start.shape[0] - 1):
            work.crowd(order, start[g], start[g + 1])
