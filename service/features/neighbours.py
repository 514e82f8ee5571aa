"""Features of a scan beside those of the neighbouring serial numbers of its shipment. Compiled; see `service.features`.

What was packed together has serials in a row and goes on together. A shipment that splits is cut into runs of serials,
so the neighbours of a run on both sides go at times of their own; who stays behind from the middle of a run, or
overtakes it, has neighbours on both sides that went together, without it.
"""

from __future__ import annotations

import cython
import numpy as np
from cython.cimports.libc.math import fabs

from service.features import mates
from service.features.mates import GROUPS, SERIAL, neighbour_step

if cython.compiled:
    from cython.cimports.service.events.groups import slot
    from cython.cimports.service.features.columns import Columns, log_count
    from cython.cimports.service.features.row import Row
else:
    from service.events.groups import slot
    from service.features.columns import log_count

TOGETHER = cython.declare(cython.double, mates.TOGETHER)
REACH = cython.declare(cython.int, mates.REACH)
OF_SERIAL = cython.declare(cython.int, SERIAL)
OF_SHIPMENT = cython.declare(cython.int, next(at for at, one in enumerate(GROUPS) if one.name == GROUPS[SERIAL].within))
MOST = cython.declare(cython.longlong, 1 << 62)  # a serial this large has no neighbours: they may be no such numbers
FAR = cython.declare(cython.double, np.inf)


@cython.cclass
class NeighboursPass:
    """The features of scans beside those of the neighbouring serials."""

    c: Columns
    rows: cython.pointer(Row)
    after_past: cython.bint
    step: cython.longlong
    shipment: cython.int[::1]  # [N] number of the shipment, as in the next three
    serial: cython.longlong[::1]
    group: cython.int[::1]  # of shipment and serial
    slots: cython.int[::1]
    tally: cython.double[:, ::1]  # [2, N] count of scans and sum of log gaps, by number of shipment and serial
    prior: cython.double[:, :, ::1]  # [2, 2 REACH, N] the same of each neighbour that the past knows, the nearest first

    def __init__(self, c: Columns, prior) -> None:
        """Args: ``prior`` is what a past knows, or None."""
        self.c, self.rows, self.after_past = c, c.rows, prior is not None
        self.step = neighbour_step(c.tables.serial_step)
        self.shipment, self.serial = c.group[OF_SHIPMENT], c.serials
        self.group, self.slots = c.group[OF_SERIAL], c.serial_slots
        self.tally = np.zeros((2, len(c.epc)))
        if prior is not None:
            self.prior = prior.neighbours

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def all(self) -> cython.void:
        """Write the rows of all members; each knows what happened before, or in the same second."""
        k: cython.Py_ssize_t
        i: cython.Py_ssize_t
        known: cython.Py_ssize_t = 0  # members that were added
        for k in range(self.c.members.shape[0]):
            i = self.c.members[k]
            while known < self.c.members.shape[0] and self.c.time_us[self.c.members[known]] < self.c.known_us[i]:
                self._add(self.c.members[known])
                known += 1
            self._write(i)

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def _add(self, i: cython.Py_ssize_t) -> cython.void:
        self.tally[0, self.group[i]] += 1
        self.tally[1, self.group[i]] += self.c.log_gap[i]

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def _write(self, i: cython.Py_ssize_t) -> cython.void:
        beside: cython.double = 0
        below: cython.double = FAR
        above: cython.double = FAR
        steps: cython.int
        ratio: cython.double
        if self.c.leg_kind[i] >= 0 and 0 <= self.serial[i] < MOST:
            for steps in range(1, REACH + 1):
                ratio = self._gap_ratio(i, -steps) if below == FAR else FAR
                beside += fabs(ratio) <= TOGETHER
                if TOGETHER < fabs(ratio) < FAR:
                    below = ratio
                ratio = self._gap_ratio(i, steps) if above == FAR else FAR
                beside += fabs(ratio) <= TOGETHER
                if TOGETHER < fabs(ratio) < FAR:
                    above = ratio
        self.rows[i].neighbours_beside = log_count(beside)
        self.rows[i].neighbour_below_gap_ratio = below if below < FAR else 0.0
        self.rows[i].neighbour_above_gap_ratio = above if above < FAR else 0.0
        self.rows[i].neighbours_gap_difference = fabs(below - above) if below < FAR and above < FAR else -1.0

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def _gap_ratio(self, i: cython.Py_ssize_t, steps: cython.int) -> cython.double:
        """Return the log gap less the mean one of the neighbour so many serials above; infinite if nothing is known."""
        count: cython.double = 0
        total: cython.double = 0
        serial: cython.longlong = self.serial[i] + steps * self.step
        of: cython.int = self._number(self.shipment[i], serial)
        if of >= 0:
            count, total = self.tally[0, of], self.tally[1, of]
        if self.after_past:
            at: cython.int = 2 * (abs(steps) - 1) + (steps > 0)
            count += self.prior[0, at, i]
            total += self.prior[1, at, i]
        return self.c.log_gap[i] - total / count if count > 0 else FAR

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def _number(self, shipment: cython.int, serial: cython.longlong) -> cython.int:
        """Return the number that `groups.number` gave a shipment and a serial, -1 for none.

        Here, as a call with its columns would take longer than the look-up: each is copied as 200 bytes.
        """
        mask: cython.longlong = self.slots.shape[0] - 1
        at: cython.longlong = slot(shipment, serial) & mask
        while self.slots[at] >= 0:
            if self.shipment[self.slots[at]] == shipment and self.serial[self.slots[at]] == serial:
                return self.group[self.slots[at]]
            at = (at + 1) & mask
        return -1


def neighbour_rows(c: Columns, prior) -> None:
    """Write how the neighbouring serials went, for the members; ``prior`` as in `NeighboursPass`."""
    work: NeighboursPass = NeighboursPass(c, prior)
    if c.is_small:
        work.all()
    else:
        with cython.nogil:
            work.all()
