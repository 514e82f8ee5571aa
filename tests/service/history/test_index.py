"""One suite for all stores of a history, and what a gateway's memory makes of them."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import secrets
import signal
import ssl
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from service.errors import HistoryUnavailable
from service.events.hash_table import mix
from service.history import in_process, valkey
from service.history.in_process import MemoryStore
from service.history.index import HistoryIndex
from service.history.items import NamedItems
from service.history.ledger import Ledger
from service.history.store import CLAIM_S, GENERATION_BYTES, RECORD, Exchange, Log, Reply, Store, Tail
from service.history.valkey import ValkeyStore
from tests.servers.valkey import Valkey
from tests.support.processes import stand_still
from tests.support.secrets import Identity, authority

Make = Callable[..., Store]
DAY_S = 86_400.0


@pytest.fixture(params=["memory", "valkey"])
def make(request: pytest.FixtureRequest) -> Make:
    """How to make a store of each kind; two Valkey stores share the server, as two gateways do."""
    if request.param == "memory":
        return lambda **limits: MemoryStore(max_events=10_000, **{"ttl_s": DAY_S} | limits)
    url = request.getfixturevalue("valkey").url
    return lambda **limits: ValkeyStore(url, timeout_s=2.0, **{"ttl_s": DAY_S} | limits)


@pytest.fixture
def key() -> bytes:
    """The name of a lot that no other test uses."""
    return secrets.token_hex(8).encode()


def run(store: Store, work: Callable[[Store], Awaitable[None]]) -> None:
    async def scenario() -> None:
        try:
            await work(store)
        finally:
            await store.close()

    asyncio.run(scenario())


def records(count: int, first: int = 0) -> bytes:
    return b"".join(at.to_bytes(8, "little").ljust(RECORD.itemsize, b"\0") for at in range(first, first + count))


def log(key: bytes, generation: bytes = b"", known: int = 0, append: bytes = b"") -> Log:
    return Log(key, generation, known, append, secrets.token_bytes(GENERATION_BYTES))


async def append(store: Store, *logs: Log, counts: tuple[bytes, ...] = (b"?",), **more: object) -> Reply:
    return await store.exchange(Exchange(logs, counts, **{"grow": [1] * len(counts)} | more))  # type: ignore[arg-type]


async def read(store: Store, key: bytes) -> tuple[bytes, bytes]:
    """Return (generation, records)."""
    reply = await store.exchange(Exchange([log(key)], [b"?"]))
    assert not reply.committed
    return (reply.tails[0].generation, reply.tails[0].records) if reply.tails else (b"", b"")


def test_what_was_appended_is_there_in_order(make: Make, key: bytes) -> None:
    async def work(store: Store) -> None:
        assert await read(store, key) == (b"", b"")
        first = log(key, append=records(3))
        assert (await append(store, first)).committed
        second = log(key, first.next_generation, len(first.append), records(2, 3))
        assert (await append(store, second)).committed
        assert await read(store, key) == (first.next_generation, records(5))

    run(make(), work)


def test_who_does_not_know_all_learns_it_and_writes_nothing(make: Make, key: bytes) -> None:
    async def work(store: Store) -> None:
        counts = (key + b"1", key + b"2")
        first = log(key, append=records(3))
        assert (await append(store, first, counts=counts)).items == [0, 0]
        generation = first.next_generation
        other = log(key + b"other", append=records(1))
        for ignorant, whole, tail in (
            (log(key, append=records(1, 9)), True, records(3)),
            (log(key, b"x" * GENERATION_BYTES, RECORD.itemsize, records(1, 9)), True, records(3)),
            (log(key, generation, RECORD.itemsize, records(1, 9)), False, records(2, 1)),
            (log(key, generation, 4 * RECORD.itemsize, records(1, 9)), True, records(3)),  # a failover lost the fourth
            (replace(log(key, generation, 3 * RECORD.itemsize), last=records(1, 9)), True, records(3)),  # or the third
            (replace(log(key, generation, 2 * RECORD.itemsize), last=records(1, 1)), False, records(1, 2)),
        ):
            reply = await append(store, other, ignorant, counts=counts)
            assert not reply.committed
            assert {at: (t.generation, t.records, t.whole) for at, t in reply.tails.items()} == {
                1: (generation, tail, whole)
            }
            assert reply.items == [1, 1]
        assert await read(store, key) == (generation, records(3))
        assert await read(store, other.key) == (b"", b"")

    run(make(), work)


def test_a_repeated_commit_is_refused(make: Make, key: bytes) -> None:
    async def work(store: Store) -> None:
        once = log(key, append=records(3))
        assert (await append(store, once)).committed
        assert not (await append(store, once)).committed
        assert await read(store, key) == (once.next_generation, records(3))

    run(make(), work)


def test_counts_that_moved_on_stop_a_commit_only_if_they_are_expected(make: Make, key: bytes) -> None:
    async def work(store: Store) -> None:
        counts = (key, key + b"new")
        assert (await append(store, log(key + b"1", append=records(1)), counts=counts, grow=[5, 1])).committed
        for wrong in ([4, 1], [5, 0]):
            reply = await append(store, log(key, append=records(1)), counts=counts, expected=wrong)
            assert not reply.committed
            assert reply.items == [5, 1]
            assert not reply.tails
        assert (await append(store, log(key, append=records(1)), counts=counts, grow=[0, 0], expected=[5, 1])).committed
        assert (await append(store, log(key + b"2", append=records(1)), counts=counts)).items == [5, 1]

    run(make(), work)


def test_a_log_past_its_length_keeps_the_newer_half_and_begins_anew(make: Make, key: bytes) -> None:
    async def work(store: Store) -> None:
        first = log(key, append=records(10))
        assert (await append(store, first)).cut == []
        second = log(key, first.next_generation, len(first.append), records(1, 10))
        reply = await append(store, log(key + b"x", append=records(1)), second)
        assert reply.committed
        assert reply.cut == [1]
        assert await read(store, key) == (second.next_generation, records(6, 5))

    run(make(max_log_events=10), work)


def test_logs_are_forgotten_when_their_time_is_over(make: Make, key: bytes) -> None:
    async def work(store: Store) -> None:
        first, loop = log(key, append=records(1)), asyncio.get_running_loop()
        found = b"", b""
        while not found[0]:  # until it was read before its time was over
            began = loop.time()
            assert (await append(store, first)).committed
            found = await read(store, key)
            assert found == (first.next_generation, records(1)) or loop.time() - began > 0.19
            await asyncio.sleep(0.3)
            assert await read(store, key) == (b"", b"")
        reply = await append(store, log(key, first.next_generation, len(first.append), records(1, 1)))
        assert not reply.committed
        assert reply.tails[0].whole

    run(make(ttl_s=0.2), work)


def claims_last(seconds: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_process, "CLAIM_S", seconds)
    monkeypatch.setattr(valkey, "_SIZES", (*valkey._SIZES[:2], int(seconds * 1_000)))


def test_who_claims_his_turn_gets_it(make: Make, key: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    claims_last(600, monkeypatch)

    async def work(store: Store) -> None:
        mine = log(key, append=records(1))
        assert (await append(store, mine)).committed
        assert not (await append(store, log(key, append=records(1)), gateway=b"loser", claim=True)).committed
        current = log(key, mine.next_generation, len(mine.append), records(1, 1))
        assert not (await append(store, current, gateway=b"winner")).committed
        assert (await append(store, current, gateway=b"loser")).committed
        after = log(key, mine.next_generation, len(mine.append) + len(current.append), records(1, 2))
        assert (await append(store, after, gateway=b"winner")).committed
        claims_last(CLAIM_S, monkeypatch)
        assert not (await append(store, log(key, append=records(1)), gateway=b"loser", claim=True)).committed
        await asyncio.sleep(2 * CLAIM_S)  # a gateway that died with its claim holds nobody up
        assert (await append(store, log(key + b"2", append=records(1)), gateway=b"winner")).committed

    run(make(), work)


def test_memory_is_bounded_and_drops_the_oldest(key: bytes) -> None:
    async def work(store: Store) -> None:
        for at in range(30):
            assert (await append(store, log(key + b"%d" % at, append=records(1)), counts=(b"%d" % at,))).committed
        kept = [at for at in range(30) if (await read(store, key + b"%d" % at))[1]]
        assert kept == list(range(20, 30))

    run(MemoryStore(max_events=10, ttl_s=DAY_S), work)


def test_of_a_log_that_is_too_long_for_the_memory_the_newer_half_stays(key: bytes) -> None:
    async def work(store: Store) -> None:
        first = log(key, append=records(10))
        assert (await append(store, first)).cut == []
        second = log(key, first.next_generation, len(first.append), records(1, 10))
        assert (await append(store, second)).cut == [0]
        assert await read(store, key) == (second.next_generation, records(6, 5))

    run(MemoryStore(max_events=10, ttl_s=DAY_S), work)


def test_hashes_of_other_meanings_and_small_numbers_do_not_meet() -> None:
    lots, places = (column.ravel() for column in np.meshgrid(np.arange(300), np.arange(60)))
    hashes = np.concatenate([mix(meaning, lots, places) for meaning in range(10)])
    assert len(np.unique(hashes)) == len(hashes)


def test_an_index_that_is_given_up_is_gone_at_once() -> None:
    """It may have 400 MB, and the gateway hardly ever searches for cycles of garbage."""
    items = NamedItems.of(["001.8804823.1293291.010004.20250701.000004002"])
    index = HistoryIndex()
    told = Reply(False, {0: Tail(b"g" * GENERATION_BYTES, records(3), whole=True)}, [1, 1, 1, 1], [])
    index.queue(Ledger().learn(items, told))
    assert len(index) == 3
    gone = weakref.ref(index)
    gc.disable()
    try:
        del index
        assert gone() is None
    finally:
        gc.enable()


# --- the server fails ------------------------------------------------------------------------------------------------


@pytest.fixture
def own_valkey() -> Iterator[Valkey]:
    with Valkey("--requirepass", "secret") as running:
        yield running


def test_credentials_in_the_url(own_valkey: Valkey, key: bytes) -> None:
    address = f"127.0.0.1:{own_valkey.port}"

    async def works(store: Store) -> None:
        await store.ping()
        assert (await append(store, log(key, append=records(1)))).committed

    async def fails(store: Store) -> None:
        with pytest.raises(HistoryUnavailable, match="its server refused the credentials"):
            await store.ping()

    run(ValkeyStore(f"valkey://:secret@{address}/0", ttl_s=9, timeout_s=2), works)
    run(ValkeyStore(f"valkey://:wrong@{address}/0", ttl_s=9, timeout_s=2), fails)


@contextlib.asynccontextmanager
async def tls_in_front(port: int, certificate: Identity, clients: Identity, folder: Path) -> AsyncIterator[int]:
    """Give the port of a TLS end in front of a server that speaks plainly; it wants certificates of ``clients``."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate.write(folder, "server"))
    context.load_verify_locations(clients.write(folder, "clients")[0])
    context.verify_mode = ssl.CERT_REQUIRED

    async def copy(source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65_536):
                to.write(data)
                await to.drain()
        to.close()

    async def relay(source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
        back, forth = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(copy(source, forth), copy(back, to))

    server = await asyncio.start_server(relay, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def test_tls_user_and_client_certificate_in_the_url(tmp_path: Path) -> None:
    """The server of the tests knows no TLS, so a real TLS end stands in front of it, as a mesh or stunnel would."""
    ours, others = authority("ours"), authority("others")
    ca, _ = ours.write(tmp_path, "ca")
    wrong_ca, _ = others.write(tmp_path, "wrong-ca")
    cert, cert_key = ours.issue("gateway").write(tmp_path, "gateway")
    own = f"ssl_certfile={cert}&ssl_keyfile={cert_key}"

    async def ask(url: str) -> bool:
        store = ValkeyStore(url, ttl_s=9, timeout_s=5)
        try:
            await store.ping()
            return (await append(store, log(secrets.token_hex(8).encode(), append=records(700)))).committed
        finally:
            await store.close()

    async def scenario(server: Valkey) -> None:
        async with tls_in_front(server.port, ours.issue("valkey"), ours, tmp_path) as port:
            good = f"valkeys://shop:se%40cret@localhost:{port}/0?ssl_ca_certs={ca}&{own}"
            assert await ask(good)
            assert await ask(good.replace("valkeys", "rediss"))
            for wrong, why in (
                (good.replace("se%40cret", "guess"), "its server refused the credentials"),
                (good.replace(str(ca), str(wrong_ca)), "its server's certificate is not trusted"),
                (good.replace(own, ""), "its server cannot be reached"),
                (good.replace("valkeys", "valkey").partition("?")[0], "its server cannot be reached"),
            ):
                with pytest.raises(HistoryUnavailable, match=f"^{why}$"):
                    await ask(wrong)

    with Valkey("--requirepass", "other", "--user", *["shop", "on", ">se@cret", "~*", "&*", "+@all"]) as server:
        asyncio.run(scenario(server))


def test_a_server_that_dies_hangs_and_comes_back(own_valkey: Valkey, key: bytes) -> None:
    async def fails(store: Store) -> str:
        with pytest.raises(HistoryUnavailable) as caught:
            await append(store, log(key, append=records(1)))
        assert str(own_valkey.port) not in str(caught.value)
        return str(caught.value)

    async def comes_back(store: Store) -> None:
        for _ in range(100):
            try:
                await read(store, key)
                return
            except HistoryUnavailable:
                await asyncio.sleep(0.1)
        pytest.fail("the store did not come back within 10 s")

    async def work(store: Store) -> None:
        await comes_back(store)  # a busy machine may miss a time-out of 0.1 s
        own_valkey.kill()
        assert await fails(store) == "its server cannot be reached"
        while (said := await fails(store)) != "its server failed a moment ago":  # it rests: longer after each failure
            assert said == "its server cannot be reached"
        own_valkey.start()
        await comes_back(store)
        stand_still(own_valkey.pid)  # it accepts connections and says nothing
        took_s = []
        for _ in range(3):  # one that the machine held up is not all of them
            began = asyncio.get_running_loop().time()
            while (said := await fails(store)) == "its server failed a moment ago":
                await asyncio.sleep(0.01)
                began = asyncio.get_running_loop().time()
            assert said == "its server does not answer in time"
            took_s.append(asyncio.get_running_loop().time() - began)
        assert min(took_s) < 0.5
        own_valkey.kill(signal.SIGCONT)
        await comes_back(store)

    run(ValkeyStore(f"valkey://:secret@127.0.0.1:{own_valkey.port}", ttl_s=9, timeout_s=0.1), work)


def test_a_ping_ends_whenever_it_is_cancelled(own_valkey: Valkey) -> None:
    """A probe that goes on for ever keeps its gateway from stopping; `asyncio.wait_for` of Python 3.11 makes such."""

    async def probe(store: Store) -> None:
        while True:
            await store.ping()

    async def work(store: Store) -> None:
        for steps in range(60):
            probing = asyncio.create_task(probe(store))
            for _ in range(steps):
                await asyncio.sleep(0)
            probing.cancel()
            await asyncio.wait([probing], timeout=2)
            assert probing.cancelled(), f"went on after {steps} steps of the event loop"

    run(ValkeyStore(f"valkey://:secret@127.0.0.1:{own_valkey.port}", ttl_s=9, timeout_s=1), work)
