"""What a gateway knows of the logs of a history: their records by item, and the statistics of their groups.

Derived from the logs alone and brought up to date by their tails, so it can be forgotten at any time.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service import codes
from service.events import Events
from service.history import GENERATION_BYTES, RECORD, Log, Reply
from service.history_groups import Legs, RunningGroups, Scans, Sighting
from service.history_table import KeyTable, mix, room
from service.journeys import Index
from service.reference import TYPES

ALL_ITEMS = b"all"

_ROOM = 64
"""Rows of arrays at first: a gateway may have thousands of streams that hardly remember anything."""


@dataclass(frozen=True, slots=True, eq=False)
class Items:
    """U codes as the history names them."""

    parts: codes.Codes
    log_keys: Sequence[bytes]  # [L] the distinct logs
    log_of: Index  # [U]
    item: NDArray[np.int64]  # [U] hash of the item inside its lot
    count_keys: Sequence[bytes]  # [C] the distinct counts; the first is that of all items
    count_of: Mapping[str, Index]  # product, number, number_product: [U] index into count_keys, 0 if malformed

    @classmethod
    def of(cls, epc_codes: Sequence[str]) -> Items:
        parts = codes.parse(epc_codes)
        logs: dict[bytes, int] = {}
        counts: dict[bytes, int] = {ALL_ITEMS: 0}
        log_of = []
        of_log: list[list[int]] = []  # product, number, number_product
        for code, well_formed in zip(epc_codes, parts.well_formed.tolist(), strict=True):
            text = code.encode(errors="surrogatepass")
            # No mates, if malformed: a log of its own, the name as short as that of others.
            name = text[4:26] if well_formed else b"?" + text if len(text) < 32 else b"#" + _digest(text)
            at = logs.setdefault(name, len(logs))
            log_of.append(at)
            if at == len(of_log):
                names = (b"product:" + name[:15], b"number:" + name[16:], b"both:" + name[8:]) if well_formed else ()
                of_log.append([counts.setdefault(one, len(counts)) for one in names] or [0, 0, 0])
        by_log = np.array(of_log, dtype=np.intp).reshape(-1, 3)[log_of]
        return cls(
            parts=parts,
            log_keys=list(logs),
            log_of=np.array(log_of, dtype=np.intp),
            item=item_hash(parts.header, parts.date, parts.serial),
            count_keys=list(counts),
            count_of=dict(zip(("product", "number", "number_product"), by_log.T, strict=True)),
        )


def item_hash(header: NDArray[np.integer], date: NDArray[np.integer], serial: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return the hash [n] that tells an item from the others of its lot."""
    return mix(_ITEM, header, date, serial)


