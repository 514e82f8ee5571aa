"""A hash table over columns: 64-bit hashes to rows of arrays, for all keys of a request at once.

Python's dict costs a microsecond per event and key that is looked up and added, and a hundred bytes per key; here it is
a tenth of that. Among ten million keys two share a hash with a chance of 3 in a million.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from service.events.groups import Index

_Scalar = TypeVar("_Scalar", bound=np.generic)

_SLOTS = 256  # at first; always a power of two
_FULL = 0.25  # share of slots in use past which there are twice as many

_MEANING = np.uint64(0xD1B54A32D192ED03)
_WEIGHTS = np.random.default_rng(1).integers(1 << 63, dtype=np.uint64, size=12) * 2 + 1
_HALF, _SPREAD = np.uint64(32), np.uint64(0xD6E8FEB86659FD93)


def mix(meaning: int | NDArray[np.integer], *columns: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return a 64-bit hash [n] of each row of ``columns``, twelve at most: their sum with random weights, spread.

    ``meaning`` is a small number that tells hashes of other columns apart; columns may be [m, n] for m such numbers.
    """
    mixed: NDArray[np.uint64] = (np.atleast_1d(np.asarray(meaning)).astype(np.uint64) + np.uint64(1)) * _MEANING
    for weight, column in zip(_WEIGHTS, columns, strict=False):
        mixed = mixed + column.astype(np.int64, copy=False).view(np.uint64) * weight
    for _ in range(2):  # the lower bits, which slots go by, depend on the lower bits of the columns alone so far
        mixed ^= mixed >> _HALF
        mixed *= _SPREAD
    mixed ^= mixed >> _HALF
    return mixed.view(np.int64)


class KeyTable:
    """Numbers keys 1, 2, .. as they are added; 0 stands for a key that is not there. Keys are hashes by `mix`."""

    def __init__(self) -> None:
        self._keys = np.zeros(_SLOTS, dtype=np.int64)
        self._rows = np.zeros(_SLOTS, dtype=np.int32)  # 0: the slot is free
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def find(self, keys: NDArray[np.int64]) -> Index:
        """Return the row [n] of each key, 0 if it is not there."""
        mask = len(self._keys) - 1
        at = keys & mask
        rows: Index = self._rows[at].astype(np.intp)
        lost = np.flatnonzero((rows != 0) & (self._keys[at] != keys))
        at, wanted, step = at[lost], keys[lost], _steps(keys[lost])
        while len(lost):  # their slots are taken by others
            at = (at + step) & mask
            found = self._rows[at]
            rows[lost] = found
            on = (found != 0) & (self._keys[at] != wanted)
            lost, at, wanted, step = lost[on], at[on], wanted[on], step[on]
        return rows

    def add(self, keys: NDArray[np.int64], rows: Index | None = None) -> Index:
        """Return the row [n] of each key, new rows for new keys; ``rows`` is what `find` said of them just before."""
        rows = self.find(keys) if rows is None else rows.copy()
        missing = np.flatnonzero(rows == 0)
        if self._length + len(missing) > _FULL * len(self._keys):
            self._grow(self._length + len(missing))
        rows[missing] = self._place(keys[missing])
        return rows

    def _grow(self, length: int) -> None:
        used = np.flatnonzero(self._rows)
        keys = self._keys[used[np.argsort(self._rows[used])]]
        slots = len(self._keys)
        while length > _FULL * slots:
            slots *= 2
        self._keys, self._rows, self._length = np.zeros(slots, dtype=np.int64), np.zeros(slots, dtype=np.int32), 0
        self._place(keys)

    def _place(self, keys: NDArray[np.int64]) -> Index:
        """Put keys that are not there into free slots, and return their new rows [n]; one key may come repeatedly."""
        mask = len(self._keys) - 1
        slot = np.empty(len(keys), dtype=np.intp)
        todo, at, wanted, step = np.arange(len(keys)), keys & mask, keys, _steps(keys)
        mark = np.arange(-1, -1 - len(keys), -1, dtype=np.int32)  # below 0: the slot was taken just now
        while len(todo):
            free = self._rows[at] == 0
            self._rows[at[free]] = mark[free]  # of several that want the same slot the last one gets it
            self._keys[at[free]] = wanted[free]
            here = (self._rows[at] < 0) & (self._keys[at] == wanted)  # equal keys meet: they look in the same slots
            slot[todo[here]] = at[here]
            on = ~here
            todo, wanted, step, mark = todo[on], wanted[on], step[on], mark[on]
            at = (at[on] + step) & mask
        first = -self._rows[slot] - 1  # [n] of the equal keys the one that got the slot
        is_first = first == np.arange(len(keys))
        rows: Index = (self._length + np.cumsum(is_first))[first]
        self._rows[slot] = rows
        self._length += int(is_first.sum())
        return rows


def _steps(keys: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how far [n] each key goes on from a slot that is taken; odd, so that it comes by all of them."""
    return (keys >> 32) | 1


def room(column: NDArray[_Scalar], length: int, fill: float = 0) -> NDArray[_Scalar]:
    """Return the column with room for ``length`` entries at least; what is added is ``fill``."""
    if length <= len(column):
        return column
    longer = np.zeros((max(length, 2 * len(column)), *column.shape[1:]), dtype=column.dtype)
    longer[: len(column)] = column
    if fill:
        longer[len(column) :] = fill
    return longer
