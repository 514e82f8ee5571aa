"""The columns that the compiled loops share, and those that look scans up. Compiled; see `service.features`."""

from __future__ import annotations

import math
import zlib
from typing import TYPE_CHECKING

import cython
import numpy as np
from cython.cimports.libc.math import log1p
from numpy.typing import NDArray

from service.events import vocabulary
from service.events.groups import slots_for
from service.features.declared import NAMES

if cython.compiled:
    from cython.cimports.service.events.groups import number
    from cython.cimports.service.features.row import DECLARED, Row
    from cython.cimports.service.features.tables import Tables
else:
    from service.events.groups import number

if TYPE_CHECKING:
    from service.features.shared import Trail

if cython.compiled and zlib.crc32(" ".join(NAMES).encode()) & 0x7FFFFFFF != DECLARED:
    raise ImportError(
        "the features were declared anew after their loops had been compiled:"
        " compile again, with make run or pip install -e ."
    )

COMPILED: bool = cython.compiled
"""Whether these loops were compiled; as they are, they take hundreds of times longer."""

RELEASED_FROM = 1_000
"""Events from which the loops let go of the interpreter; to get it back while others use it takes up to 0.1 ms, as long
as the loops take for a hundred."""

INSTANT_US = 1_000_000
"""Scans of the same second are one moment: causally, too, they know of each other, whatever their ids."""

NARROW = ("place", "kind", "spot", "spot_from")
"""The first rows of `shared.Trail.narrow`; those of the groups follow."""

WIDE = ("leg_location", "leg_kind", "leg_us", "local_us", "known_us", "way")
"""The rows of `shared.Trail.wide`."""

PLACE = cython.declare(cython.int, NARROW.index("place"))
KIND = cython.declare(cython.int, NARROW.index("kind"))
SPOT = cython.declare(cython.int, NARROW.index("spot"))
SPOT_FROM = cython.declare(cython.int, NARROW.index("spot_from"))
GROUP = cython.declare(cython.int, len(NARROW))
LEG_LOCATION = cython.declare(cython.int, WIDE.index("leg_location"))
LEG_KIND = cython.declare(cython.int, WIDE.index("leg_kind"))
LEG_TIME = cython.declare(cython.int, WIDE.index("leg_us"))
LOCAL = cython.declare(cython.int, WIDE.index("local_us"))
KNOWN = cython.declare(cython.int, WIDE.index("known_us"))
WAY = cython.declare(cython.int, WIDE.index("way"))
ALWAYS = cython.declare(cython.longlong, 2**63 - 1)
INSTANT = cython.declare(cython.longlong, INSTANT_US)
UNKNOWN = cython.declare(cython.int, vocabulary.UNKNOWN)
TYPES = cython.declare(cython.int, vocabulary.TYPES)
# By the C library's log1p, as for larger counts: numpy's own may differ in the last bit.
LOG_COUNTS = cython.declare(cython.double[::1], np.array([math.log1p(count) for count in range(1024)]))
LEVEL_OF_TYPE = cython.declare(cython.schar[::1], vocabulary.LEVEL_OF_TYPE)


@cython.cclass
class Columns:
    """N events of U codes in the order of their journeys, as the loops see them; [N] unless another shape is given.

    rows, and of_code [U]: features of the events and of the codes, to be written by name: ``rows[i].gap_prev = gap``.
    kind: event type 0..TYPES-1, the unknown last. level: of the event type, else of the business step, or UNKNOWN.
    place: in the tables. spot: a number for each place, known or not. spot_from: that of the previous scan.
    is_small: whether the loops keep the interpreter.
    position: in the journey. members [n]: the events that were not judged before, in the order of time.
    local_us: the time on the clock of the place.
    leg_us, leg_kind: when the previous scan was, and its type.
    log_gap: log1p of the minutes since ``leg_us``.
    way: a number for the area that the leg leads into, or for the place where the item stays.
    known_us: before when a scan of others must be, to be known to the event.
    item_group [ITEM_GROUPS, U], group [SCAN_GROUPS, N]: numbers of the groups of items and scans, see `mates`, which
    sets serials and serial_slots, too: the serial number of each scan's code, and where scans are by shipment and that.
    """

    def __init__(self, trail: Trail, table: NDArray[np.float32], of_code: NDArray[np.float32]) -> None:
        events = trail.events
        # Each memory view of an array costs 0.3 us, a slice of one nothing: so columns are rows of a few arrays.
        codes: cython.longlong[:, ::1] = trail.parts.numbers
        flags: cython.uchar[:, ::1] = trail.parts.flags.view(np.uint8)
        narrow: cython.int[:, ::1] = trail.narrow
        wide: cython.longlong[:, ::1] = trail.wide
        self.written = (table, of_code)  # what the next two point into
        self.rows, self.of_code = as_rows(table), as_rows(of_code)
        self.is_small = len(table) < RELEASED_FROM
        self.tables, self.causal, self.codes = trail.reference.tables, trail.causal, len(of_code)
        self.epc, self.step, self.level = events.epc, events.step, trail.level
        self.event_id, self.time_us = events.event_id, events.time_us
        self.position, self.members = trail.journeys.position, trail.members
        self.place, self.kind = narrow[PLACE], narrow[KIND]
        self.spot, self.spot_from, self.group = narrow[SPOT], narrow[SPOT_FROM], narrow[GROUP:]
        self.leg_kind, self.leg_us, self.local_us = wide[LEG_KIND], wide[LEG_TIME], wide[LOCAL]
        self.known_us, self.way = wide[KNOWN], wide[WAY]
        self.well_formed, self.date_valid = flags[0], flags[1]
        self.header, self.company, self.product, self.lot = codes[0], codes[1], codes[2], codes[3]
        self.serial, self.day = codes[4], codes[6]
        self.item_group = trail.item_group
        self.log_gap = np.empty(len(table))
        i: cython.Py_ssize_t
        for i in range(self.log_gap.shape[0]):
            self.log_gap[i] = log1p((self.time_us[i] - self.leg_us[i]) / 60e6)


