"""The history in this process: gone with it, bounded by events and by age."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass

from service.history.store import CLAIM_S, MAX_LOG_EVENTS, RECORD, Exchange, Log, Reply, Tail


class MemoryStore:
    """The store in this process: gone with it, bounded by events and by age."""

    def __init__(self, *, max_events: int, ttl_s: float, max_log_events: int = MAX_LOG_EVENTS) -> None:
        """Args: ``ttl_s`` a log lives after its last event; past ``max_events`` the oldest logs go, and of a log that
        is as long alone the older half.
        """
        self._max_counts = max_events
        self._max_bytes = max_events * RECORD.itemsize
        self._max_log_bytes = min(max_log_events, max_events) * RECORD.itemsize
        self._ttl_s = ttl_s
        self._logs: OrderedDict[bytes, _StoredLog] = OrderedDict()  # the least recently written first
        self._items: OrderedDict[bytes, int] = OrderedDict()
        self._bytes = 0
        self._claim = b"", 0.0  # who may commit alone, and until when

    async def exchange(self, request: Exchange) -> Reply:
        """See `Store.exchange`."""
        self._expire()
        items = [self._items.get(key, 0) for key in request.counts]
        tails = {at: tail for at, log in enumerate(request.logs) if (tail := self._unknown(log)) is not None}
        holder, until = self._claim
        taken = until > time.monotonic() and holder != request.gateway
        if request.grow is None or tails or request.expected not in (None, items) or taken:
            if request.claim and not taken:
                self._claim = request.gateway, time.monotonic() + CLAIM_S
            return Reply(False, tails, items, [])
        if holder == request.gateway:
            self._claim = b"", 0.0
        cut = [at for at, log in enumerate(request.logs) if log.append and self._append(log)]
        for key, more in zip(request.counts, request.grow, strict=True):
            if more:
                self._items[key] = self._items.pop(key, 0) + more
        while len(self._items) > self._max_counts:
            self._items.popitem(last=False)
        return Reply(True, {}, items, cut)

    @property
    def server_memory(self) -> None:
        """See `Store.server_memory`: the metrics of the process have it."""

    async def ping(self) -> None:
        """See `Store.ping`."""

    async def close(self) -> None:
        """See `Store.close`."""

    def _unknown(self, log: Log) -> Tail | None:
        stored = self._logs.get(log.key)
        if stored is None:
            return Tail(b"", b"", whole=True) if log.generation else None
        if stored.generation != log.generation or not _has(stored.records, log):
            return Tail(stored.generation, bytes(stored.records), whole=True)
        if len(stored.records) > log.known_bytes:
            return Tail(stored.generation, bytes(stored.records[log.known_bytes :]), whole=False)
        return None

    def _append(self, log: Log) -> bool:
        """Append to a log; return whether it was cut."""
        stored = self._logs.setdefault(log.key, _StoredLog(log.next_generation, bytearray(), 0.0))
        stored.records += log.append
        stored.written = time.monotonic()
        self._logs.move_to_end(log.key)
        self._bytes += len(log.append)
        if len(stored.records) <= self._max_log_bytes:
            return False
        gone = len(stored.records) // RECORD.itemsize // 2 * RECORD.itemsize
        del stored.records[:gone]
        self._bytes -= gone
        stored.generation = log.next_generation
        return True

    def _expire(self) -> None:
        """Drop the logs that are too old, and the oldest ones while there is too much."""
        limit = time.monotonic() - self._ttl_s
        while self._logs and (self._bytes > self._max_bytes or next(iter(self._logs.values())).written < limit):
            _, stored = self._logs.popitem(last=False)
            self._bytes -= len(stored.records)


@dataclass(slots=True)
class _StoredLog:
    generation: bytes
    records: bytearray
    written: float


def _has(records: bytearray, log: Log) -> bool:
    """Return whether what is known of a log stands in its ``records``."""
    return len(records) >= log.known_bytes and records.startswith(log.last, log.known_bytes - len(log.last))
