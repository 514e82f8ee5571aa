"""The thread of large requests waits for small ones, and not for long."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from service.api.admission import EVENT_BYTES, Admission
from service.api.requests import decode_request
from service.runtime import threads
from service.runtime.threads import ALWAYS_OFF, LARGE_EVENTS, give_way, run, small_request, when_calm
from tests.support.requests import many

LARGE = LARGE_EVENTS + 1


@pytest.fixture(autouse=True)
def _settled() -> None:
    """The thread of large requests does not wait if it has waited just before, in another test."""
    time.sleep(0.02)


def times(number: int) -> Callable[[], float]:
    """Return work that gives way so often, and returns how many seconds it took."""

    def work() -> float:
        begin = time.perf_counter()
        for _ in range(number):
            give_way()
        return time.perf_counter() - begin

    return work


def spin_s(seconds: float) -> Callable[[], float]:
    """Return work of so much processor time that gives way all the time, and returns how many seconds it took."""

    def work() -> float:
        begin, until = time.perf_counter(), time.thread_time() + seconds
        while time.thread_time() < until:
            give_way()
        return time.perf_counter() - begin

    return work


def test_the_thread_of_large_requests_waits_for_small_ones_but_no_more_than_it_works() -> None:
    async def main() -> None:
        with small_request(), small_request():
            assert await run(ALWAYS_OFF, times(1), LARGE) >= 0.009
            assert 0.13 <= await run(ALWAYS_OFF, spin_s(0.1), LARGE) < 5, "twice as long, where it has a core"
        assert await run(ALWAYS_OFF, times(1_000), LARGE) < 5, "nobody is at work: 10 s if it waited"

    asyncio.run(main())


def test_it_goes_on_as_soon_as_the_last_small_request_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_PATIENCE_S", 60.0)

    async def main() -> None:
        with small_request():
            busy = asyncio.create_task(run(ALWAYS_OFF, times(1), LARGE))
            await asyncio.sleep(0.05)
            assert not busy.done()
        await asyncio.wait_for(busy, 20)

    asyncio.run(main())


def test_a_small_request_counts_until_its_answer_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_LINGER_S", 0.1)
    monkeypatch.setattr(threads, "_PATIENCE_S", 60.0)

    async def main() -> None:
        with small_request():
            begin = time.perf_counter()
        assert await run(ALWAYS_OFF, times(1), LARGE) < 20
        assert time.perf_counter() - begin >= 0.1

    asyncio.run(main())


def test_other_threads_never_wait() -> None:
    async def main() -> None:
        with small_request():
            assert await run(ALWAYS_OFF, times(1_000), 1) < 5, "10 s if it waited"
            assert times(1_000)() < 5

    asyncio.run(main())


def test_a_piece_of_a_large_request_begins_when_it_is_calm_and_soon_in_any_case(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(threads, "_PATIENCE_S", 0.1)

    async def main() -> None:
        begin = time.perf_counter()
        with small_request():
            assert await when_calm(lambda: 7) == 7
        assert 0.09 <= time.perf_counter() - begin < 5
        begin = time.perf_counter()
        for _ in range(200):
            await when_calm(lambda: None)
        assert time.perf_counter() - begin < 10, "20 s if it waited"

    asyncio.run(main())


def test_admission_tells_small_requests_from_large_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_WORK_S", 0.0)

    async def main() -> None:
        admission = Admission(max_events=10**6, max_in_flight=10**6)
        async with admission.enter(50 * EVENT_BYTES, refuse=True):
            assert await run(ALWAYS_OFF, times(5), LARGE) >= 0.045
        async with admission.enter(LARGE * EVENT_BYTES, refuse=True):
            assert await run(ALWAYS_OFF, times(1_000), LARGE) < 5, "10 s if it waited for itself"

    asyncio.run(main())


def test_a_large_request_is_decoded_in_pieces_that_give_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_WORK_S", 0.0)
    body = many(LARGE).SerializeToString()

    def waited_s() -> float:
        wall_s, cpu_s = time.perf_counter(), time.thread_time()
        decode_request(body, max_events=LARGE, one_file=True)
        return time.perf_counter() - wall_s - (time.thread_time() - cpu_s)

    async def main() -> None:
        with small_request():
            slices = (
                -(-LARGE // 5 // 1_000) + 2
            )  # the codes of five events each are made in them, the few names of types and steps in one each
            assert await run(ALWAYS_OFF, waited_s, LARGE) > 0.008 * slices

    asyncio.run(main())
