"""A hash table over columns: 64-bit hashes to rows of arrays, for all keys of a request at once.

Python's dict costs a microsecond per event and key that is looked up and added, and a hundred bytes per key; here it is
a tenth of that. Among ten million keys two share a hash with a chance of 3 in a million.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from service.journeys import Index

_Scalar = TypeVar("_Scalar", bound=np.generic)

_SLOTS = 2048  # at first; always a power of two
_FULL = 0.5  # share of slots in use past which there are four times as many


def mix(meaning: int | NDArray[np.integer], *columns: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return a 64-bit hash [n] of each row of ``columns`` (splitmix64 over the columns, one after another).

    ``meaning`` is a small number that tells hashes of other columns apart; columns may be [m, n] for m such numbers.
    """
    # Spread over all bits: small meanings and small numbers of lots would meet in the same few.
    numbers = np.atleast_1d(np.asarray(meaning)).astype(np.uint64)
    mixed: NDArray[np.uint64] = (numbers + np.uint64(1)) * np.uint64(0xD1B54A32D192ED03)
    for column in columns:
        mixed = (mixed + np.uint64(0x9E3779B97F4A7C15)) ^ column.astype(np.int64).view(np.uint64)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed = mixed ^ (mixed >> np.uint64(31))
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
        at, wanted = at[lost], keys[lost]
        while len(lost):  # their slots are taken by others: linear probing
            at = (at + 1) & mask
            found = self._rows[at]
            here = (found == 0) | (self._keys[at] == wanted)
            rows[lost[here]] = found[here]
            lost, at, wanted = lost[~here], at[~here], wanted[~here]
        return rows

    def add(self, keys: NDArray[np.int64], rows: Index | None = None) -> Index:
        """Return the row [n] of each key, new rows for new keys; ``rows`` is what `find` said of them just before."""
        rows = self.find(keys) if rows is None else rows.copy()
        missing = np.flatnonzero(rows == 0)
        if len(missing):
            new, which = np.unique(keys[missing], return_inverse=True)
            numbers = np.arange(self._length + 1, self._length + 1 + len(new))
            self._length += len(new)
            if self._length > _FULL * len(self._keys):
                self._grow()
            self._place(new, numbers.astype(np.int32))
            rows[missing] = numbers[which]
        return rows

    def _grow(self) -> None:
        used = self._rows != 0
        keys, rows = self._keys[used], self._rows[used]
        slots = len(self._keys)
        while self._length > _FULL * slots:
            slots *= 4
        self._keys, self._rows = np.zeros(slots, dtype=np.int64), np.zeros(slots, dtype=np.int32)
        self._place(keys, rows)

    def _place(self, keys: NDArray[np.int64], rows: NDArray[np.int32]) -> None:
        """Put distinct keys, none of which is there, into free slots."""
        mask = len(self._keys) - 1
        at = keys & mask
        while len(keys):
            free = self._rows[at] == 0
            self._rows[at[free]] = rows[free]  # of several that want the same slot one gets it
            placed = self._rows[at] == rows
            self._keys[at[placed]] = keys[placed]
            keys, rows, at = keys[~placed], rows[~placed], (at[~placed] + 1) & mask


def room(column: NDArray[_Scalar], length: int) -> NDArray[_Scalar]:
    """Return the column with room for ``length`` entries at least; what is added is zero."""
    if length <= len(column):
        return column
    longer = np.zeros((max(length, 2 * len(column)), *column.shape[1:]), dtype=column.dtype)
    longer[: len(column)] = column
    return longer
