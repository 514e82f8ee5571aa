"""Which lots does a gateway keep in memory? Those used last, in two indexes, so that memory and work stay bounded.

A full index becomes the old one, and an empty one takes its place. A lot that is used again moves there, with its
records and without asking the store. What was used too long ago to find room may not move: it is forgotten, and read
anew where somebody asks for it. So the work is spread over requests, and records move a few times each at most while as
many new ones come.
"""

from __future__ import annotations

from collections.abc import Collection

from service.history.index import HistoryIndex
from service.history.ledger import Ledger

_ROOM = 0.8
"""Share of an index that lots of the old one may fill; the rest is for what is new before the next one begins."""


class Generations:
    """The indexes of one gateway, each of half of ``max_events``, or of what the last requests need if that is more."""

    def __init__(self, max_events: int) -> None:
        self._full = max_events / 2
        self._index, self._old = HistoryIndex(), HistoryIndex()
        self._waiting: set[int] = set()  # lots of the old one that move when they are used
        self._kept = 0  # events of lots that have moved or wait
        self._moved = 0  # those of the former

    def __len__(self) -> int:
        return len(self._index) + len(self._old)

    @property
    def index(self) -> HistoryIndex:
        """Where the lots of a request are, once it has been made ready for them."""
        return self._index

    def is_ready(self, lots: Collection[int]) -> bool:
        """Return whether the index has room, and all of ``lots`` that are known."""
        return not self._is_full() and self._waiting.isdisjoint(lots)

    def make_ready(self, lots: Collection[int], ledger: Ledger) -> None:
        """Make the index ready for ``lots``; a lot that is forgotten goes from the ``ledger`` too."""
        if self._is_full():
            self._move(ledger.latest())
            self._index.take_in()
            kept = ledger.keep(self._index.lots(), int(_ROOM * self._full))
            self._old, self._index = self._index, HistoryIndex()
            self._waiting, self._kept, self._moved = set(kept), sum(kept.values()), 0
        self._move(lots)

    def _is_full(self) -> bool:
        size = len(self._index)
        return size > self._full and size - self._moved > (1 - _ROOM) * self._kept

    def _move(self, lots: Collection[int]) -> None:
        moving = self._waiting.intersection(lots)
        if moving:
            told = self._old.of_lots(sorted(moving))
            self._index.queue(told)
            self._index.take_in()  # here, where nobody but this history waits for it
            self._moved += len(told.records)
            self._waiting -= moving
