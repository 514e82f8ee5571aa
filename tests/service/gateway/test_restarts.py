"""Gateways that restart under load lose no call and no stream of our clients: directly, and behind Envoy."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from service.client.gateway import GatewayClient
from service.client.stream import GatewayStream
from service.errors import CommandError
from service.rawfiles.columns import read_files
from tests.servers.envoy import Envoy
from tests.support.gateway import ROOT, Gateway
from tests.support.processes import free_ports
from tests.support.requests import many

RESTARTS = 6
"""Enough to fail where CANCELLED is not tried again, which costs a call per restart. With 20 nothing is lost either."""

CALLERS, STREAMS = 8, 4
PAUSE_S = 0.03


class Load:
    """Callers and streams that go on until they are told to stop; a context manager."""

    def __init__(self, target: str) -> None:
        self.lost: list[str] = []
        self._target = target
        self._answers: Counter[str] = Counter()  # of each caller and stream
        self._over = threading.Event()
        self._pool = ThreadPoolExecutor(STREAMS + 1)
        streams = (self._pool.submit(self._stream, f"stream {number}") for number in range(STREAMS))
        self._all = [self._pool.submit(asyncio.run, self._call()), *streams]

    def wait_answers(self) -> None:
        """Wait until everybody has got some answers more, or has lost something."""
        before, deadline = self._answers.copy(), time.monotonic() + 60
        while len(now := self._answers - before) < CALLERS + STREAMS or min(now.values()) < 5:
            assert not self.lost
            assert time.monotonic() < deadline, now
            time.sleep(0.05)

    def __enter__(self) -> Load:
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for one in self._all:
            one.result()
        self._pool.shutdown()

    async def _call(self) -> None:
        events = read_files([ROOT / "tests" / "data" / "real_events_sample.tsv"]).events
        client = GatewayClient(self._target)

        async def go_on(who: str) -> None:
            while not self._over.is_set():
                try:
                    await client.analyze(events, "rules")
                    self._answers[who] += 1
                except CommandError as error:
                    self.lost.append(str(error))
                await asyncio.sleep(PAUSE_S)

        await asyncio.gather(*(go_on(f"caller {number}") for number in range(CALLERS)))
        await client.close()

    def _stream(self, who: str) -> None:
        stream = GatewayStream(self._target, give_up_s=60, on_retry=lambda: None)
        try:
            while not self._over.wait(PAUSE_S):
                stream.send(many(5))
                stream.receive()
                self._answers[who] += 1
            stream.finish()
        except CommandError as error:
            self.lost.append(str(error))
        finally:
            stream.close()


@pytest.mark.timeout(300)
@pytest.mark.parametrize("way", ["directly", "through Envoy"])
def test_restarts_lose_no_call_and_no_stream(start_gateway: Callable[..., Gateway], way: str) -> None:
    ports = free_ports(1 if way == "directly" else 2)
    gateways = [start_gateway("--port", str(port), "--history", "none") for port in ports]

    def restart(target: str) -> None:
        with Load(target) as load:
            for number in range(RESTARTS):
                load.wait_answers()
                at = number % len(gateways)
                assert gateways[at].stop() == 0
                gateways[at] = start_gateway("--port", str(ports[at]), "--history", "none")
            load.wait_answers()
        assert load.lost == []

    if way == "directly":
        restart(gateways[0].target)
    else:
        with Envoy(gateways[0].target, gateways[1].target, 50) as envoy:
            envoy.wait_healthy("stable", 1)
            envoy.wait_healthy("canary", 1)
            restart(envoy.target)
