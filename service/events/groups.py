"""Groups and orders over flat columns: numbers for what is equal, in order. Compiled; see `service.features`."""

from __future__ import annotations

import secrets

import cython
import numpy as np
from numpy.typing import NDArray

Index = NDArray[np.intp]

Found = tuple[Index, NDArray[np.bool_]]
"""([N] an event for each event, [N] whether there is one; without one the index means nothing)."""

_INT64_BITS = cython.declare(cython.int, 63)

# Drawn anew in each process: nobody can make up codes that all want the same slot. No result depends on them.
_WEIGHT = cython.declare(cython.longlong, secrets.randbits(29) * 2 + 1)
_LOW_WEIGHT = cython.declare(cython.longlong, secrets.randbits(29) * 2 + 1)
_HIGH_WEIGHT = cython.declare(cython.longlong, secrets.randbits(29) * 2 + 1)
_32_BITS = cython.declare(cython.longlong, 0xFFFFFFFF)


class Groups:
    """N events, or codes, in groups."""

    __slots__ = ("count", "number")

    def __init__(self, first: NDArray[np.int32], second: NDArray[np.int64]) -> None:
        """Group by the pair of two columns [N], of which the ``first`` is 0 or more."""
        self.number = np.empty(len(first), dtype=np.int32)
        """[N] the group of each, in the order of first appearance."""
        self.count = number(first, second, self.number, slots_for(len(first)))
        """How many groups there are."""

    def members(self, among: Index) -> tuple[Index, NDArray[np.int32]]:
        """Return ([n] the members ``among`` [n], group by group, else in their order; [count + 1] where each is)."""
        return members_of(self.number, self.count, among)


def members_of(group: NDArray[np.int32], count: int, among: Index) -> tuple[Index, NDArray[np.int32]]:
    """Return what `Groups.members` does for events that have the number of their ``group`` [N], of ``count`` ones."""
    start = np.zeros(count + 1, dtype=np.int32)
    order = np.empty(len(among), dtype=np.intp)
    count_sort(group, among, start, order)
    return order, start


def slots_for(n: int) -> NDArray[np.int32]:
    """Return room for the numbering of ``n`` pairs."""
    return np.empty(max(4, 1 << (2 * n - 1).bit_length()), dtype=np.int32)


@cython.ccall
@cython.nogil
@cython.exceptval(check=False)
def number(
    first: cython.const[cython.int][::1],
    second: cython.const[cython.longlong][::1],
    found: cython.int[::1],
    slots: cython.int[::1],
) -> cython.int:
    """Number equal pairs of two columns alike in ``found``, in the order of their first appearance; return how many.

    ``slots``, a power of two and twice as many as pairs at least, are a hash table of the first pairs of each number.
    """
    count: cython.int = 0
    i: cython.Py_ssize_t
    at: cython.longlong
    mask: cython.longlong = slots.shape[0] - 1
    for at in range(slots.shape[0]):
        slots[at] = -1
    for i in range(first.shape[0]):
        at = slot(first[i], second[i]) & mask
        while slots[at] >= 0 and (first[slots[at]] != first[i] or second[slots[at]] != second[i]):
            at = (at + 1) & mask
        if slots[at] < 0:
            slots[at] = i
            found[i] = count
            count += 1
        else:
            found[i] = found[slots[at]]
    return count


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(check=False)
def slot(first: cython.longlong, second: cython.longlong) -> cython.longlong:
    """Return what a pair is looked for by; no product leaves 63 bits, so that plain Python gets the same."""
    wide: cython.longlong = cython.cast(cython.longlong, second)  # uncompiled it may be a number of 32 bits
    mixed: cython.longlong = cython.cast(cython.longlong, first) * _WEIGHT + (wide & 0x7FFFFFFF) * _LOW_WEIGHT
    mixed ^= ((wide >> 31) & 0x7FFFFFFF) * _HIGH_WEIGHT
    return spread(mixed)


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(check=False)
def spread(mixed: cython.longlong) -> cython.longlong:
    """Return 32 bits that each depend on all 62 (the finaliser "lowbias32"): numbers in even steps make no clumps."""
    x: cython.longlong = (mixed ^ mixed >> 31) & 0x7FFFFFFF
    x ^= x >> 16
    x = x * 0x21F0AAAD & _32_BITS
    x ^= x >> 15
    x = x * 0x735A2D97 & _32_BITS
    return x ^ x >> 15


