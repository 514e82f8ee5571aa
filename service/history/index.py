"""What a gateway knows of the logs of a history: their records by item, and the statistics of their groups.

Derived from the logs alone and brought up to date by their tails, so it can be forgotten at any time.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.events import codes
from service.events.columns import Events
from service.events.groups import Index
from service.events.hash_table import KeyTable, mix, room
from service.events.vocabulary import type_index
from service.features.running_groups import Legs, RunningGroups, Scans, Sighting
from service.history.items import ALL_ITEMS, EVENT, Items, item_hash
from service.history.store import GENERATION_BYTES, RECORD, Log, Reply

_ROOM = 64
"""Rows of arrays at first: a gateway may have thousands of streams that hardly remember anything."""


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Where an index has U items, and the groups of items that they belong to."""

    lot: NDArray[np.int64]  # [U] number of the lot
    keys: NDArray[np.int64]  # [3, U] hashes of the item, of its lot and of the day of its lot
    rows: Index  # [3, U] their rows, 0 for what was never seen
    value: NDArray[np.int64]  # [3, U] 1 + the item's last record, 0 if there is none; items of the lot; and of the day

    @property
    def known(self) -> NDArray[np.bool_]:
        """Whether [U] the item has records."""
        known: NDArray[np.bool_] = self.value[0] > 0
        return known


@dataclass(frozen=True, slots=True, eq=False)
class News:
    """What a request adds to a history: n new events of U items."""

    records: NDArray[np.void]  # [n] log by log, each in the order of time
    appends: list[bytes]  # [L] the same for each log
    item: NDArray[np.int32]  # [n] the item of each record
    places: Places  # of the items
    grow: list[int]  # [C] new items by count
    sighting: Sighting


@dataclass(slots=True)
class _Lot:
    number: int  # of this life of the log, never used again
    generation: bytes
    known: int  # bytes


