"""Features of one item: its code, and the times, places and order of its own scans. Compiled; see `service.features`.

One pass over each journey. A feature of the previous scan's future (``_next``) is written when the next scan comes.
"""

from __future__ import annotations

import cython
import numpy as np
from cython.cimports.libc.math import asinh, cos, floor, log, log1p, sin

from service.events import vocabulary
from service.features.mates import GROUPS, HERE, SCAN_GROUPS

if cython.compiled:
    from cython.cimports.service.features.columns import Columns, log_count
    from cython.cimports.service.features.row import Row
    from cython.cimports.service.features.tables import Tables
else:
    from service.features.columns import log_count

TYPES = cython.declare(cython.int, vocabulary.TYPES)
START = cython.declare(cython.int, vocabulary.START)
UNKNOWN = cython.declare(cython.int, vocabulary.UNKNOWN)
POS_SELL = cython.declare(cython.int, vocabulary.EVENT_TYPES.index("POS_Sell"))
SAME_SCAN = cython.declare(cython.int, len(GROUPS) + HERE)
AT_LEVEL = cython.declare(cython.int, SCAN_GROUPS - 1)
TYPE_LEVEL = cython.declare(cython.schar[::1], vocabulary.LEVEL_OF_TYPE)
DIRECTION = cython.declare(cython.schar[::1], vocabulary.DIRECTION_OF_TYPE)
NOWHERE_ELSE = cython.declare(cython.double, 20.0)
FULL_CIRCLE = cython.declare(cython.double, 2 * np.pi)


