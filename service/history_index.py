"""What a gateway knows of the logs of a history: their records by item, and the statistics of their groups.

Derived from the logs alone and brought up to date by their tails, so it can be forgotten at any time.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service import codes
from service.history import GENERATION_BYTES, RECORD, Log, Reply
from service.history_groups import Legs, RunningGroups, Scans, mix
from service.journeys import Index
from service.reference import TYPES

ALL_ITEMS = b"all"


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
        log_of, product, number, number_product = ([0] * len(epc_codes) for _ in range(4))
        for at, (code, well_formed) in enumerate(zip(epc_codes, parts.well_formed.tolist(), strict=True)):
            text = code.encode(errors="surrogatepass")
            if not well_formed:  # no mates: a log of its own, the name as short as that of others
                log_of[at] = logs.setdefault(b"?" + text if len(text) < 32 else b"#" + _digest(text), len(logs))
                continue
            log_of[at] = logs.setdefault(text[4:26], len(logs))
            product[at] = counts.setdefault(b"product:" + text[4:19], len(counts))
            number[at] = counts.setdefault(b"number:" + text[20:26], len(counts))
            number_product[at] = counts.setdefault(b"both:" + text[12:26], len(counts))
        by_name = {"product": product, "number": number, "number_product": number_product}
        return cls(
            parts=parts,
            log_keys=list(logs),
            log_of=np.array(log_of, dtype=np.intp),
            item=item_hash(parts.header, parts.date, parts.serial),
            count_keys=list(counts),
            count_of={name: np.array(index, dtype=np.intp) for name, index in by_name.items()},
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
        self._records = np.zeros(1024, dtype=RECORD)  # of all lots, as they came
        self._length = 0
        self._lots: dict[bytes, _Lot] = {}
        self._next_lot = 1
        self._rows: dict[int, list[int]] = {}  # hash of lot and item -> its records
        self._items: dict[int, int] = {}  # hash of lot, or of lot and day -> items
        self._counts: dict[bytes, int] = {}  # as the store had them when all items were as many

    def __len__(self) -> int:
        return self._length

    def covers(self, items: Items) -> bool:
        """Return whether all logs and counts of ``items`` have been read before."""
        return all(key in self._lots for key in items.log_keys) and all(key in self._counts for key in items.count_keys)

    def all_items(self) -> int:
        """Return how many items there were when counts were read last."""
        return self._counts[ALL_ITEMS]

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
            self._counts.clear()
        self._counts.update(zip(items.count_keys, reply.items, strict=True))
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
            self._add(np.concatenate(news), np.repeat(numbers, [len(part) for part in news]))

    def committed(self, items: Items, logs: Sequence[Log], reply: Reply, grow: Sequence[int]) -> None:
        """Take in what was appended to ``logs``, those of ``items``."""
        self.learn(items, reply)
        self._counts.update(
            (key, count + more) for key, count, more in zip(items.count_keys, reply.items, grow, strict=True)
        )
        numbers = []
        for log in logs:
            lot = self._lots[log.key]
            lot.generation = lot.generation or log.next_generation
            lot.known += len(log.append)
            numbers.append(lot.number)
        news = [np.frombuffer(log.append, dtype=RECORD) for log in logs]
        self._add(np.concatenate(news), np.repeat(numbers, [len(part) for part in news]))
        for at in reply.cut:
            del self._lots[items.log_keys[at]]

    def lots(self, items: Items) -> NDArray[np.int64]:
        """Return the number [U] of the lot of each code."""
        numbers = np.array([self._lots[key].number for key in items.log_keys], dtype=np.int64)
        return numbers[items.log_of]

    def find(self, lot: NDArray[np.int64], item: NDArray[np.int64]) -> list[list[int]]:
        """Return the records of U items, as they came: numbers for `take`."""
        return [self._rows.get(owner, _NOTHING) for owner in mix(_OWNER, lot, item).tolist()]

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
        return np.array([self._items.get(key, 0) for key in keys.tolist()], dtype=np.float64)

    def _forget(self, key: bytes) -> None:
        self._lots[key] = _Lot(self._next_lot, b"", 0)
        self._next_lot += 1

    def _add(self, records: NDArray[np.void], lot: NDArray[np.int64]) -> None:
        """Add records, those of one log in its order, and the number of the lot of each."""
        end = self._length + len(records)
        if end > len(self._records):
            self._records = np.concatenate([self._records, np.zeros(max(end, len(self._records)), dtype=RECORD)])
        self._records[self._length : end] = records
        item = item_hash(records["header"], records["date"], records["serial"])
        day, _ = codes.calendar_day(records["date"].astype(np.int64))
        rows, items = self._rows, self._items
        keys = (mix(_OWNER, lot, item).tolist(), mix(_LOT, lot).tolist(), mix(_DAY, lot, day).tolist())
        for row, (owner, of_lot, of_day) in enumerate(zip(*keys, strict=True), self._length):
            if owner in rows:
                rows[owner].append(row)
            else:
                rows[owner] = [row]
                items[of_lot] = items.get(of_lot, 0) + 1
                items[of_day] = items.get(of_day, 0) + 1
        self._length = end
        self.groups.add(_scans(records, lot, item))


_OWNER, _LOT, _DAY, _ITEM = 6, 7, 8, 9  # tell the hashes of one meaning from those of the others
_NOTHING: list[int] = []


def _scans(records: NDArray[np.void], lot: NDArray[np.int64], item: NDArray[np.int64]) -> Scans:
    return Scans(
        lot=lot,
        item=item,
        serial=records["serial"].astype(np.float64),
        location_id=records["location_id"],
        kind=records["event_type"].astype(np.int64) % TYPES,
        time_us=records["time_us"],
        legs=legs(records),
    )


def legs(records: NDArray[np.void]) -> Legs:
    """Return the previous scans of stored ones."""
    return Legs(records["location_before"], records["kind_before"].astype(np.int64), records["time_before_us"])