class HistoryIndex:
    """Lots, items and groups of the logs that were read."""

    def __init__(self) -> None:
        self.groups = RunningGroups()
        self._records = np.zeros(_ROOM, dtype=RECORD)  # of all lots, as they came
        self._before = np.zeros(_ROOM, dtype=np.int64)  # the record of the same item before each one, -1 if none
        self._length = 0
        # What was told, and is not in the columns yet: records with the lot [n] of each, or one's own news.
        self._todo: list[tuple[NDArray[np.void], NDArray[np.int64]] | News] = []
        self._told = 0  # records, those included
        self._lots: dict[bytes, _Lot] = {}
        self._next_lot = 1
        self._table = KeyTable()  # of items, their events, lots, and days of lots
        self._value = np.zeros(_ROOM, dtype=np.int64)  # of an event 1 + its record; of the others see `Places`
        self._counts: dict[bytes, int] = {}  # as the store had them when all items were as many
        self._doubtful: set[bytes] = set()  # counts that others have changed since, maybe

    def __len__(self) -> int:
        return self._told

    def settle(self) -> None:
        """Take in what was told since the last time: most of the work, and none for the event loop."""
        todo, self._todo = self._todo, []
        for told in todo:
            if isinstance(told, News):
                self._add(told.records, told.item, told.places, told.sighting)
            else:
                self._read(*told)

    def doubts(self, items: Items) -> bool:
        """Return whether a count of ``items`` was read before, and may have changed."""
        return not self._doubtful.isdisjoint(items.count_keys)

    def expect(self, items: Items) -> list[int]:
        """Return what the store counts, as far as known; of what was never read it is expected that it has nothing."""
        for key in items.log_keys:
            if key not in self._lots:
                self._forget(key)
        return [self._counts.setdefault(key, 0) for key in items.count_keys]

    def knew(self, reply: Reply) -> bool:
        """Return whether an exchange told nothing new."""
        return not reply.tails and self._counts.get(ALL_ITEMS, 0) == reply.items[0]

    def logs(self, items: Items, appends: Sequence[bytes] | None = None) -> list[Log]:
        """Return what is known of the logs of ``items``, with ``appends`` [L] to them."""
        logs = []
        for at, key in enumerate(items.log_keys):
            lot = self._lots.get(key) or _Lot(0, b"", 0)
            append = appends[at] if appends else b""
            logs.append(Log(key, lot.generation, lot.known, append, secrets.token_bytes(GENERATION_BYTES)))
        return logs

    def learn(self, items: Items, reply: Reply) -> None:
        """Take in what an exchange over the logs of ``items`` told."""
        if self._counts.get(ALL_ITEMS) != reply.items[0]:  # others were added somewhere: all counts are in doubt
            self._doubtful.update(self._counts)
            self._counts.clear()
        self._counts.update(zip(items.count_keys, reply.items, strict=True))
        self._doubtful.difference_update(items.count_keys)
        news: list[NDArray[np.void]] = []
        numbers: list[int] = []
        for at, key in enumerate(items.log_keys):
            tail = reply.tails.get(at)
            if key not in self._lots or (tail is not None and tail.whole):
                self._forget(key)
            if tail is not None:
                lot = self._lots[key]
                lot.generation, lot.known = tail.generation, lot.known + len(tail.records)
                news.append(np.frombuffer(tail.records, dtype=RECORD))
                numbers.append(lot.number)
        if sum(map(len, news)):
            lot_of = np.repeat(numbers, [len(part) for part in news])
            self._told += len(lot_of)
            self._todo.append((np.concatenate(news), lot_of))

    def committed(self, items: Items, logs: Sequence[Log], reply: Reply, news: News) -> None:
        """Take in what was appended to ``logs``, those of ``items``."""
        self.learn(items, reply)
        self._counts.update(
            (key, count + more) for key, count, more in zip(items.count_keys, reply.items, news.grow, strict=True)
        )
        for log in logs:
            lot = self._lots[log.key]
            lot.generation = lot.generation or log.next_generation
            lot.known += len(log.append)
        self._told += len(news.records)
        self._todo.append(news)
        for at in reply.cut:
            del self._lots[items.log_keys[at]]

    def places(self, items: Items) -> Places:
        """Return where the items are, once all is settled."""
        numbers = np.array([self._lots[key].number for key in items.log_keys], dtype=np.int64)
        return self._places(numbers[items.log_of], items.item, items.parts.day)

    def _places(self, lot: NDArray[np.int64], item: NDArray[np.int64], day: NDArray[np.int64]) -> Places:
        keys = mix(_PLACES, lot, np.stack([item, np.zeros_like(day), day]))
        rows = self._table.find(keys.ravel()).reshape(keys.shape)
        return Places(lot, keys, rows, self._value[rows])

    def find(self, places: Places, events: Events, limit: int) -> tuple[Index, Index, Index]:
        """Return the records of U items: ([K] numbers for `take`, item by item as they came, [K] item, [A] found).

        Of each item these are the last ``limit`` ones, or, if ``events`` [A] repeat some, all since the first of those,
        and ``limit`` before. ``found`` is the place in K of each event that is stored, -1 if it is new.
        """
        found = np.full(len(events), -1)
        old = np.flatnonzero(places.known[events.epc])
        if not len(old):
            none = np.zeros(0, dtype=np.intp)
            return none, none, found
        keys = mix(EVENT, places.keys[0, events.epc[old]], events.event_id[old])
        stored = np.full(len(events), -1)
        stored[old] = self._value[self._table.find(keys)] - 1
        repeated = np.flatnonzero(stored >= 0)
        first_repeated = np.full(len(places.lot), self._length)
        np.minimum.at(first_repeated, events.epc[repeated], stored[repeated])
        chains = self._chains(places.value[0] - 1, first_repeated, limit)
        item, rows = (np.concatenate(column) for column in zip(*chains, strict=True))
        order = np.lexsort((rows, item))
        by_row = np.argsort(rows[order])
        found[repeated] = by_row[np.searchsorted(rows[order][by_row], stored[repeated])]
        return rows[order], item[order], found

    def _chains(self, row: Index, first_repeated: Index, limit: int) -> Iterator[tuple[Index, Index]]:
        """Yield (items, a record of each), from their last ones ``row`` [U] back; see `find`."""
        left = np.full(len(row), limit)
        item = np.flatnonzero(row >= 0)
        row = row[item]
        yield item, row
        while len(item):
            left[item] -= row < first_repeated[item]
            row = self._before[row]
            goes_on = (row >= 0) & (left[item] > 0)
            item, row = item[goes_on], row[goes_on]
            yield item, row

    def take(self, rows: Index) -> NDArray[np.void]:
        """Return records."""
        return self._records[rows]

    def count(self, items: Items, places: Places) -> dict[str, NDArray[np.float64]]:
        """Return how many items [U] each group of items has, by its name in `features_companions`."""
        well_formed = items.parts.well_formed
        counts = np.array([self._counts[key] for key in items.count_keys], dtype=np.float64)
        by_name = {
            name: np.where(well_formed, counts[index], places.known) for name, index in items.count_of.items()
        }  # a malformed code has no mates: of its groups it is the only item
        return by_name | {
            "lot": places.value[1].astype(np.float64),
            "day": places.value[2].astype(np.float64),
            "all": np.full(len(well_formed), counts[0]),
        }

    def _forget(self, key: bytes) -> None:
        self._lots[key] = _Lot(self._next_lot, b"", 0)
        self._next_lot += 1

    def _read(self, records: NDArray[np.void], lot_of: NDArray[np.int64]) -> None:
        """Add records, those of one log in its order."""
        scans = _scans(records, lot_of)
        day, _ = codes.calendar_day(records["date"].astype(np.int64))
        places = self._places(lot_of, scans.item, day)
        self._add(records, np.arange(len(records)), places, self.groups.sight_all(scans))

    def _add(
        self, records: NDArray[np.void], item: Index | NDArray[np.int32], places: Places, sighting: Sighting
    ) -> None:
        """Add records [n], those of one log in its order, with their ``item`` [n] in ``places`` and their groups."""
        begin, end = self._length, self._length + len(records)
        self._records, self._before = room(self._records, end), room(self._before, end)
        self._records[begin:end] = records
        events = mix(EVENT, places.keys[0, item], records["event_id"])
        rows = self._table.add(
            np.concatenate([places.keys.ravel(), events]),
            np.concatenate([places.rows.ravel(), np.zeros(len(records), dtype=np.intp)]),  # stored once: it is new
        )
        self._value = room(self._value, len(self._table) + 1)
        of_places, of_event = rows[: places.keys.size].reshape(places.keys.shape), rows[places.keys.size :]
        number = np.arange(begin, end)
        self._value[of_event] = number + 1

        order = np.argsort(of_places[0, item], kind="stable")
        of_item, number = of_places[0, item[order]], number[order]
        starts = np.append(True, of_item[1:] != of_item[:-1])
        before = np.append(-1, number[:-1])
        before[starts] = self._value[of_item[starts]] - 1
        self._before[number] = before
        last = np.append(starts[1:], True)
        self._value[of_item[last]] = number[last] + 1

        np.add.at(self._value, of_places[1:, item[order[before < 0]]].ravel(), 1)
        self._length = end
        self.groups.add(sighting)


_PLACES = np.array([[6], [7], [8]])  # these tell the hashes of one meaning from those of the others


def _scans(records: NDArray[np.void], lot: NDArray[np.int64]) -> Scans:
    return Scans(
        lot=lot,
        item=item_hash(records["header"], records["date"], records["serial"]),
        serial=records["serial"].astype(np.float64),
        location_id=records["location_id"],
        kind=type_index(records["event_type"]),
        time_us=records["time_us"],
        legs=legs(records),
    )


def legs(records: NDArray[np.void]) -> Legs:
    """Return the previous scans of stored ones."""
    return Legs(records["location_before"], records["kind_before"].astype(np.int64), records["time_before_us"])
