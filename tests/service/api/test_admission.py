"""What is too much is refused before any work, and large requests take turns."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from service.api.admission import EVENT_BYTES, LARGE_AT_ONCE, Admission
from service.errors import Overloaded
from service.pb.epcsentinel.v1 import anomaly_pb2 as pb
from service.runtime.threads import LARGE_EVENTS
from tests.support.gateway import Gateway
from tests.support.processes import wait_for
from tests.support.requests import call, crowd, many


def test_the_limit_holds_for_all_together_and_nobody_alone_is_too_large() -> None:
    async def main() -> None:
        admission = Admission(max_events=1_000, max_in_flight=100)
        async with admission.enter(500 * EVENT_BYTES, refuse=True):
            assert admission.events == 500
            with pytest.raises(Overloaded) as caught:
                async with admission.enter(1, refuse=True):
                    pytest.fail("admitted")
            assert 0 < caught.value.retry_after_s <= 10
            async with admission.enter(1, refuse=False):
                assert admission.events == 501
        assert admission.events == 0
        with pytest.raises(ValueError, match="x"):
            async with admission.enter(1, refuse=True):
                raise ValueError("x")
        assert admission.events == 0

    asyncio.run(main())


def test_refused_requests_are_told_to_come_back_one_after_the_other() -> None:
    async def main() -> list[float]:
        admission, waits_s = Admission(max_events=1_000, max_in_flight=100), []
        async with admission.enter(100 * EVENT_BYTES, refuse=True):
            for _ in range(2_000):
                with pytest.raises(Overloaded) as caught:
                    async with admission.enter(500 * EVENT_BYTES, refuse=True):
                        pytest.fail("admitted")
                waits_s.append(caught.value.retry_after_s)
        return waits_s

    waits_s = asyncio.run(main())
    assert all(0 < wait_s <= 10 for wait_s in waits_s)
    assert max(waits_s) > 9, "a thousand requests of 10 ms each"
    assert waits_s[50] - waits_s[0] > 0.2, "50 requests of 10 ms each"


def test_large_requests_take_turns_and_small_ones_do_not_wait_for_them() -> None:
    async def main() -> None:
        admission = Admission(max_events=10**6, max_in_flight=10**9)
        begun, go_on = 0, asyncio.Event()

        async def request(events: int) -> None:
            nonlocal begun
            async with admission.enter(events * EVENT_BYTES, refuse=True):
                begun += 1
                await go_on.wait()

        large = [asyncio.create_task(request(2 * LARGE_EVENTS)) for _ in range(LARGE_AT_ONCE + 3)]
        small = [asyncio.create_task(request(50)) for _ in range(5)]
        await asyncio.sleep(0.01)  # a turn of the event loop is enough: all begin, or wait
        assert begun == LARGE_AT_ONCE + 5
        assert admission.events == len(large) * 2 * LARGE_EVENTS + 250, "those that wait count too"
        go_on.set()
        await asyncio.gather(*large, *small)
        assert begun == len(large) + len(small)

    asyncio.run(main())


def test_an_overloaded_gateway_says_when_to_come_back(start_gateway: Callable[..., Gateway]) -> None:
    gateway = start_gateway("--max-events-in-flight", "1000")
    body = many(20_000, pb.DETECTOR_RULES).SerializeToString()
    answered, refusals = crowd(gateway.target, body, callers=6)
    assert answered > 0
    for failure in refusals:
        assert failure.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        status = rpc_status.from_call(failure)
        assert status is not None
        retry = error_details_pb2.RetryInfo()
        assert status.details[0].Unpack(retry)
        assert retry.retry_delay.ToMilliseconds() > 0
    assert pb.AnalyzeResponse.FromString(call(gateway.target, "Analyze", body)).file_id == 1


def test_small_requests_are_answered_while_large_ones_are_at_work(gateway: Gateway) -> None:
    large, small = many(50_000).SerializeToString(), many(50).SerializeToString()
    ended: list[bytes] = []
    over = threading.Event()

    def go_on() -> None:
        while not over.is_set():
            ended.append(call(gateway.target, "Analyze", large))

    with ThreadPoolExecutor(3) as pool:
        callers = [pool.submit(go_on) for _ in range(3)]
        wait_for(lambda: ended or any(one.done() for one in callers), within_s=120)  # now some are always at work
        before = len(ended)
        for _ in range(3):
            assert pb.AnalyzeResponse.FromString(call(gateway.target, "Analyze", small)).file_id == 1
        meanwhile = len(ended) - before
        over.set()
        for one in callers:
            one.result()
    assert meanwhile < 3, "the small ones waited for the large ones"
    assert all(pb.AnalyzeResponse.FromString(one).file_id == 1 for one in ended)
