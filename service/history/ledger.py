"""What does this gateway know of the store? Its logs, as far as they were read, and its counts of items.

A gateway judges from what it knows, and commits on condition that nothing else stands there. A request goes:

0. Use. The lots that it needs are taken down as used last (`use`); others may be forgotten before (`keep`).
1. Read. Where a count is in doubt (`must_read`), or others seem to write, what is new is asked for (`to_read`) and
   taken down (`learn`); the records go to the index.
2. Expect. What the commit will depend on is written down: the counts as far as known (`expect`).
3. Plan. The request is judged from the index (`plan.plan`).
4. Commit. Its news are offered (`to_commit`). Accepted: they are taken down as stored (`committed`). Refused: nothing
   was written and the reply tells why; it is taken down (`learn`), and the request planned again (3), then without an
   expectation: what was read just now is recent enough, and other lots may go on meanwhile.
5. Confirm. Where a plan has no news the store is only asked (`to_read`) whether it still has what was judged from; if
   it has not, that is taken down (`learn`), and the request planned again (3).
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import takewhile

import numpy as np
from numpy.typing import NDArray

from service.history.items import ALL_ITEMS, NamedItems, count_keys
from service.history.store import GENERATION_BYTES, RECORD, Exchange, Log, Reply


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """Records [n] that a reply told, those of one log in its order."""

    records: NDArray[np.void]
    lot: NDArray[np.int64]  # number of the lot of each
    lost: bool = False  # a log that was known is gone: what it brought comes again


_LATEST = 2
"""Requests before the present one whose lots are kept whatever their size."""

_NOTHING = Told(np.zeros(0, dtype=RECORD), np.zeros(0, dtype=np.int64))


@dataclass(slots=True)
class _Lot:
    number: int  # of this life of the log, never used again
    generation: bytes  # b"" if nothing is known of the log
    known_bytes: int
    last: bytes  # the last record that is known
    used: int  # by which request, as the ledger counts them


class Ledger:
    """Logs with what is known of each, and counts with those that are in doubt. Nobody else writes to it meanwhile."""

    def __init__(self) -> None:
        self._lots: dict[bytes, _Lot] = {}  # the last used are the last ones
        self._requests = 0
        self._next_number = 1
        self._counts: dict[bytes, int] = {}  # as the store had them when all items were as many
        self._doubtful: set[bytes] = set()  # counts that others have changed since, maybe

    def use(self, items: NamedItems) -> list[int]:
        """Take down that a request needs the lots of ``items``, and return the numbers of those that are known."""
        self._requests += 1
        known = [(key, lot) for key in items.log_keys if (lot := self._lots.pop(key, None)) is not None]
        self._lots.update(known)
        for _, lot in known:
            lot.used = self._requests
        return [lot.number for _, lot in known]

    def latest(self) -> set[int]:
        """Return the numbers of the lots that the last requests used: whoever asks by turns needs them again."""
        return {lot.number for lot in takewhile(self._is_latest, reversed(self._lots.values()))}

    def keep(self, lots: Collection[int], events: int) -> dict[int, int]:
        """Forget all but those of ``lots`` that were used last, with so many ``events``, and the latest in any case.

        Returns:
            The events of each lot that was kept, by its number.
        """
        kept: dict[bytes, _Lot] = {}
        for key, lot in reversed(self._lots.items()):
            events -= lot.known_bytes // RECORD.itemsize
            if lot.number in lots and (events >= 0 or self._is_latest(lot)):
                kept[key] = lot
        self._lots = dict(reversed(kept.items()))
        counts = {ALL_ITEMS}.union(*map(count_keys, kept))
        self._counts = {key: count for key, count in self._counts.items() if key in counts}
        self._doubtful &= counts
        return {lot.number: lot.known_bytes // RECORD.itemsize for lot in kept.values()}

    def _is_latest(self, lot: _Lot) -> bool:
        return lot.used >= self._requests - _LATEST

    def must_read(self, items: NamedItems) -> bool:
        """Return whether a count of ``items`` was read before, and may have changed."""
        return not self._doubtful.isdisjoint(items.count_keys)

    def to_read(self, items: NamedItems) -> Exchange:
        """Return the exchange that asks what there is beside what is known."""
        return Exchange(self._logs(items), items.count_keys)

    def is_news(self, reply: Reply) -> bool:
        """Return whether a reply, not learned yet, tells what others did."""
        return bool(reply.tails) or self._counts.get(ALL_ITEMS, 0) != reply.items[0]

    def learn(self, items: NamedItems, reply: Reply) -> Told:
        """Take down what the store told of the logs and counts of ``items``, and return the records that are new."""
        if self._counts.get(ALL_ITEMS) != reply.items[0]:  # others were added somewhere: all counts are in doubt
            self._doubtful.update(self._counts)
            self._counts.clear()
        self._counts.update(zip(items.count_keys, reply.items, strict=True))
        self._doubtful.difference_update(items.count_keys)
        news: list[NDArray[np.void]] = []
        numbers: list[int] = []
        lost = False
        for at, key in enumerate(items.log_keys):
            tail = reply.tails.get(at)
            lost |= tail is not None and tail.whole and key in self._lots and self._lots[key].known_bytes > 0
            if key not in self._lots or (tail is not None and tail.whole):
                self._begin(key)
            if tail is not None:
                lot = self._lots[key]
                lot.generation, lot.known_bytes = tail.generation, lot.known_bytes + len(tail.records)
                lot.last = tail.records[-RECORD.itemsize :] or lot.last
                news.append(np.frombuffer(tail.records, dtype=RECORD))
                numbers.append(lot.number)
        if not news:
            return _NOTHING
        return Told(np.concatenate(news), np.repeat(numbers, [len(part) for part in news]), lost)

    def expect(self, items: NamedItems) -> list[int]:
        """Return what the store counts, as far as known; of what was never read it is expected that it has nothing."""
        for key in items.log_keys:
            if key not in self._lots:
                self._begin(key)
        return [self._counts.setdefault(key, 0) for key in items.count_keys]

    def to_commit(  # noqa: PLR0913
        self,
        items: NamedItems,
        appends: Sequence[bytes],
        grow: Sequence[int],
        *,
        expected: Sequence[int] | None,
        gateway: bytes,
        claim: bool,
    ) -> Exchange:
        """Return the exchange that offers ``appends`` [L] to the logs of ``items``; the rest is as in `Exchange`."""
        return Exchange(self._logs(items, appends), items.count_keys, grow, expected, gateway, claim)

    def committed(self, items: NamedItems, offer: Exchange, reply: Reply) -> None:
        """Take down that the ``offer`` was accepted."""
        self.learn(items, reply)
        for key, count, more in zip(items.count_keys, reply.items, offer.grow or (), strict=True):
            self._counts[key] = count + more
        for log in offer.logs:
            lot = self._lots[log.key]
            lot.generation = lot.generation or log.next_generation
            lot.known_bytes += len(log.append)
            lot.last = log.append[-RECORD.itemsize :] or lot.last
        for at in reply.cut:
            del self._lots[items.log_keys[at]]

    def lots(self, items: NamedItems) -> NDArray[np.int64]:
        """Return the number [U] of the lot of each item, once they were learned or expected."""
        numbers = np.array([self._lots[key].number for key in items.log_keys], dtype=np.int64)
        return numbers[items.log_of]

    def keys(self) -> dict[int, bytes]:
        """Return the key of each lot that is known, by its number."""
        return {lot.number: key for key, lot in self._lots.items()}

    def fitting(self, numbers: Sequence[int], events: int) -> list[int]:
        """Return the first of the lots ``numbers``, as many as have so many ``events``, and one in any case."""
        size_of = self._sizes()
        fitting: list[int] = []
        for number in dict.fromkeys(numbers):
            events -= size_of[number]
            if fitting and events < 0:
                break
            fitting.append(number)
        return fitting

    def filled(self, numbers: Sequence[int], events: int) -> list[int]:
        """Return the lots ``numbers``, and others that were used last, while all have so many ``events`` at most."""
        size_of = self._sizes()
        filled = dict.fromkeys(numbers)
        events -= sum(size_of[number] for number in numbers)
        for number in filter(lambda number: number not in filled, reversed(size_of)):
            events -= size_of[number]
            if events < 0:
                break
            filled[number] = None
        return list(filled)

    def _sizes(self) -> dict[int, int]:
        """Return the events of each lot by its number, the last used the last."""
        return {lot.number: lot.known_bytes // RECORD.itemsize for lot in self._lots.values()}

    def counts(self, items: NamedItems) -> NDArray[np.float64]:
        """Return the counts [C] of the items, once they were learned or expected."""
        return np.array([self._counts[key] for key in items.count_keys], dtype=np.float64)

    def _logs(self, items: NamedItems, appends: Sequence[bytes] | None = None) -> list[Log]:
        """Return what is known of the logs of ``items``, with ``appends`` [L] to them."""
        logs = []
        for at, key in enumerate(items.log_keys):
            lot = self._lots.get(key) or _Lot(0, b"", 0, b"", 0)
            append = appends[at] if appends else b""
            name = secrets.token_bytes(GENERATION_BYTES)
            logs.append(Log(key, lot.generation, lot.known_bytes, append, name, lot.last))
        return logs

    def _begin(self, key: bytes) -> None:
        """Begin a log anew, as one of which nothing is known."""
        self._lots.pop(key, None)
        self._lots[key] = _Lot(self._next_number, b"", 0, b"", self._requests)
        self._next_number += 1