@cython.ccall
@cython.nogil
@cython.exceptval(check=False)
def count_sort(
    group: cython.const[cython.int][::1],
    members: cython.const[cython.Py_ssize_t][::1],
    start: cython.int[::1],
    order: cython.Py_ssize_t[::1],
) -> cython.void:
    """Sort ``members`` [n] by their group into ``order`` [n]; where each begins goes into ``start``, all 0 before."""
    k: cython.Py_ssize_t
    groups: cython.Py_ssize_t = start.shape[0] - 1
    for k in range(members.shape[0]):
        start[group[members[k]] + 1] += 1
    for k in range(groups):
        start[k + 1] += start[k]
    for k in range(members.shape[0]):
        order[start[group[members[k]]]] = members[k]
        start[group[members[k]]] += 1
    for k in range(groups, 0, -1):  # each start has come to the next one's
        start[k] = start[k - 1]
    start[0] = 0


@cython.ccall
@cython.nogil
@cython.exceptval(check=False)
def lay_out(  # noqa: PLR0913, PLR0917 - columns
    group: cython.const[cython.int][::1],
    by_time: cython.const[cython.Py_ssize_t][::1],
    start: cython.int[::1],
    order: cython.Py_ssize_t[::1],
    position: cython.Py_ssize_t[::1],
    row_of: cython.Py_ssize_t[::1],
) -> cython.void:
    """Sort events, given in the order of time, by their group; the first ones are as in `count_sort`.

    Of each row of ``order``, its place in its group goes into ``position``; of each event its row into ``row_of``.
    """
    k: cython.Py_ssize_t
    row: cython.Py_ssize_t
    count_sort(group, by_time, start, order)
    for k in range(start.shape[0] - 1):
        for row in range(start[k], start[k + 1]):
            position[row] = row - start[k]
            row_of[order[row]] = row


def time_order(time_us: NDArray[np.int64], event_id: NDArray[np.int64]) -> Index:
    """Return the order [N] of (time, event_id)."""
    n, bits = len(time_us), len(time_us).bit_length()
    if in_order(time_us, event_id):
        return np.arange(n)
    packed = np.empty(n, dtype=np.int64)
    if not pack(time_us, event_id, bits, packed):
        return np.lexsort((event_id, time_us))
    packed.sort()  # plain numbers are sorted several times faster
    return packed & ((1 << bits) - 1)


@cython.ccall
def pack(
    time_us: cython.const[cython.longlong][::1],
    event_id: cython.const[cython.longlong][::1],
    bits: cython.int,
    packed: cython.longlong[::1],
) -> cython.bint:
    """Make one number of the time and the place of each event; return whether they sort as (time, event_id) do.

    They do not if a later place has a lower id, or times are too far apart for 63 bits.
    """
    i: cython.Py_ssize_t
    low: cython.longlong = time_us[0]
    high: cython.longlong = time_us[0]
    for i in range(1, time_us.shape[0]):
        if event_id[i] <= event_id[i - 1]:
            return False
        low = min(low, time_us[i])
        high = max(high, time_us[i])
    room: cython.longlong = 1
    room <<= _INT64_BITS - bits
    # By halves, as the difference itself may be too large a number.
    if (high >> 1) - (low >> 1) + 1 >= room >> 1:
        return False
    for i in range(time_us.shape[0]):
        packed[i] = (time_us[i] - low) << bits | i
    return True


@cython.ccall
def in_order(time_us: cython.const[cython.longlong][::1], event_id: cython.const[cython.longlong][::1]) -> cython.bint:
    """Return whether events are in the order of (time, event_id)."""
    i: cython.Py_ssize_t
    for i in range(1, time_us.shape[0]):
        if time_us[i] < time_us[i - 1] or (time_us[i] == time_us[i - 1] and event_id[i] < event_id[i - 1]):
            return False
    return True
