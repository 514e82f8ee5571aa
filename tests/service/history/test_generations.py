"""A gateway that keeps less than it needs: the same answers, bounded work and memory."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from service.events.columns import Events
from service.features.case import join
from service.features.table import TRAFFIC
from service.history.history import Memory
from service.history.in_process import MemoryStore
from service.history.store import RECORD, Exchange, Reply
from tests.service.history.memories import memory
from tests.support.worlds import ROUTE, shipment, to_events

LOTS = range(20_001, 20_009)
MANY = 10**6


class CountingStore(MemoryStore):
    """A store that another gateway could share; it counts what it tells."""

    def __init__(self) -> None:
        super().__init__(max_events=MANY, ttl_s=3_600)
        self.told = 0  # events

    async def exchange(self, request: Exchange) -> Reply:
        reply = await super().exchange(request)
        self.told += sum(len(tail.records) for tail in reply.tails.values()) // RECORD.itemsize
        return reply


def lot(number: int, items: int = 30) -> Events:
    """Return the normal journeys of a lot, in the order of time; ids are those of no other lot."""
    events = to_events(shipment(ROUTE, range(4_000, 4_000 + items), lot=number))
    events = replace(events, event_id=events.event_id + number * 10_000)
    return events.take(np.lexsort((events.event_id, events.time_us)))


def parts(events: Events, size: int) -> list[Events]:
    return [events.take(np.arange(begin, min(begin + size, len(events)))) for begin in range(0, len(events), size)]


async def features(gateway: Memory, batches: list[Events]) -> list[NDArray[np.float32]]:
    """Return the features [n, F] of the events of each batch, sent one after the other."""
    known = [await gateway.remember(batch) for batch in batches]
    return [one.case.features[one.case.rows] for one in known]


@pytest.mark.parametrize("seed", range(4))
def test_answers_are_those_of_a_gateway_that_keeps_everything(seed: int) -> None:
    """Lots of 300 events in turns of any order, some batches again, some of two lots at once; room for 100 events."""
    rng = np.random.default_rng(seed)
    queues = [parts(lot(number), int(rng.integers(5, 40))) for number in LOTS]
    batches: list[Events] = []
    while any(queues):
        at = int(rng.choice([at for at, queue in enumerate(queues) if queue]))
        batches.append(queues[at].pop(0))
        if rng.random() < 0.3:
            batches.append(batches[int(rng.integers(len(batches)))])
        if rng.random() < 0.2 and len(batches) > 1:
            first, second = (batches[int(at)] for at in rng.integers(0, len(batches), 2))
            batches.append(join([first, second])[0])
    batches = [one for one in batches if len(set(one.epc_codes)) == len(one.epc_codes)]

    async def scenario() -> None:
        everything = await features(memory(MemoryStore(max_events=MANY, ttl_s=60), MANY), batches)
        few = memory(MemoryStore(max_events=MANY, ttl_s=60), 100)
        for batch, one, other in zip(batches, everything, await features(few, batches), strict=True):
            one[:, TRAFFIC] = other[:, TRAFFIC]  # traffic is what a gateway knows of it: lots that it forgot are gone
            assert np.abs(one - other).max() < 1e-5, batch.event_id[np.abs(one - other).max(axis=1) >= 1e-5]
        assert len(few) < 2_400, "it has forgotten something"

    asyncio.run(scenario())


@pytest.mark.parametrize("lots", [1, 2])
def test_a_lot_that_is_larger_than_the_limit_is_not_read_again_and_again(lots: int) -> None:
    """Two gateways write by turns, so each has to be told what the other one wrote, once."""
    store = CountingStore()

    async def scenario() -> None:
        one, other = memory(store, 100), memory(store, 100)
        rounds = [parts(lot(number, items=200), 20) for number in LOTS[:lots]]
        sent = 0
        for batches in zip(*rounds, strict=True):
            for batch in batches:
                for gateway in (one, other):
                    await gateway.remember(batch)
                sent += len(batch)
        assert sent == 2_000 * lots
        assert store.told < 1.5 * sent
        assert max(len(one), len(other)) < 3 * sent

    asyncio.run(scenario())


def test_what_is_kept_is_bounded_and_what_is_used_is_not_read_again() -> None:
    """One lot is in every second request among a hundred others of which each comes once."""
    store, favourite = CountingStore(), parts(lot(10_000, items=50), 5)
    largest = 0

    async def scenario() -> None:
        nonlocal largest
        gateway = memory(store, 1_500)
        for number, batch in enumerate(favourite):
            await gateway.remember(batch)
            await gateway.remember(lot(20_000 + number, items=10))
            largest = max(largest, len(gateway))
        before = store.told
        await gateway.remember(favourite[0])
        assert store.told == before
        await gateway.remember(lot(20_000, items=10))
        assert store.told == before + 100, "it was forgotten, and read again"

    asyncio.run(scenario())
    assert largest <= 1_500 + 2 * 110, "each of the two indexes may be a request larger"


def test_lots_that_are_done_with_go_however_many_there_are() -> None:
    """Lots larger than the limit, one after the other in small batches: those of the last three requests stay."""
    largest = 0

    async def scenario() -> None:
        nonlocal largest
        gateway = memory(CountingStore(), 100)
        for number in range(20_000, 20_040):
            for batch in parts(lot(number), 50):
                await gateway.remember(batch)
                largest = max(largest, len(gateway))

    asyncio.run(scenario())
    assert largest <= 3 * 2 * len(lot(20_000)), "two lots at most in three requests, three times over"