def _digest(text: bytes) -> bytes:
    return hashlib.blake2b(text, digest_size=16).hexdigest().encode()


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
        self._lots: dict[bytes, _Lot] = {}
        self._next_lot = 1
        self._table = KeyTable()  # of items, their events, lots, and days of lots
        self._value = np.zeros(
            _ROOM, dtype=np.int64
        )  # of an item 1 + its last record, of an event 1 + its record; items
        self._counts: dict[bytes, int] = {}  # as the store had them when all items were as many
        self._doubtful: set[bytes] = set()  # counts that others have changed since, maybe

    def __len__(self) -> int:
        return self._length

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
            records, lot_of = np.concatenate(news), np.repeat(numbers, [len(part) for part in news])
            self._add(records, self.groups.sight(_scans(records, lot_of)))

    def committed(
        self, items: Items, logs: Sequence[Log], reply: Reply, grow: Sequence[int], sighting: Sighting
    ) -> None:
        """Take in what was appended to ``logs``, those of ``items``; ``sighting`` is of the same events, log by log."""
        self.learn(items, reply)
        self._counts.update(
            (key, count + more) for key, count, more in zip(items.count_keys, reply.items, grow, strict=True)
        )
        for log in logs:
            lot = self._lots[log.key]
            lot.generation = lot.generation or log.next_generation
            lot.known += len(log.append)
        self._add(np.frombuffer(b"".join([log.append for log in logs]), dtype=RECORD), sighting)
        for at in reply.cut:
            del self._lots[items.log_keys[at]]

    def lots(self, items: Items) -> NDArray[np.int64]:
        """Return the number [U] of the lot of each code."""
        numbers = np.array([self._lots[key].number for key in items.log_keys], dtype=np.int64)
        return numbers[items.log_of]

    def find(self, items: Items, lot: NDArray[np.int64], events: Events, limit: int) -> tuple[Index, Index, Index]:
        """Return the records of U items: ([K] numbers for `take`, item by item as they came, [K] item, [A] found).

        Of each item these are the last ``limit`` ones, or, if ``events`` [A] repeat some, all since the first of those,
        and ``limit`` before. ``found`` is the place in K of each event that is stored, -1 if it is new.
        """
        owner = mix(_OWNER, lot, items.item)
        stored = self._value[self._table.find(mix(_EVENT, owner[events.epc], events.event_id))] - 1
        repeated = np.flatnonzero(stored >= 0)
        first_repeated = np.full(len(owner), self._length)
        np.minimum.at(first_repeated, events.epc[repeated], stored[repeated])
        chains = self._chains(self._value[self._table.find(owner)] - 1, first_repeated, limit)
        item, rows = (np.concatenate(column) for column in zip(*chains, strict=True))
        order = np.lexsort((rows, item))
        by_row = np.argsort(rows[order])
        found = np.full(len(events), -1)
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

    def count(self, items: Items, lot: NDArray[np.int64], known: NDArray[np.bool_]) -> dict[str, NDArray[np.float64]]:
        """Return how many items [U] each group of items has, by its name in `features_companions`."""
        well_formed = items.parts.well_formed
        counts = np.array([self._counts[key] for key in items.count_keys], dtype=np.float64)
        by_name = {
            name: np.where(well_formed, counts[index], known) for name, index in items.count_of.items()
        }  # a malformed code has no mates: of its groups it is the only item
        return by_name | {
            "lot": self._item_counts(mix(_LOT, lot)),
            "day": self._item_counts(mix(_DAY, lot, items.parts.day)),
            "all": np.full(len(lot), counts[0]),
        }

    def _item_counts(self, keys: NDArray[np.int64]) -> NDArray[np.float64]:
        return self._value[self._table.find(keys)].astype(np.float64)

    def _forget(self, key: bytes) -> None:
        self._lots[key] = _Lot(self._next_lot, b"", 0)
        self._next_lot += 1

    def _add(self, records: NDArray[np.void], sighting: Sighting) -> None:
        """Add records, those of one log in its order."""
        begin, end = self._length, self._length + len(records)
        self._records, self._before = room(self._records, end), room(self._before, end)
        self._records[begin:end] = records
        lot, number = sighting.scans.lot, np.arange(begin, end)
        owner = mix(_OWNER, lot, sighting.scans.item)
        rows = self._rows(np.concatenate([owner, mix(_EVENT, owner, records["event_id"])]))
        of_item, of_event = np.split(rows, 2)
        self._value[of_event] = number + 1

        order = np.argsort(of_item, kind="stable")
        item, number = of_item[order], number[order]
        starts = np.append(True, item[1:] != item[:-1])
        before = np.append(-1, number[:-1])
        before[starts] = self._value[item[starts]] - 1
        self._before[number] = before
        last = np.append(starts[1:], True)
        self._value[item[last]] = number[last] + 1

        new = order[before < 0]
        day, _ = codes.calendar_day(records["date"][new].astype(np.int64))
        groups = self._rows(np.concatenate([mix(_LOT, lot[new]), mix(_DAY, lot[new], day)]))
        np.add.at(self._value, groups, 1)
        self._length = end
        self.groups.add(sighting)

    def _rows(self, keys: NDArray[np.int64]) -> Index:
        rows = self._table.add(keys)
        self._value = room(self._value, len(self._table) + 1)
        return rows


_OWNER, _LOT, _DAY, _ITEM, _EVENT = 6, 7, 8, 9, 10  # tell the hashes of one meaning from those of the others


def _scans(records: NDArray[np.void], lot: NDArray[np.int64]) -> Scans:
    return Scans(
        lot=lot,
        item=item_hash(records["header"], records["date"], records["serial"]),
        serial=records["serial"].astype(np.float64),
        location_id=records["location_id"],
        kind=records["event_type"].astype(np.int64) % TYPES,
        time_us=records["time_us"],
        legs=legs(records),
    )


def legs(records: NDArray[np.void]) -> Legs:
    """Return the previous scans of stored ones."""
    return Legs(records["location_before"], records["kind_before"].astype(np.int64), records["time_before_us"])