@cython.cfunc
def as_rows(table: cython.float[:, ::1]) -> cython.pointer(Row):
    """Return the rows of a table [n, F] of features, by name."""
    if cython.compiled:
        return cython.cast(cython.pointer(Row), cython.address(table[0, 0]))
    else:  # noqa: RET505 - the compiler wants it
        return table.view([(name, np.float32) for name in NAMES]).reshape(-1).view(np.recarray)


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(check=False)
def log_count(count: cython.double) -> cython.double:
    """Return log1p(count); most counts are small, and looked up in a tenth of the time."""
    if 0 <= count < LOG_COUNTS.shape[0]:
        at: cython.Py_ssize_t = cython.cast(cython.Py_ssize_t, count)
        if at == count:
            return LOG_COUNTS[at]
    return log1p(count)


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(check=False)
def share(part: cython.double, whole: cython.double) -> cython.double:
    """Return (part + 0.5) / (whole + 1): 0.5 where nothing is known."""
    return (part + 0.5) / (whole + 1.0)


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(check=False)
def floor_of(time_us: cython.longlong, unit_us: cython.longlong) -> cython.longlong:
    """Return in which of the units of time since 1970 a moment is, below 0 before."""
    return time_us // unit_us - (time_us % unit_us < 0)


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(check=False)
def same_instant(time_us: cython.longlong, other_us: cython.longlong) -> cython.bint:
    """Return whether two moments are in the same second."""
    return floor_of(time_us, INSTANT) == floor_of(other_us, INSTANT)


def look_up(  # noqa: PLR0913, PLR0917 - columns
    tables: Tables,
    location_id: cython.const[cython.longlong][::1],
    event_type: cython.const[cython.schar][::1],
    step: cython.const[cython.schar][::1],
    time_us: cython.const[cython.longlong][::1],
    position: cython.const[cython.Py_ssize_t][::1],
    narrow: cython.int[:, ::1],
    wide: cython.longlong[:, ::1],
    level: cython.schar[::1],
) -> None:
    """Look N scans up, and tell where, as what and when the previous scan of each was.

    For a first one that is 0, -1 and its own time. Their rows of ``narrow`` and ``wide``, and ``level``, are those of
    `shared.Trail`.
    """
    i: cython.Py_ssize_t
    for i in range(location_id.shape[0]):
        first: cython.bint = position[i] == 0
        kind: cython.int = event_type[i] if 0 <= event_type[i] < TYPES - 1 else TYPES - 1  # stored ones may be damaged
        narrow[PLACE, i] = tables.place_of(location_id[i])
        narrow[KIND, i] = kind
        level[i] = LEVEL_OF_TYPE[kind] if LEVEL_OF_TYPE[kind] != UNKNOWN else step[i]
        wide[LEG_LOCATION, i] = 0 if first else location_id[i - 1]
        wide[LEG_KIND, i] = -1 if first else narrow[KIND, i - 1]
        wide[LEG_TIME, i] = time_us[i] if first else time_us[i - 1]


def number_ways(  # noqa: PLR0913, PLR0917 - columns
    tables: Tables,
    locations: cython.const[cython.longlong][::1],
    time_us: cython.const[cython.longlong][::1],
    narrow: cython.int[:, ::1],
    wide: cython.longlong[:, ::1],
    settle_us: cython.longlong,
) -> None:
    """Number the places of N scans and their ways, and tell what of others each knows.

    ``locations`` are those of the scans [N], or of the scans and then of their previous ones [2 N]. A ``settle_us``
    below 0 says that all is known of others, else it is how long each waits for them.
    """
    i: cython.Py_ssize_t
    n: cython.Py_ssize_t = time_us.shape[0]
    all_one: cython.int[::1] = np.zeros(len(locations), dtype=np.int32)
    spots: cython.int[::1] = np.empty(len(locations), dtype=np.int32)
    number(all_one, locations, spots, slots_for(len(locations)))
    for i in range(n):
        spot: cython.int = spots[i]
        place: cython.int = narrow[PLACE, i]
        spot_from: cython.int = spots[n + i] if locations.shape[0] > n else spots[max(i - 1, 0)]
        moved: cython.bint = wide[LEG_KIND, i] >= 0 and spot != spot_from
        narrow[SPOT, i] = spot
        narrow[SPOT_FROM, i] = spot_from
        wide[WAY, i] = (tables.area[place] if moved and place < tables.places else spot + tables.places) * 2 + moved
        wide[KNOWN, i] = ALWAYS if settle_us < 0 else (floor_of(time_us[i], INSTANT) + 1) * INSTANT + settle_us
