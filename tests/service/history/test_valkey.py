"""A Valkey server that answers, but wrongly: a demoted primary, a full one, one that evicts; and a dead line."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Iterator

import numpy as np
import pytest
from redis import Redis

from service.errors import HistoryUnavailable
from service.history import valkey as module
from service.history.store import GENERATION_BYTES, RECORD, Exchange, Log
from service.history.valkey import ValkeyStore
from tests.servers.relay import Relay
from tests.servers.valkey import AT_ONCE, Name, Valkey, demote, stored
from tests.service.history.memories import memory
from tests.support.gateway import Gateway
from tests.support.observed import samples, scrape, value
from tests.support.worlds import ROUTE, shipment, to_events

ALIVE_WITHIN_S = 6.0
"""The longest rest of a store is 4 s."""


@pytest.fixture
def pair() -> Iterator[tuple[Valkey, Valkey]]:
    """A primary and its replica."""
    with Valkey(*AT_ONCE) as primary, Valkey(*AT_ONCE, "--replicaof", "127.0.0.1", str(primary.port)) as replica:
        yield primary, replica


def in_step(primary: Valkey) -> None:
    """Wait until the replica has all."""
    with Redis(port=primary.port) as client:
        client.set("last", "1")
        assert client.execute_command("WAIT", 1, 10_000) == 1


async def append(store: ValkeyStore, key: bytes, size: int = 1) -> None:
    log = Log(key, b"", 0, bytes(RECORD.itemsize * size), secrets.token_bytes(GENERATION_BYTES))
    assert (await store.exchange(Exchange([log], [b"all"], [1]))).committed


async def soon(works: Callable[[], Awaitable[object]]) -> int:
    """Return how often it failed before it worked."""
    loop = asyncio.get_running_loop()
    deadline, failures = loop.time() + ALIVE_WITHIN_S, 0
    while True:
        try:
            await works()
        except HistoryUnavailable:
            failures += 1
            assert loop.time() < deadline
            await asyncio.sleep(0.05)
        else:
            return failures


def test_a_store_follows_its_name_after_a_failover(pair: tuple[Valkey, Valkey]) -> None:
    primary, replica = pair

    async def scenario(name: Name) -> None:
        store = ValkeyStore(f"valkey://{name.address}", ttl_s=60, timeout_s=2)
        await append(store, b"before")
        in_step(primary)
        demote(primary, replica)
        name.point_at(replica)
        with pytest.raises(HistoryUnavailable, match=r"^its server is a replica$"):
            await append(store, b"new")
        await soon(lambda: append(store, b"after"))
        assert (await store.exchange(Exchange([], [b"all"]))).items == [2], "one before and one after"
        await store.close()

    with Name(primary.address) as name:
        asyncio.run(scenario(name))


def test_a_probe_finds_a_server_that_takes_no_writes_and_follows_the_name(pair: tuple[Valkey, Valkey]) -> None:
    primary, replica = pair

    async def scenario(name: Name) -> None:
        store = ValkeyStore(f"valkey://{name.address}", ttl_s=60, timeout_s=2)
        await store.ping()
        in_step(primary)
        demote(primary, replica)
        for _ in range(2):  # while the name leads there, each probe says so
            with pytest.raises(HistoryUnavailable, match=r"^its server is a replica$"):
                await store.ping()
        name.point_at(replica)
        await store.ping()  # it was let go already
        await append(store, b"after")  # and a probe ends the rest
        await store.close()

    with Name(primary.address) as name:
        asyncio.run(scenario(name))


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        (("maxmemory", "1"), "its server is full"),
        (("min-replicas-to-write", "1"), "its server failed with NOREPLICAS"),
    ],
)
def test_a_probe_finds_a_server_that_refuses_writes(setting: tuple[str, str], reason: str) -> None:
    async def scenario(server: Valkey) -> None:
        store = ValkeyStore(server.url, ttl_s=60, timeout_s=2)
        await append(store, b"before")
        server.command("CONFIG", "SET", *setting)
        with pytest.raises(HistoryUnavailable, match=f"^{reason}$"):
            await store.ping()
        with pytest.raises(HistoryUnavailable):
            await append(store, b"after")
        server.command("CONFIG", "SET", setting[0], "0")
        await store.ping()
        await append(store, b"after")
        await store.close()

    with Valkey() as server:
        asyncio.run(scenario(server))


def test_what_a_probe_writes_is_small_and_goes_by_itself() -> None:
    async def scenario(server: Valkey) -> None:
        store = ValkeyStore(server.url, ttl_s=86_400, timeout_s=2)
        for _ in range(3):
            await store.ping()
        with Redis(port=server.port) as client:
            [key] = client.keys()
            assert key.startswith(b"{epc-sentinel:")
            assert 0 < client.pttl(key) <= 60_000
        await store.close()

    with Valkey() as server:
        asyncio.run(scenario(server))


def test_a_probe_says_for_a_while_that_the_server_evicts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_EVICTED_S", 0.5)

    async def scenario(server: Valkey) -> None:
        store = ValkeyStore(server.url, ttl_s=60, timeout_s=2)
        await store.ping()
        used = Redis(port=server.port).info("memory")["used_memory"]
        server.command("CONFIG", "SET", "maxmemory", used + 200_000)
        for at in range(20):
            await append(store, b"lot%d" % at, size=200)
        began = asyncio.get_running_loop().time()
        with pytest.raises(HistoryUnavailable, match=r"^its server evicts keys"):
            await store.ping()
        await soon(store.ping)
        assert asyncio.get_running_loop().time() - began >= 0.5
        await store.close()

    with Valkey("--maxmemory-policy", "allkeys-lru") as server:
        asyncio.run(scenario(server))


def test_a_probe_needs_no_permission_that_exchanges_do_not_need() -> None:
    may = ["~{epc-sentinel:*", "+eval", "+evalsha", "+script|load", "+get", "+set", "+del", "+getrange", "+append"]
    rules = ["on", ">secret", *may, "+pexpire", "+incrby", "+client|setinfo"]

    async def scenario(server: Valkey) -> None:
        store = ValkeyStore(f"valkey://shop:secret@{server.address}", ttl_s=60, timeout_s=2)
        await append(store, b"lot")
        await store.ping()
        await store.close()

    with Valkey("--user", "shop", *rules) as server:
        asyncio.run(scenario(server))


@pytest.mark.parametrize("first", ["exchange", "ping"])
def test_a_dead_line_is_given_up_for_a_new_one(first: str) -> None:
    async def scenario(relay: Relay) -> None:
        store = ValkeyStore(f"valkey://{relay.address}", ttl_s=60, timeout_s=2)  # that a busy machine does not miss
        await append(store, b"before", size=5_000)
        relay.swallow()
        with pytest.raises(HistoryUnavailable, match=r"^its server does not answer in time$"):
            await (append(store, b"lost", size=50_000) if first == "exchange" else store.ping())
        assert await soon(lambda: append(store, b"after")) <= ALIVE_WITHIN_S / 0.05
        assert relay.accepted == 2
        await store.close()

    with Valkey() as server, Relay(server.address) as relay:
        asyncio.run(scenario(relay))


def test_the_gateway_tells_of_a_failover_and_is_well_after_it(
    pair: tuple[Valkey, Valkey], start_gateway: Callable[..., Gateway]
) -> None:
    primary, replica = pair
    with Name(primary.address) as name:
        flags = ("--history", f"valkey://{name.address}", "--probe-interval-s", "0.2", "--metrics-port", "0")
        running = start_gateway(*flags, "--history-timeout-s", "5")  # a busy machine is no reason
        running.wait_log("ready")
        demote(primary, replica)
        assert running.wait_log("history degraded")["reason"] == "its server is a replica"
        assert value(samples(scrape(running)), "dependency_up", dependency="history") == 0
        name.point_at(replica)
        running.wait_log("history ready")
        assert value(samples(scrape(running)), "dependency_up", dependency="history") == 1


def test_what_a_failover_lost_is_stored_when_it_is_sent_again(pair: tuple[Valkey, Valkey]) -> None:
    """Both servers take writes for a moment, and their logs grow by as many records of other events."""
    primary, replica = pair
    events = to_events(shipment(ROUTE, range(4_000, 4_009)))
    common, of_old, of_new = (events.take(np.arange(begin, begin + 30)) for begin in (0, 30, 60))

    async def scenario(name: Name) -> None:
        urls = (f"valkey://{name.address}", replica.url)
        one, other = (memory(ValkeyStore(url, ttl_s=60, timeout_s=2), 10**6) for url in urls)
        await one.remember(common)
        in_step(primary)
        replica.command("REPLICAOF", "NO", "ONE")
        await other.remember(common)
        await other.remember(of_new)
        await one.remember(of_old)
        primary.command("REPLICAOF", "127.0.0.1", replica.port)
        name.point_at(replica)
        other_item = to_events(shipment(ROUTE, [1]))
        assert await soon(lambda: one.remember(other_item)) > 0
        for gateway in (one, other):
            await gateway.remember(events.take(np.arange(90)))
            await gateway.close()

    with Name(primary.address) as name:
        asyncio.run(scenario(name))
    kept = events.take(np.arange(90))
    assert stored(replica.url, kept) == sorted(zip(kept.event_id.tolist(), kept.epc.tolist(), strict=True))