@cython.cclass
class JourneyPass:
    """The features of journeys, one after the other."""

    rows: cython.pointer(Row)
    c: Columns
    tables: Tables
    causal: cython.bint
    time_us: cython.longlong[::1]
    kind: cython.int[::1]
    place: cython.int[::1]
    spot: cython.int[::1]
    level: cython.schar[::1]
    same_scan: cython.int[::1]  # [N] number of the item's scans of this type at this place
    at_level: cython.int[::1]  # [N] number of the item's scans at this place and level
    nearest: cython.int[::1]  # [N] scratch: the nearest scan of its type so far, -1 without one
    last: cython.int[::1]  # [N] scratch: by number, the last scan
    seen: cython.int[::1]  # [N] scratch: by number, how many scans so far
    open: cython.int[::1]  # [N] scratch: by number, inbound minus outbound scans so far
    last_of_type: cython.int[::1]  # [TYPES] scratch
    seen_of_type: cython.int[::1]  # [TYPES] scratch
    log_gap: cython.double  # log1p of the minutes since the previous scan, of the scan at hand

    def __init__(self, c: Columns) -> None:
        self.c, self.rows, self.tables, self.causal = c, c.rows, c.tables, c.causal
        self.time_us, self.kind, self.place, self.spot, self.level = c.time_us, c.kind, c.place, c.spot, c.level
        self.same_scan, self.at_level = c.group[SAME_SCAN], c.group[AT_LEVEL]
        scratch: cython.int[:, ::1] = np.full((6, max(len(c.epc), TYPES)), -1, dtype=np.int32)
        self.nearest, self.last, self.seen, self.open = scratch[0], scratch[1], scratch[2], scratch[3]
        self.last_of_type, self.seen_of_type = scratch[4], scratch[5]

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def all(self) -> cython.void:
        """Write the rows of all journeys."""
        begin: cython.Py_ssize_t = 0
        end: cython.Py_ssize_t
        for end in range(1, self.kind.shape[0] + 1):
            if end == self.kind.shape[0] or self.c.position[end] == 0:
                self.journey(self.c.epc[begin], begin, end)
                begin = end

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def journey(self, code: cython.Py_ssize_t, begin: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.void:
        """Write the rows of one journey."""
        i: cython.Py_ssize_t
        for i in range(begin, end):
            self.rows[i] = self.c.of_code[code]
            self._moment(i, begin, end)
            self._age(i, begin, code)
            self._type(i)
            self._place(i, code)
            if i > begin:
                self._leg(i)
                self._route(i)
            self._flow(i, begin)
            if i > begin and not self.causal:
                self._tell_previous(i)
        self._order(begin, end)
        self._clones(begin, end)
        self._elsewhere(begin, end)

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def _moment(self, i: cython.Py_ssize_t, begin: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.void:
        """Where the scan stands in its journey, and in the week of its place."""
        days: cython.double = self.c.local_us[i] / 86_400e6
        day_phase: cython.double = days * FULL_CIRCLE
        week_phase: cython.double = floor(days) * FULL_CIRCLE / 7
        self.rows[i].has_prev = i > begin
        self.rows[i].index_log = log_count(i - begin)
        self.rows[i].remaining_log = 0.0 if self.causal else log_count(end - 1 - i)
        self.rows[i].elapsed = log1p((self.time_us[i] - self.time_us[begin]) / 3_600e6)
        self.rows[i].hour_sin = sin(day_phase)
        self.rows[i].hour_cos = cos(day_phase)
        self.rows[i].weekday_sin = sin(week_phase)
        self.rows[i].weekday_cos = cos(week_phase)
        self.rows[i].causal = self.causal

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def _age(self, i: cython.Py_ssize_t, begin: cython.Py_ssize_t, code: cython.Py_ssize_t) -> cython.void:
        """The date part of the code against the scan, and where the journey began."""
        if self.c.date_valid[code]:
            self.rows[i].code_age = asinh(self.c.local_us[i] / 86_400e6 - self.c.day[code])
        self.rows[i].code_age_first = self.rows[begin].code_age
        self.rows[i].first_stage = max(self.level[begin], 0)
        self.rows[i].first_type_logp = log_share(
            self.tables.type_pair[START, self.kind[begin]], self.tables.type_pair_total[START]
        )

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def _type(self, i: cython.Py_ssize_t) -> cython.void:
        """Which type of event it is."""
        kind: cython.int = self.kind[i]
        known_level: cython.int = TYPE_LEVEL[kind]
        self.rows[i].type_Aggregation = kind == 0
        self.rows[i].type_WMS_Inbound = kind == 1
        self.rows[i].type_WMS_Outbound = kind == 2
        self.rows[i].type_HUB_Inbound = kind == 3
        self.rows[i].type_HUB_Outbound = kind == 4
        self.rows[i].type_W_Stock_Inbound = kind == 5
        self.rows[i].type_W_Stock_Outbound = kind == 6
        self.rows[i].type_R_Stock_Inbound = kind == 7
        self.rows[i].type_R_Stock_Outbound = kind == 8
        self.rows[i].type_POS_Sell = kind == 9
        self.rows[i].type_unknown = kind == 10
        self.rows[i].step_mismatch = (
            self.c.step[i] != UNKNOWN and known_level != UNKNOWN and self.c.step[i] != known_level
        )

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def _place(self, i: cython.Py_ssize_t, code: cython.Py_ssize_t) -> cython.void:
        """The place against those that normal items are scanned at."""
        scan: cython.longlong = self.place[i] * TYPES + self.kind[i]
        product: cython.longlong = self.c.product[code] + 1
        self.rows[i].place_known = (
            self.tables.vector[self.place[i], 0] == self.tables.vector[self.place[i], 0]
        )  # not NaN
        self.rows[i].scan_log = log_count(self.tables.scan.count_of(scan))
        self.rows[i].product_scan_logp = log_share(
            self.tables.product_scan.count_of(product * self.tables.scans + scan),
            self.tables.product_type.count_of(product * TYPES + self.kind[i]),
        )

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def _leg(self, i: cython.Py_ssize_t) -> cython.void:
        """The way from the previous scan: time, distance, speed."""
        minutes: cython.double = (self.time_us[i] - self.time_us[i - 1]) / 60e6
        km: cython.double = self.tables.kilometres(self.place[i], self.place[i - 1])
        self.log_gap = log1p(minutes)
        self.rows[i].gap_prev = self.log_gap
        self.rows[i].speed_prev = log_speed(km, minutes)
        self.rows[i].distance_prev = log1p(km)
        self.rows[i].same_place_prev = self.spot[i] == self.spot[i - 1]
        self.rows[i].returned = self.spot[i] != self.spot[i - 1] and self._was_two_before(i)
        if self.level[i] != UNKNOWN and self.level[i - 1] != UNKNOWN:
            self.rows[i].stage_step = self.tables.level_rank[self.level[i]] - self.tables.level_rank[self.level[i - 1]]
        self.rows[i].id_inverted = self.c.event_id[i] < self.c.event_id[i - 1]

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def _was_two_before(self, i: cython.Py_ssize_t) -> cython.bint:
        """Whether the scan before the previous one was here."""
        return self.rows[i - 1].has_prev > 0 and self.spot[i] == self.spot[i - 2]

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def _route(self, i: cython.Py_ssize_t) -> cython.void:
        """The way from the previous place against the route of the transition master."""
        if self.place[i] == self.place[i - 1]:
            return
        row: cython.int = self.tables.route.find(self.place[i - 1] * (self.tables.places + 1) + self.place[i])
        if row < 0:
            return
        hours: cython.double = max((self.time_us[i] - self.time_us[i - 1]) / 60e6, 1.0) / 60
        least: cython.double = max(self.tables.route_hours[row, 2], 1.0 / 60)
        most: cython.double = max(self.tables.route_hours[row, 3], 1.0 / 60)
        self.rows[i].route_known = 1
        self.rows[i].route_z = asinh(
            (hours - self.tables.route_hours[row, 0]) / max(self.tables.route_hours[row, 1], 0.1)
        )
        self.rows[i].route_below = within(log(least / hours), 0, 6)
        self.rows[i].route_above = within(log(hours / most), 0, 6)

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def _flow(self, i: cython.Py_ssize_t, begin: cython.Py_ssize_t) -> cython.void:
        """The lane and the pair of types against those of normal items, and the time on the lane."""
        kind: cython.int = self.kind[i]
        kind_from: cython.int = START
        scan_from: cython.longlong = self.tables.start_scan
        from_count: cython.double = self.tables.type_pair_total[START]
        if i > begin:
            kind_from = self.kind[i - 1]
            scan_from = self.place[i - 1] * TYPES + kind_from
            from_count = self.tables.scan.count_of(scan_from)
            if kind != TYPES - 1 and kind_from != TYPES - 1:
                self.rows[i].type_step = self.tables.type_rank[kind] - self.tables.type_rank[kind_from]
        lane: cython.int = self.tables.lane.find(scan_from * self.tables.scans + self.place[i] * TYPES + kind)
        self.rows[i].lane_logp = log_share(self.tables.lane.count_at(lane), from_count)
        self.rows[i].lane_from_log = log_count(from_count)
        self.rows[i].type_logp = log_share(
            self.tables.type_pair[kind_from, kind], self.tables.type_pair_total[kind_from]
        )
        if i > begin and lane >= 0:
            self._lane_time(
                i,
                self.tables.lane_gap[lane, 0],
                self.tables.lane_gap[lane, 1],
                self.tables.lane_gap[lane, 2],
                self.tables.lane_gap[lane, 3],
            )
        elif i > begin:
            self._lane_time(
                i,
                self.tables.type_pair_gap[kind_from, kind, 0],
                self.tables.type_pair_gap[kind_from, kind, 1],
                self.tables.type_pair_gap[kind_from, kind, 2],
                self.tables.type_pair_gap[kind_from, kind, 3],
            )

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def _lane_time(
        self,
        i: cython.Py_ssize_t,
        low: cython.double,
        median: cython.double,
        high: cython.double,
        spread: cython.double,
    ) -> cython.void:
        """The log gap against its `LANE_QUANTILES`, of which a high one of 0 says that there are none."""
        if high > 0:
            self.rows[i].lane_gap_ratio = within(self.log_gap - median, -6, 6)
            self.rows[i].lane_z = within((self.log_gap - median) / max(spread, 0.05), -10, 10)
            self.rows[i].lane_below = max(low - self.log_gap, 0.0)
            self.rows[i].lane_above = max(self.log_gap - high, 0.0)

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def _tell_previous(self, i: cython.Py_ssize_t) -> cython.void:
        """Tell the previous scan what came next."""
        self.rows[i - 1].has_next = 1
        self.rows[i - 1].gap_next = self.rows[i].gap_prev
        self.rows[i - 1].lane_z_next = self.rows[i].lane_z
        self.rows[i - 1].speed_next = self.rows[i].speed_prev
        self.rows[i - 1].lane_logp_next = self.rows[i].lane_logp
        self.rows[i - 1].same_place_next = self.rows[i].same_place_prev
        self.rows[i - 1].type_step_next = self.rows[i].type_step
        self.rows[i - 1].type_logp_next = self.rows[i].type_logp
        self.rows[i - 1].id_inverted_next = self.rows[i].id_inverted

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def _order(self, begin: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.void:
        """How far an earlier scan was, what was open at the place, what was sold."""
        i: cython.Py_ssize_t
        furthest: cython.int = 0
        sales: cython.int = 0
        sold_us: cython.longlong = 0
        before: cython.int
        for i in range(begin, end):
            self.open[self.at_level[i]] = 0
        for i in range(begin, end):
            kind: cython.int = self.kind[i]
            if kind != TYPES - 1:
                self.rows[i].type_behind = max(furthest - self.tables.type_rank[kind], 0)
                furthest = max(furthest, self.tables.type_rank[kind])
            before = self.open[self.at_level[i]]
            self.rows[i].balance = within(before, -2, 2)
            self.open[self.at_level[i]] = before + DIRECTION[kind]
            self.rows[i].balance_after = before + DIRECTION[kind]  # until all are counted, below
            self.rows[i].sold_before = log_count(sales)
            if sales > 0:
                self.rows[i].since_sold = log1p((self.time_us[i] - sold_us) / 3_600e6)
            if kind == POS_SELL:
                sales += 1
                sold_us = self.time_us[i]
        for i in range(begin, end):
            after: cython.double = self.open[self.at_level[i]] - self.rows[i].balance_after
            self.rows[i].balance_after = 0.0 if self.causal else within(after, -2, 2)

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def _clones(self, begin: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.void:
        """Scans of the item that a second item with the same code would explain."""
        i: cython.Py_ssize_t
        here: cython.int
        kind: cython.int
        for kind in range(TYPES):
            self.last_of_type[kind] = -1
            self.seen_of_type[kind] = 0
        for i in range(begin, end):
            self.seen[self.same_scan[i]] = 0
        for i in range(begin, end):
            here, kind = self.same_scan[i], self.kind[i]
            if self.seen[here] > 0:
                self.rows[i].repeat_gap = log1p((self.time_us[i] - self.time_us[self.last[here]]) / 60e6)
            if self.causal:
                self.rows[i].repeats = log_count(self.seen[here])
                self.rows[i].elsewhere = log_count(self.seen_of_type[kind] - self.seen[here])
            self._nearest_of_type(i, self.last_of_type[kind])
            self.seen[here] += 1
            self.seen_of_type[kind] += 1
            self.last[here] = i
            self.last_of_type[kind] = i
        if not self.causal:
            for i in range(begin, end):
                here, kind = self.same_scan[i], self.kind[i]
                self.rows[i].repeats = log_count(self.seen[here] - 1)
                self.rows[i].elsewhere = log_count(self.seen_of_type[kind] - self.seen[here])

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def _elsewhere(self, begin: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.void:
        """The nearest scan at another place: who is at two places at once is two."""
        i: cython.Py_ssize_t
        other: cython.Py_ssize_t = -1
        for i in range(begin, end):
            if i > begin and self.spot[i - 1] != self.spot[i]:
                other = i - 1
            self.rows[i].elsewhere_gap = NOWHERE_ELSE
            if other >= 0:
                self.rows[i].elsewhere_gap = log1p((self.time_us[i] - self.time_us[other]) / 60e6)
        other = -1
        for i in range(end - 1, begin - 1, -1):
            if i < end - 1 and self.spot[i + 1] != self.spot[i]:
                other = i + 1
            if other >= 0 and self.time_us[other] < self.c.known_us[i]:
                gap: cython.double = log1p((self.time_us[other] - self.time_us[i]) / 60e6)
                self.rows[i].elsewhere_gap = min(self.rows[i].elsewhere_gap, gap)

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def _nearest_of_type(self, i: cython.Py_ssize_t, last: cython.int) -> cython.void:
        """The last scan of this type: the nearest so far of this one, and perhaps nearer to it than its own last."""
        if last < 0:
            return
        minutes: cython.double = (self.time_us[i] - self.time_us[last]) / 60e6
        gap: cython.double = log1p(minutes)
        speed: cython.double = log_speed(self.tables.kilometres(self.place[i], self.place[last]), minutes)
        self.rows[i].same_type_gap = gap
        self.rows[i].same_type_speed = speed
        if self.causal:
            return
        self.nearest[i] = last
        before: cython.int = self.nearest[last]
        if before < 0 or self.time_us[i] - self.time_us[last] < self.time_us[last] - self.time_us[before]:
            self.rows[last].same_type_gap = gap
            self.rows[last].same_type_speed = speed


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(check=False)
def within(value: cython.double, low: cython.double, high: cython.double) -> cython.double:
    """Return the value cut off at ``low`` and ``high``."""
    return min(max(value, low), high)


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(check=False)
def log_share(count: cython.double, total: cython.double) -> cython.double:
    """Return log((count + 0.1) / (total + 1)): about -2.3 where nothing is known, lower the surer an absence is."""
    return log((count + 0.1) / (total + 1.0))


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(check=False)
def log_speed(km: cython.double, minutes: cython.double) -> cython.double:
    """Return log1p of km/h; a gap counts as one minute at least, the resolution of scanners' clocks."""
    return log1p(km / max(minutes / 60, 1.0 / 60))


def journey_rows(c: Columns) -> None:
    """Write the features of all journeys."""
    work: JourneyPass = JourneyPass(c)
    if c.is_small:
        work.all()
    else:
        with cython.nogil:
            work.all()
