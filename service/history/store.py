"""What a history stores, and the contract of its stores: append-only logs of scans, one per lot, and counts of items.

A lot's log serves both questions of a judgement: what the item itself did before, and what its mates did. Gateways keep
an index over the logs that they use (`service.history.index`) and judge from it, so a store is asked one thing:
"append these records if I know everything that stands before them, else tell me what I do not know". A record holds
what was judged, complete, so whoever reads it needs no other: an event is stored judged, or not at all, and once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from service.features import table as features

FORMAT = 4
"""Of the records and keys; raised with every change, so that gateways of two formats do not read each other."""

RECORD = np.dtype(
    [
        ("event_id", "<i8"),
        ("time_us", "<i8"),  # microseconds since 1970-01-01 UTC
        ("location_id", "<i8"),
        ("time_before_us", "<i8"),  # of the item's previous scan when this one was judged; its own for a first scan
        ("location_before", "<i8"),  # 0 for a first scan
        ("product", "<i8"),  # company and product of the code, 14 digits; below 0 if it is malformed
        ("date", "<i4"),  # digits of the code's date part, 0 if the code is malformed, as in the next two
        ("serial", "<i8"),
        ("header", "<i2"),
        ("event_type", "i1"),  # code, UNKNOWN included
        ("step", "i1"),  # level, UNKNOWN included
        ("kind_before", "i1"),  # 0..TYPES-1, -1 for a first scan
        ("commit", "V3"),  # random, one for all that was committed at once: where it is, all before it is the same too
        ("clock_s", "<i4"),  # what the clock of the place is ahead of UTC
        ("area", "<i8"),  # location id of the hub of the place
        ("lane_gap_ratio", "<f4"),  # feature as judged, as the next ones
        ("elsewhere_gap", "<f4"),
        ("companions", "<f4", len(features.NAMES[features.COMPANIONS])),
    ]
)
"""One scan of a log. The code is told by the name of the log and the parts here."""

GENERATION_BYTES = 8

MAX_LOG_EVENTS = 200_000
"""Events of one lot past which the older half is dropped."""

NAMESPACE = f"epc-sentinel:{FORMAT}:{features.feature_spec_hash()[:8]}:".encode()
"""Of keys in a shared store: gateways whose features differ share nothing."""


@dataclass(frozen=True, slots=True)
class Log:
    """One lot's log as a gateway knows it, and what it wants to append."""

    key: bytes
    generation: bytes  # name of this life of the log, b"" if there is none yet or nothing is known of it
    known_bytes: int  # of records
    append: bytes = b""  # whole records
    next_generation: bytes = b""  # the name if it begins anew: random, so that no two lives are taken for one
    last: bytes = b""  # the last record that is known: another one stands there if a failover lost some


@dataclass(frozen=True, slots=True)
class Tail:
    """What a gateway did not know of a log: it has another ``generation``, or goes on with ``records``."""

    generation: bytes
    records: bytes
    whole: bool  # from the beginning: forget what you knew


@dataclass(frozen=True, slots=True)
class Exchange:
    """What a gateway asks of a store: to commit, if nothing that it does not know stands in the logs."""

    logs: Sequence[Log]
    counts: Sequence[bytes]  # keys of the counts of items to read; the first is the one of all items
    grow: Sequence[int] | None = None  # what to add to each count when committing; None only reads
    expected: Sequence[int] | None = None  # commit only if the counts are these; None: whatever they are
    gateway: bytes = b""  # who asks
    claim: bool = False  # if this cannot be committed, nobody else may commit until this gateway did (CLAIM_S at most)


CLAIM_S = 0.05


@dataclass(frozen=True, slots=True)
class Reply:
    """What one exchange did. Not committed means that nothing was written."""

    committed: bool
    tails: dict[int, Tail]  # by position in the request: what was not known, empty if committed
    items: list[int]  # counts of items before this exchange, in the order asked
    cut: list[int]  # positions of the logs that lost their older half for their length, and began anew


@dataclass(frozen=True, slots=True)
class ServerMemory:
    """What a server of histories holds, and may hold, in bytes; 0 of ``limit``: as much as its machine has."""

    used: int
    limit: int


class Store(Protocol):
    """Keeps logs and counts of items, for one gateway or for many."""

    @property
    def server_memory(self) -> ServerMemory | None:
        """Of its server, as the last `ping` saw it; None if there is no server, or it did not say."""
        ...

    async def exchange(self, request: Exchange) -> Reply:
        """Commit if nothing unknown stands in the logs, else tell what; one atomic step.

        Raises:
            HistoryUnavailable: the store cannot be used now.
        """
        ...

    async def ping(self) -> None:
        """Raise HistoryUnavailable if the store cannot be used now."""
        ...

    async def close(self) -> None:
        """Let connections go."""
        ...
