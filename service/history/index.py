"""What did the items do, and their mates? The records that a gateway has read, by item and by event, and their groups.

Derived from the logs alone and brought up to date by their tails, so it can be forgotten at any time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.events import codes
from service.events.columns import Events
from service.events.groups import Index
from service.events.hash_table import KeyTable, mix, room
from service.events.vocabulary import type_index
from service.features.running_groups import GroupedScans, Legs, RunningGroups, Sighting
from service.history.items import EVENT, EVENT_COLUMNS, ITEM_ROWS, NamedItems, item_hash
from service.history.ledger import Told
from service.history.store import RECORD

_ROOM = 64
"""Rows of arrays at first: a gateway may have thousands of streams that hardly remember anything."""


_REACH = 4
"""Records of an item that are looked through at most for each of its events in a request."""


@dataclass(frozen=True, slots=True, eq=False)
class ItemRows:
    """Where an index has U items, and the groups of items that they belong to."""

    lot: NDArray[np.int64]  # [U] number of the lot
    keys: NDArray[np.int64]  # [3, U] hashes of the item, of its lot and of the day of its lot
    rows: Index  # [3, U] their rows, 0 for what was never seen
    value: NDArray[np.int64]  # [3, U] 1 + the item's last record, 0 if there is none; items of the lot; and of the day

    @property
    def has_records(self) -> NDArray[np.bool_]:
        """Whether [U] the item has records."""
        has_records: NDArray[np.bool_] = self.value[0] > 0
        return has_records


@dataclass(frozen=True, slots=True, eq=False)
class News:
    """What a request adds to a history: n new events of U items."""

    records: NDArray[np.void]  # [n] log by log, each in the order of time
    appends: list[bytes]  # [L] the same for each log
    item: NDArray[np.int32]  # [n] the item of each record
    rows: ItemRows  # of the items
    grow: list[int]  # [C] new items by count
    sighting: Sighting


@dataclass(frozen=True, slots=True, eq=False)
class StoredEvents:
    """What an index has for a request of A events: K records of their items."""

    numbers: Index  # [K] of the records for `HistoryIndex.take`, item by item as they came
    epc: Index  # [K] the item of each
    record: Index  # [A] number of the record of each event, -1 if it is new
    place: Index  # [A] where that is in K, -1 if it is not there
    is_far: NDArray[np.bool_]  # [A] the item has so many records that only its last ones are in K


class HistoryIndex:
    """NamedItems, events and groups of the logs that were read; lots go by the numbers that the ledger gives them."""

    def __init__(self) -> None:
        self.groups = RunningGroups()
        self._records = np.zeros(_ROOM, dtype=RECORD)  # of all lots, as they came
        self._lot = np.zeros(_ROOM, dtype=np.int64)  # of each record
        self._before = np.zeros(_ROOM, dtype=np.int64)  # the record of the same item before each one, -1 if none
        self._by_lot: Index | None = None  # the order of the records by lot, once asked for
        self._length = 0
        self._queue: list[Told | News] = []  # what is not in the columns yet
        self._queued = 0  # records in it
        self._table = KeyTable()  # of items, their events, lots, and days of lots
        self._value = np.zeros(_ROOM, dtype=np.int64)  # of an event 1 + its record; of the others see `ItemRows`

    def __len__(self) -> int:
        return self._length + self._queued

    def queue(self, told: Told | News) -> None:
        """Remember what others, or oneself, have stored until it is taken in."""
        if isinstance(told, Told) and told.lost:
            self.groups.begin_traffic_anew()
        if len(told.records):
            self._queue.append(told)
            self._queued += len(told.records)

    def take_in(self) -> None:
        """Take in what was queued: most of the work, and none for the event loop."""
        queue, self._queue = self._queue, []
        for told in queue:
            if isinstance(told, News):
                self._add(told.records, told.item, told.rows, told.sighting)
            else:
                self._read(told)
            self._queued -= len(told.records)

    def lots(self) -> set[int]:
        """Return the numbers of the lots of which records were taken in."""
        return set(np.unique(self._lot[: self._length]).tolist())

    def of_lots(self, numbers: Sequence[int]) -> Told:
        """Return the records of the lots of those numbers that were taken in, as they came; nothing comes any more."""
        if self._by_lot is None:
            self._by_lot = np.argsort(self._lot[: self._length], kind="stable")
        lots = self._lot[self._by_lot]
        begins, ends = (np.searchsorted(lots, numbers, side=side).tolist() for side in ("left", "right"))
        rows = np.concatenate([self._by_lot[begin:end] for begin, end in zip(begins, ends, strict=True)])
        return Told(self._records[rows], self._lot[rows])

    def whole(self, lots: Sequence[int]) -> Told:
        """Return the records of ``lots`` that were taken in, as they came."""
        rows = np.flatnonzero(np.isin(self._lot[: self._length], lots))
        return Told(self._records[rows], self._lot[rows])

    def rows(self, items: NamedItems, lot: NDArray[np.int64]) -> ItemRows:
        """Return where the items are, of the lots [U] of those numbers, once all is taken in."""
        return self._rows(lot, items.item, items.parts.day)

    def _rows(self, lot: NDArray[np.int64], item: NDArray[np.int64], day: NDArray[np.int64]) -> ItemRows:
        keys = mix(ITEM_ROWS, lot, np.stack([item, np.zeros_like(day), day]))
        rows = self._table.find(keys.ravel()).reshape(keys.shape)
        return ItemRows(lot, keys, rows, self._value[rows])

    def find(self, rows: ItemRows, events: Events, limit: int) -> StoredEvents:
        """Return what is stored of the ``events`` [A] and of the U items of ``rows``: the last ``limit`` records each.

        Of an item whose events are repeated there are all records since the first of those, and ``limit`` before;
        unless that is out of proportion to the events that it has here: see `StoredEvents.is_far`.
        """
        old = np.flatnonzero(rows.has_records[events.epc])
        record = np.full(len(events), -1)
        if not len(old):
            none = np.zeros(0, dtype=np.intp)
            return StoredEvents(none, none, record, record, np.zeros(len(events), dtype=np.bool_))
        columns = (getattr(events, name)[old] for name in EVENT_COLUMNS)
        keys = mix(EVENT, rows.keys[0, events.epc[old]], *columns)
        record[old] = self._value[self._table.find(keys)] - 1
        repeated = np.flatnonzero(record >= 0)
        first_repeated = np.full(len(rows.lot), self._length)
        np.minimum.at(first_repeated, events.epc[repeated], record[repeated])
        most = 2 * limit + _REACH * np.bincount(events.epc, minlength=len(rows.lot))
        item, number, is_far = self._last(rows.value[0] - 1, first_repeated, limit, most)
        order = np.lexsort((number, item))
        number, item = number[order], item[order]
        by_number = np.argsort(number)
        place = np.full(len(events), -1)
        at = by_number[np.minimum(np.searchsorted(number[by_number], record[repeated]), len(number) - 1)]
        place[repeated] = np.where(number[at] == record[repeated], at, -1)
        return StoredEvents(number, item, record, place, is_far[events.epc])

    def _last(
        self, row: Index, first_repeated: Index, limit: int, most: NDArray[np.int64]
    ) -> tuple[Index, Index, NDArray[np.bool_]]:
        """Return ([k] items, [k] a record of each, from their last ones ``row`` [U] back, [U] is far); see `find`."""
        left, is_far = np.full(len(row), limit), np.zeros(len(row), dtype=np.bool_)
        item = np.flatnonzero(row >= 0)
        row = row[item]
        items, rows, steps = [item], [row], 1
        while len(item):
            left[item] -= row < first_repeated[item]
            row = self._before[row]
            goes_on = (row >= 0) & (left[item] > 0)
            is_far[item[goes_on & (steps >= most[item])]] = True
            goes_on &= steps < most[item]
            item, row, steps = item[goes_on], row[goes_on], steps + 1
            items.append(item)
            rows.append(row)
        step = np.repeat(np.arange(len(items)), [len(one) for one in items])
        item, row = np.concatenate(items), np.concatenate(rows)
        kept = ~is_far[item] | (step < limit)
        return item[kept], row[kept], is_far

    def before(self, last: Index, limit: int) -> tuple[Index, Index]:
        """Return the ``limit`` records of the items up to each of ``last`` [n]: ([k] as they came, [k] up to which)."""
        chain = np.full((limit, len(last)), -1)
        row = last
        for step in range(limit):
            chain[limit - 1 - step] = row
            row = np.where(row >= 0, self._before[row], -1)
        by_last = chain.T.ravel()
        kept = np.flatnonzero(by_last >= 0)
        return by_last[kept], kept // limit

    def take(self, numbers: Index) -> NDArray[np.void]:
        """Return records by their numbers."""
        return self._records[numbers]

    def _read(self, told: Told) -> None:
        scans = _scans(told)
        day, _ = codes.calendar_day(told.records["date"].astype(np.int64))
        rows = self._rows(told.lot, scans.item, day)
        self._add(told.records, np.arange(len(told.records)), rows, self.groups.sight_all(scans))

    def _add(
        self, records: NDArray[np.void], item: Index | NDArray[np.int32], rows: ItemRows, sighting: Sighting
    ) -> None:
        """Add records [n], those of one log in its order, with their ``item`` [n] in ``rows`` and their groups."""
        begin, end = self._length, self._length + len(records)
        self._records, self._before = room(self._records, end), room(self._before, end)
        self._lot = room(self._lot, end)
        self._records[begin:end], self._lot[begin:end] = records, rows.lot[item]
        events = mix(EVENT, rows.keys[0, item], *(records[name] for name in EVENT_COLUMNS))
        added = self._table.add(
            np.concatenate([rows.keys.ravel(), events]),
            np.concatenate([rows.rows.ravel(), np.zeros(len(records), dtype=np.intp)]),  # stored once: it is new
        )
        self._value = room(self._value, len(self._table) + 1)
        of_rows, of_event = added[: rows.keys.size].reshape(rows.keys.shape), added[rows.keys.size :]
        number = np.arange(begin, end)
        self._value[of_event] = number + 1

        order = np.argsort(of_rows[0, item], kind="stable")
        of_item, number = of_rows[0, item[order]], number[order]
        starts = np.append(True, of_item[1:] != of_item[:-1])
        before = np.append(-1, number[:-1])
        before[starts] = self._value[of_item[starts]] - 1
        self._before[number] = before
        last = np.append(starts[1:], True)
        self._value[of_item[last]] = number[last] + 1

        np.add.at(self._value, of_rows[1:, item[order[before < 0]]].ravel(), 1)
        self._length = end
        self.groups.add(sighting)


def _scans(told: Told) -> GroupedScans:
    records = told.records
    return GroupedScans(
        lot=told.lot,
        product=np.where(records["product"] < 0, -1 - told.lot, records["product"]),
        item=item_hash(records["header"], records["date"], records["serial"]),
        serial=records["serial"],
        location_id=records["location_id"],
        kind=type_index(records["event_type"]),
        time_us=records["time_us"],
        legs=legs(records),
        lane_gap_ratio=records["lane_gap_ratio"],
        clock_us=records["clock_s"].astype(np.int64) * 1_000_000,
        area=records["area"],
    )


def legs(records: NDArray[np.void]) -> Legs:
    """Return the previous scans of stored ones."""
    return Legs(records["location_before"], records["kind_before"].astype(np.int64), records["time_before_us"])
