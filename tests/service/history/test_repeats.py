"""Events sent again: the answers of their first time, and work in proportion to the request, whatever the item did."""

from __future__ import annotations

import asyncio
import resource
import time
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from service.events.columns import Events
from service.features.case import View
from service.history.in_process import MemoryStore
from service.history.plan import EARLIER_EVENTS, SHORT_JOURNEY, Remembered
from tests.service.history.memories import memory
from tests.support.worlds import ROUTE, START, code, journey, shipment, to_events

CODES = ("NOREAD", "", code(4_000))


def scans(count: int, item: str = "NOREAD", seed: int = 0) -> Events:
    """Return the scans of a code that many things have, in any order of time."""
    rng = np.random.default_rng(seed)
    types = rng.integers(0, 10, count).astype(np.int8)
    return Events(
        event_id=np.arange(1, count + 1),
        epc=np.zeros(count, dtype=np.int32),
        epc_codes=[item],
        location_id=np.array(ROUTE)[types].astype(np.int64),
        step=np.zeros(count, dtype=np.int8),
        event_type=types,
        time_us=int(START.timestamp() * 1e6) + rng.permutation(count) * 60_000_000,
        file_id=np.ones(count, dtype=np.int64),
    )


def windows(known: Remembered) -> NDArray[np.float32]:
    """Return the features [A, F] of the events asked and of those before them that the model sees, [A, 4, F]."""
    case = known.case
    place = case.rows[:, None] - np.arange(4)
    inside = np.arange(4) <= case.journeys.position[case.rows][:, None]
    return np.where(inside[..., None], case.features[np.maximum(place, 0)], 0)


def parts(events: Events, size: int) -> list[Events]:
    return [events.take(np.arange(at, min(at + size, len(events)))) for at in range(0, len(events), size)]


@pytest.mark.parametrize("seed", range(5))
def test_repeated_events_are_judged_as_when_they_came(seed: int) -> None:
    """Items of 12 events in disorder: one by one, then again in requests of any cut, with new late ones among them."""
    rng = np.random.default_rng(seed)
    events = to_events([one for serial in range(12) for one in [*journey(code(serial)), *journey(code(serial))[:2]]])
    events = replace(events, time_us=events.time_us + rng.integers(0, 10, len(events)) * 60_000_000)
    events = events.take(rng.permutation(len(events)))
    first = parts(events.take(np.arange(100)), 1)

    async def scenario() -> None:
        gateway = memory(MemoryStore(max_events=10**6, ttl_s=60), 10**6)
        answers = [await gateway.remember(one) for one in first]
        late = np.array([one.late for one in answers])
        known = np.concatenate([windows(one) for one in answers])
        assert 10 < late.sum() < 90
        for begin in range(100, len(events), 20):
            again = np.sort(rng.choice(100, 60, replace=False))
            new = np.arange(begin, min(begin + 20, len(events)))
            repeated = await gateway.remember(events.take(np.concatenate([again, new])))
            assert np.abs(windows(repeated)[:60] - known[again]).max() < 1e-5
            assert repeated.late >= late[again].sum()
            assert repeated.short == 0

    asyncio.run(scenario())


@pytest.mark.parametrize("item", CODES)
def test_an_item_of_many_events_that_came_one_by_one_gets_its_answers_again(item: str) -> None:
    """A request of 100 events has room for the whole past of each, that is of `EARLIER_EVENTS`."""
    events = scans(300, item)

    async def scenario() -> None:
        gateway = memory(MemoryStore(max_events=10**6, ttl_s=60), 10**6)
        known = np.concatenate([windows(await gateway.remember(one)) for one in parts(events, 1)])
        for again in (np.arange(100), np.arange(200, 300), np.arange(0, 300, 20)):
            repeated = await gateway.remember(events.take(again))
            overtaken = repeated.stored.alone
            assert overtaken.any()
            assert np.abs(windows(repeated) - known[again])[overtaken].max() < 1e-5

    assert EARLIER_EVENTS < 100
    asyncio.run(scenario())


def test_the_work_is_in_proportion_to_the_request() -> None:
    """2,000 events of NOREAD sent again took 19 s and 3.6 GB; now 20,000 take 1 s."""
    events = scans(20_000)

    async def scenario() -> tuple[list[float], Remembered, str]:
        gateway = memory(MemoryStore(max_events=10**6, ttl_s=60), 10**6)
        for one in parts(events, 500):
            await gateway.remember(one)
        took = []
        for count in (2_000, 20_000):
            started = time.process_time()
            again = await gateway.remember(events.take(np.arange(count)))
            took.append(time.process_time() - started)
        return took, again, (await gateway.recall(View(events, causal=True))).warning

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    took, again, warning = asyncio.run(scenario())
    assert took[1] < 20 * took[0] + 1
    assert took[1] < 10
    assert len(again.case.features) <= len(again.stored.records) + SHORT_JOURNEY * len(events)
    assert again.short > 10_000
    assert f"{again.short} of these events were sent again, of items with very many events" in warning
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1_200_000


def test_one_old_event_of_an_item_of_very_many_is_found_at_once() -> None:
    events = scans(30_000)

    async def scenario() -> None:
        gateway = memory(MemoryStore(max_events=10**6, ttl_s=60), 10**6)
        for one in parts(events, 5_000):
            await gateway.remember(one)
        again = await gateway.remember(events.take(np.array([7])))
        assert len(again.case.features) < 3 * EARLIER_EVENTS
        assert len(again.everything()) == EARLIER_EVENTS + 1

    asyncio.run(scenario())


def test_a_normal_file_sent_again_has_no_journey_cut() -> None:
    """All in disorder: more than the journeys of a request may have beside ten events each."""
    events = to_events(shipment(ROUTE, range(3_000)))
    rng = np.random.default_rng(3)

    async def scenario() -> None:
        gateway = memory(MemoryStore(max_events=10**6, ttl_s=60), 10**6)
        for one in parts(events.take(rng.permutation(len(events))), 1_000):
            await gateway.remember(one)
        again = await gateway.remember(events)
        assert again.stored.alone.sum() > 10_000
        assert again.short == 0

    asyncio.run(scenario())
