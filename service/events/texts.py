"""Texts that lie in a row of bytes: numbers for those that are equal. Compiled; see `service.features`."""

from __future__ import annotations

import secrets

import cython
import numpy as np
from numpy.typing import NDArray

from service.runtime.threads import give_way

if cython.compiled:
    from cython.cimports.service.events.groups import spread
else:
    from service.events.groups import spread

_SLICE = cython.declare(cython.int, 1_000)  # texts that are made at once: 0.2 ms

# Drawn anew in each process: nobody can make up texts that all want the same slot. No result depends on it.
_POINT = cython.declare(cython.longlong, secrets.randbits(29) + 2**20)
_PRIME = cython.declare(cython.longlong, 0x7FFFFFFF)


@cython.ccall
@cython.nogil
@cython.exceptval(check=False)
def number_texts(  # noqa: PLR0913, PLR0917 - columns in, columns out
    raw: cython.const[cython.uchar][::1],
    begin: cython.const[cython.longlong][::1],
    size: cython.const[cython.longlong][::1],
    number: cython.int[::1],
    first: cython.int[::1],
    slots: cython.int[::1],
) -> cython.int:
    """Number N equal texts alike, in the order of their first appearance; return how many different ones there are.

    Args:
        raw: the bytes in which the texts are.
        begin: [N] where each is.
        size: [N] its bytes.
        number: [N] afterwards the number of each.
        first: [N] afterwards, by number, the first that has it.
        slots: room, see `groups.slots_for`.
    """
    i: cython.Py_ssize_t
    at: cython.Py_ssize_t
    mask: cython.Py_ssize_t = slots.shape[0] - 1
    count: cython.int = 0
    for at in range(slots.shape[0]):
        slots[at] = -1
    for i in range(begin.shape[0]):
        at = hash_of(raw, begin[i], size[i]) & mask
        while slots[at] >= 0 and not same(raw, begin, size, i, first[slots[at]]):
            at = (at + 1) & mask
        if slots[at] < 0:
            slots[at] = count
            first[count] = i
            count += 1
        number[i] = slots[at]
    return count


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(check=False)
def hash_of(
    raw: cython.const[cython.uchar][::1], begin: cython.Py_ssize_t, size: cython.Py_ssize_t
) -> cython.Py_ssize_t:
    """Return what the slot of a text goes by: a polynomial modulo 2^31 - 1 at a point that nobody knows."""
    mixed: cython.longlong = size
    at: cython.Py_ssize_t
    for at in range(begin, begin + size):
        mixed = mixed * _POINT + raw[at] + 1
        mixed = (mixed & _PRIME) + (mixed >> 31)
    return spread((mixed & _PRIME) + (mixed >> 31))


@cython.cfunc
@cython.nogil
@cython.inline
@cython.exceptval(check=False)
def same(
    raw: cython.const[cython.uchar][::1],
    begin: cython.const[cython.longlong][::1],
    size: cython.const[cython.longlong][::1],
    one: cython.Py_ssize_t,
    other: cython.Py_ssize_t,
) -> cython.bint:
    """Return whether two texts are equal."""
    k: cython.Py_ssize_t
    if size[one] != size[other]:
        return False
    for k in range(size[one]):  # noqa: SIM110 - compiled
        if raw[begin[one] + k] != raw[begin[other] + k]:
            return False
    return True


def decoded(raw: bytes, begin: NDArray[np.int64], size: NDArray[np.int64]) -> list[str]:
    """Return the U texts at ``begin`` [U] with ``size`` [U] bytes; raises UnicodeDecodeError if one is no UTF-8."""
    texts: list[str] = []
    starts: cython.const[cython.longlong][::1] = begin
    sizes: cython.const[cython.longlong][::1] = size
    i: cython.Py_ssize_t
    for i in range(starts.shape[0]):
        if i % _SLICE == 0:
            give_way()
        at: cython.Py_ssize_t = starts[i]
        texts.append(raw[at : at + sizes[i]].decode())
    return texts
