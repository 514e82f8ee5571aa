"""The protocol between gateways and their store, step by step: who commits depends on all that stands there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import numpy as np

from service.history.in_process import MemoryStore
from service.history.items import NamedItems
from service.history.ledger import Ledger, Told
from service.history.store import RECORD, Reply, Store
from tests.support.worlds import OTHER_LOT, code

LOT = NamedItems.of([code(4_000), code(4_001)])
OTHER = NamedItems.of([code(4_002, lot=OTHER_LOT)])


def records(count: int) -> bytes:
    return np.zeros(count, dtype=RECORD).tobytes()


def run(work: Callable[[Store], Awaitable[None]], *, max_log_events: int = 100) -> None:
    asyncio.run(work(MemoryStore(max_events=1_000, ttl_s=60, max_log_events=max_log_events)))


async def read(ledger: Ledger, store: Store, items: NamedItems) -> tuple[Reply, Told]:
    reply = await store.exchange(ledger.to_read(items))
    return reply, ledger.learn(items, reply)


async def commit(
    ledger: Ledger, store: Store, items: NamedItems, *, events: int = 1, new: int = 0, expected: list[int] | None = None
) -> Reply:
    """Offer some events of the first lot, and take down what came of it."""
    appends = [records(events), *[b""] * (len(items.log_keys) - 1)]
    grow = [new] * len(items.count_keys)
    offer = ledger.to_commit(items, appends, grow, expected=expected, gateway=b"me", claim=False)
    reply = await store.exchange(offer)
    if reply.committed:
        ledger.committed(items, offer, reply)
    return reply


def test_who_knows_all_commits_again_and_again_without_reading() -> None:
    async def work(store: Store) -> None:
        ledger = Ledger()
        for _ in range(3):
            assert not ledger.must_read(LOT)
            assert (await commit(ledger, store, LOT, new=1, expected=ledger.expect(LOT))).committed
        reply, told = await read(ledger, store, LOT)
        assert not ledger.is_news(reply)
        assert len(told.records) == 0
        assert ledger.counts(LOT).tolist() == [3] * len(LOT.count_keys)

    run(work)


def test_who_missed_something_is_refused_learns_it_and_commits() -> None:
    async def work(store: Store) -> None:
        one, other = Ledger(), Ledger()
        assert (await commit(one, store, LOT, events=2, expected=one.expect(LOT))).committed
        refused = await commit(other, store, LOT, expected=other.expect(LOT))
        assert not refused.committed
        assert other.is_news(refused)
        told = other.learn(LOT, refused)
        assert len(told.records) == 2
        assert set(told.lot.tolist()) == set(other.lots(LOT).tolist())
        assert (await commit(other, store, LOT)).committed
        _, told = await read(one, store, LOT)
        assert len(told.records) == 1, "the tail alone"
        assert one.lots(LOT).tolist() == told.lot.tolist() * 2

    run(work)


def test_counts_are_in_doubt_once_others_have_added_items() -> None:
    async def work(store: Store) -> None:
        one, other = Ledger(), Ledger()
        assert (await commit(one, store, LOT, new=1, expected=one.expect(LOT))).committed
        assert (await commit(other, store, OTHER, new=1)).committed
        assert not one.must_read(LOT), "nobody has told yet"
        await read(one, store, OTHER)
        assert one.must_read(LOT)
        assert not one.must_read(OTHER)
        await read(one, store, LOT)
        assert not one.must_read(LOT)

    run(work)


def test_what_was_never_read_is_expected_to_be_nothing() -> None:
    async def work(store: Store) -> None:
        one, other = Ledger(), Ledger()
        assert (await commit(one, store, OTHER, new=1, expected=one.expect(OTHER))).committed
        expected = other.expect(LOT)
        assert expected == [0] * len(LOT.count_keys)
        reply = await commit(other, store, LOT, expected=expected)
        assert not reply.committed, "all items are one more"
        assert not reply.tails

    run(work)


def test_a_log_that_was_cut_begins_a_new_life_with_a_number_of_its_own() -> None:
    async def work(store: Store) -> None:
        ledger = Ledger()
        assert (await commit(ledger, store, LOT, events=4, expected=ledger.expect(LOT))).cut == []
        before = ledger.lots(LOT)
        assert (await commit(ledger, store, LOT, events=1)).cut == [0]
        _, told = await read(ledger, store, LOT)
        assert len(told.records) == 3, "the newer half, from the beginning"
        assert (ledger.lots(LOT) > before).all()

    run(work, max_log_events=4)
