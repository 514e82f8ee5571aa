"""The columns that the compiled loops share, and those that look scans up. Compiled; see `service.features`."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import cython
import numpy as np
from numpy.typing import NDArray

from service.events import vocabulary
from service.features.declared import NAMES

if cython.compiled:
    from cython.cimports.service.features.row import DECLARED, Row
    from cython.cimports.service.features.tables import Tables

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

INSTANT = cython.declare(cython.longlong, INSTANT_US)
UNKNOWN = cython.declare(cython.int, vocabulary.UNKNOWN)
TYPES = cython.declare(cython.int, vocabulary.TYPES)


@cython.cclass
class Columns:
    """N events of U codes in the order of their journeys, as the loops see them; [N] unless another shape is given.

    rows, and of_code [U]: features of the events and of the codes, to be written by name: ``rows[i].gap_prev = gap``.
    kind: event type 0..TYPES-1, the unknown last. level: of the event type, else of the business step, or UNKNOWN.
    place: in the tables. spot: a number for each place, known or not.
    is_small: whether the loops keep the interpreter.
    position: in the journey. members [n]: the events that were not judged before, in the order of time.
    local_us: the time on the clock of the place.
    leg_us: when the previous scan was.
    way: a number for the area that the leg leads into, or for the place where the item stays.
    known_us: before when a scan of others must be, to be known to the event.
    item_group [ITEM_GROUPS, U], group [GROUPS and OWN, N]: numbers of the groups of items and scans, see `mates`.
    """

    def __init__(self, trail: Trail, table: NDArray[np.float32], of_code: NDArray[np.float32]) -> None:
        events, parts = trail.events, trail.parts
        self.written = (table, of_code)  # what the next two point into
        self.rows, self.of_code = as_rows(table), as_rows(of_code)
        self.is_small = len(table) < RELEASED_FROM
        self.tables, self.causal, self.codes = trail.reference.tables, trail.causal, len(of_code)
        self.epc, self.kind, self.place, self.spot = events.epc, trail.kind, trail.place, trail.spot
        self.event_id, self.time_us, self.leg_us = events.event_id, events.time_us, trail.legs.time_us
        self.known_us, self.way = trail.known_us, trail.way
        self.local_us, self.step, self.level = trail.local_us, events.step, trail.level
        self.position, self.members = trail.journeys.position, trail.members
        self.well_formed, self.date_valid = parts.well_formed.view(np.uint8), parts.date_valid.view(np.uint8)
        self.header, self.company, self.product, self.lot = parts.header, parts.company, parts.product, parts.lot
        self.day, self.serial = parts.day, parts.serial
        self.item_group, self.group = trail.item_group, trail.group


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
    level_of_type: cython.const[cython.schar][::1],
    place: cython.int[::1],
    kind: cython.int[::1],
    level: cython.schar[::1],
) -> None:
    """Look N scans up: their ``place``, ``kind`` and ``level``, see `Columns`."""
    i: cython.Py_ssize_t
    for i in range(location_id.shape[0]):
        place[i] = tables.place_of(location_id[i])
        kind[i] = event_type[i] if 0 <= event_type[i] < TYPES - 1 else TYPES - 1  # stored ones may be damaged
        level[i] = level_of_type[kind[i]] if level_of_type[kind[i]] != UNKNOWN else step[i]


def legs(  # noqa: PLR0913, PLR0917 - columns
    position: cython.const[cython.Py_ssize_t][::1],
    location_id: cython.const[cython.longlong][::1],
    kind: cython.const[cython.int][::1],
    time_us: cython.const[cython.longlong][::1],
    location_from: cython.longlong[::1],
    kind_from: cython.longlong[::1],
    time_from: cython.longlong[::1],
) -> None:
    """Tell where, as what and when the previous scan of each was; for a first one 0, -1 and its own time."""
    i: cython.Py_ssize_t
    for i in range(position.shape[0]):
        first: cython.bint = position[i] == 0
        location_from[i] = 0 if first else location_id[i - 1]
        kind_from[i] = -1 if first else kind[i - 1]
        time_from[i] = time_us[i] if first else time_us[i - 1]
