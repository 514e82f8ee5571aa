"""Orders and groups over flat columns: statistics of the others that share a key, without a Python loop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from service.runtime.threads import give_way

Index = NDArray[np.intp]

Found = tuple[Index, NDArray[np.bool_]]
"""([N] an event for each event, [N] whether there is one; without one the index means nothing)."""

_INT64_BITS = 63

_RADIX_FROM = 512
"""Events from which two passes of a radix sort are faster than one plain sort."""

_COUNTABLE = 8
"""Keys up to so many times wider than there are events are counted in a table, wider ones are numbered by sorting."""

_COUNTABLE_LEAST = 8_192
"""Keys up to so wide are counted in a table however few events there are: it is faster than to sort even a few."""

_Scalar = TypeVar("_Scalar", bound=np.generic)


@dataclass(slots=True, eq=False)  # not frozen: a small request makes forty of them, at three times the price
class Key:
    """What N events (or U codes) are grouped by: numbers from 0 to ``width`` - 1, equal in one group."""

    values: NDArray[np.int64]  # [N]
    width: int

    @classmethod
    def of(cls, values: NDArray[np.integer]) -> Key:
        """Return the key of any whole numbers [N] that span less than 2**62."""
        low, high = int(np.minimum.reduce(values, initial=0)), int(np.maximum.reduce(values, initial=0))
        return cls(values.astype(np.int64) - low, high - low + 1)

    def take(self, index: Index | NDArray[np.int32]) -> Key:
        """Return the key of what stands at ``index``."""
        return Key(self.values[index], self.width)

    def numbered(self) -> Key:
        """Return a key of the same groups, in the same order, numbered without gaps."""
        if self.width <= _COUNTABLE * len(self.values) + 1024:
            seen = np.zeros(self.width, dtype=np.bool_)
            seen[self.values] = True
            number = seen.cumsum()
            return Key(number[self.values] - 1, max(int(number.max(initial=0)), 1))
        order, ordered = stable_order(self.values, self.width)
        values = np.empty(len(order), dtype=np.int64)
        values[order] = changes(ordered).cumsum() - 1
        return Key(values, int(values.max(initial=0)) + 1)


class Group:
    """Events that share a key, in the order of time: statistics of the others in one's group.

    Causal statistics see the earlier members only, retrospective ones all the others. No sum depends on the events of
    other groups, in its last digit neither, unless it is causal: requests can be judged together.
    """

    def __init__(self, key: Key, by_time: Index) -> None:
        """Group events by ``key`` [N]; ``by_time`` lists those that are members (one at least) in the order of time.

        What is returned for events that are no members means nothing.
        """
        self._key = key
        self._by_time = by_time
        # Worked out once, when asked for; `functools.cached_property` takes a lock for each.
        self._in_order: tuple[Index, NDArray[np.int64]] | None = None
        self._start: Index | None = None
        self._begin: Index | None = None
        self._narrow: Key | None = None

    def others(self, *, causal: bool) -> Index:
        """Return the number [N] of other members."""
        if causal:
            place = np.arange(len(self.order))
            return self.by_event(place - self._first())
        number = self._numbered()
        return np.bincount(self._of_members(number.values), minlength=number.width)[number.values] - 1

    def sum_of_others(self, values: NDArray[np.float64], *, causal: bool) -> NDArray[np.float64]:
        """Return the sum [N] of ``values`` [N] over the other members."""
        if causal:
            running: NDArray[np.float64] = np.concatenate(([0.0], values[self.order].cumsum()))
            return self.by_event(running[:-1] - running[self._first()])
        number = self._numbered()
        sums = np.bincount(self._of_members(number.values), self._of_members(values), minlength=number.width)
        return sums[number.values] - values

    def neighbour(self, steps: int) -> Found:
        """Return the member ``steps`` later (earlier if negative)."""
        far = abs(steps)
        late, early = slice(far, None), slice(None, max(len(self.order) - far, 0))
        there, exists = np.zeros(len(self._key.values), dtype=np.intp), np.zeros(len(self._key.values), dtype=np.bool_)
        asked, found = (late, early) if steps < 0 else (early, late)
        there[self.order[asked]] = self.order[found]
        exists[self.order[asked]] = self.run[late] == self.run[early]
        return there, exists

    def around(self, steps: Index) -> Found:
        """Return the places [S, n] in ``order`` of the members ``steps`` [S, 1] later than each, as in `neighbour`."""
        return self._of_group(np.arange(len(self.run)) + steps)

    def strangers(self, owner: NDArray[np.integer]) -> tuple[Found, Found]:
        """Return the nearest earlier and the nearest later member with another ``owner`` [N]."""
        owners = owner[self.order]
        new = changes(self.run)
        new[1:] |= owners[1:] != owners[:-1]
        start = new.nonzero()[0]
        stretch = new.cumsum() - 1  # of members of one owner, one after the other
        return self._member(start[stretch] - 1), self._member(np.append(start[1:], len(new))[stretch])

    def _member(self, place: Index) -> Found:
        """Return the members at ``place`` [N], which is given and meant in group order, if they are of the group."""
        inside, exists = self._of_group(place)
        return self.by_event(self.order[inside]), self.by_event(exists)

    def _of_group(self, place: Index) -> Found:
        """Return the places [.., n] in ``order`` that were given, and whether each is of the same group."""
        inside = np.minimum(np.maximum(place, 0), len(self.run) - 1)  # `numpy.clip` costs four times as much
        return inside, (inside == place) & (self.run[inside] == self.run)

    @property
    def order(self) -> Index:
        """The members, group by group, in the order of time."""
        return self._sorted()[0]

    @property
    def run(self) -> NDArray[np.int64]:
        """What tells the group of each member in ``order``."""
        return self._sorted()[1]

    def _sorted(self) -> tuple[Index, NDArray[np.int64]]:
        if self._in_order is None:
            give_way()
            rank, run = stable_order(self._of_members(self._key.values, in_time=True), self._key.width)
            self._in_order = self._by_time[rank], run
        return self._in_order

    @property
    def start(self) -> Index:
        """Where in ``order`` each group begins."""
        if self._start is None:
            self._start = changes(self.run).nonzero()[0]
        return self._start

    @property
    def number(self) -> Index:
        """The group [N] of each event, as an index into ``start``."""
        return self.by_event(np.repeat(np.arange(len(self.start)), sizes(self.start, len(self.run))))

    def _first(self) -> Index:
        """Return where in ``order`` the group of each member begins."""
        if self._begin is None:
            self._begin = self.start.repeat(sizes(self.start, len(self.run)))
        return self._begin

    def _numbered(self) -> Key:
        """Return the key, not much wider than there are events."""
        if self._narrow is None:
            n = len(self._key.values)
            if self._key.width <= _COUNTABLE * n + _COUNTABLE_LEAST:
                self._narrow = self._key
            else:
                number = changes(self.run).cumsum() - 1
                self._narrow = Key(self.by_event(number), int(number[-1]) + 1)
        return self._narrow

    def _of_members(self, values: NDArray[_Scalar], *, in_time: bool = False) -> NDArray[_Scalar]:
        everybody = len(self._by_time) == len(values) and not in_time
        return values if everybody else values[self._by_time]

    def by_event(self, values: NDArray[_Scalar]) -> NDArray[_Scalar]:
        """Return [N] what is given in ``order``; 0 for events that are no members."""
        spread = np.zeros(len(self._key.values), dtype=values.dtype)
        spread[self.order] = values
        return spread


def combine(first: Key, *more: Key) -> Key:
    """Return the key of the combinations of keys, each of less than 2**31 different values."""
    key = first
    for other in more:
        part = other
        if key.width * part.width >= 2**62:  # number the keys anew before they leave int64
            key, part = key.numbered(), part.numbered()
        key = Key(key.values * part.width + part.values, key.width * part.width)
    return key


def stable_order(key: NDArray[np.int64], width: int) -> tuple[Index, NDArray[np.int64]]:
    """Return ([n] the stable order of ``key`` [n], 0 .. ``width`` - 1, and [n] the sorted key).

    Numpy sorts 16-bit numbers by radix, five times faster than others: keys of up to 32 bits take one or two such
    passes, the lower half first. Few or wide keys are packed with their places and sorted as plain numbers.
    """
    n, bits = len(key), len(key).bit_length()
    if width <= 1 << 16 or (width <= 1 << 32 and n >= _RADIX_FROM):
        order = np.argsort(key.astype(np.uint16), kind="stable")  # cuts off the upper half
        if width > 1 << 16:
            order = order[np.argsort((key >> 16).astype(np.uint16)[order], kind="stable")]
        return order, key[order]
    if width.bit_length() + bits > _INT64_BITS:
        order = key.argsort(kind="stable")
        return order, key[order]
    packed = key << bits
    packed |= np.arange(n)
    packed.sort()
    return packed & ((1 << bits) - 1), packed >> bits


def sizes(start: Index, n: int) -> Index:
    """Return the lengths of the runs that begin at ``start`` and fill ``n`` places."""
    sizes = np.empty_like(start)
    np.subtract(start[1:], start[:-1], out=sizes[:-1])
    if len(start):
        sizes[-1] = n - start[-1]
    return sizes


def changes(values: NDArray[np.generic]) -> NDArray[np.bool_]:
    """Return where [N] a sorted column differs from the entry before; the first always does."""
    changed = np.ones(len(values), dtype=np.bool_)
    np.not_equal(values[1:], values[:-1], out=changed[1:])
    return changed
