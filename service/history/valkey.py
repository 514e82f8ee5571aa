"""The history in a Valkey (or Redis) server that gateways share: one script per exchange, one round trip."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from importlib import resources
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    ConnectionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TimeoutError,
)

from service.errors import HistoryUnavailable
from service.history.store import (
    CLAIM_S,
    GENERATION_BYTES,
    MAX_LOG_EVENTS,
    NAMESPACE,
    RECORD,
    Exchange,
    Reply,
    ServerMemory,
    Tail,
)

_REST_S, _LONGEST_REST_S = 0.25, 4.0  # without asking, after a failure and after many

_PROBE_MS = 60_000
"""Time to live of the key that a probe writes."""

_EVICTED_S = 600.0
"""How long the probe fails after the server evicted keys: longer than the alert waits, so that somebody is told."""

_SCRIPT = (resources.files("service.history") / "exchange.lua").read_text(encoding="utf-8")

_SIZES = (GENERATION_BYTES, RECORD.itemsize, int(CLAIM_S * 1000))
"""What the script has to know of the format: bytes of a generation and of a record, and milliseconds of a claim."""


class ValkeyStore:
    """The store on a server. All keys are of one slot, so a cluster serves it with one of its nodes.

    After a failure it rests: exchanges fail at once, until one that is due finds the server again. It connects anew
    then, by name: where the server lost its role (READONLY), loads or is full, the name may lead to another one by now.
    """

    def __init__(self, url: str, *, ttl_s: float, timeout_s: float, max_log_events: int = MAX_LOG_EVENTS) -> None:
        """Args: ``url`` names the server, with user, password and database as needed; ``timeout_s`` limits an exchange.

        Raises ValueError if the URL cannot be used.
        """
        self._client: Redis = Redis.from_url(
            re.sub("^valkey", "redis", url),
            single_connection_client=True,  # exchanges take turns; a pool costs a third more
            socket_timeout=None,  # `_ask` limits all of an exchange: the client's own limits cost a task each
            socket_connect_timeout=timeout_s,
            # A connection that the server let go fails at its next use; a commit is safe to repeat.
            retry=Retry(NoBackoff(), 1),
        )
        self._script = self._client.register_script(_SCRIPT)
        self._timeout_s = timeout_s
        self._ttl_ms = int(ttl_s * 1000)
        self._longest = GENERATION_BYTES + max_log_events * RECORD.itemsize
        self._turn = asyncio.Lock()
        self._rest_s = 0.0
        self._due = 0.0
        self._evicted: int | None = None  # keys that the server evicted until the last probe
        self._complete_from = 0.0
        self._server_memory: ServerMemory | None = None

    @property
    def server_memory(self) -> ServerMemory | None:
        """See `service.history.store.Store.server_memory`."""
        return self._server_memory

    async def exchange(self, request: Exchange) -> Reply:
        """See `service.history.store.Store.exchange`."""
        if asyncio.get_running_loop().time() < self._due:
            raise HistoryUnavailable("its server failed a moment ago")
        keys = [_NAME + b"claim"]
        keys += [_NAME + b"log:" + log.key for log in request.logs]
        keys += [_NAME + b"items:" + key for key in request.counts]
        grow = request.grow or [0] * len(request.counts)
        writes, expects = int(request.grow is not None), int(request.expected is not None)
        arguments: list[bytes | int] = [len(request.logs), writes, expects, request.gateway]
        arguments += [int(request.claim), self._ttl_ms, self._longest, *_SIZES]
        for log in request.logs:
            arguments += [log.generation, log.known_bytes, log.append, log.next_generation, log.last]
        arguments += [*grow, *(request.expected or ())]
        committed, items, tails, cut = await self._ask(lambda: self._script(keys=keys, args=arguments))
        return Reply(
            bool(committed),
            {at: Tail(generation, records, bool(whole)) for at, generation, records, whole in tails},
            items,
            cut,
        )

    async def ping(self) -> None:
        """See `service.history.store.Store.ping`: a key is written as data are; ends the rest if the server is back.

        Raises HistoryUnavailable also for a while after the server has evicted keys: what is left of a lot misleads.
        """
        evicted = await self._ask(self._probe)
        now = asyncio.get_running_loop().time()
        if self._evicted is not None and evicted > self._evicted:
            self._complete_from = now + _EVICTED_S
        self._evicted = evicted
        if now < self._complete_from:
            raise HistoryUnavailable("its server evicts keys for want of memory: histories have gaps")

    async def _probe(self) -> int:
        """Write a small key by the script of the exchanges, and return how many keys the server evicted so far."""
        keys = [_NAME + b"probe:claim", _NAME + b"probe"]
        await self._script(keys=keys, args=[0, 1, 0, b"", 0, _PROBE_MS, self._longest, *_SIZES, 1])
        with suppress(ResponseError):  # it takes a permission that exchanges do not need
            said = await self._client.info()
            self._server_memory = ServerMemory(int(said["used_memory"]), int(said["maxmemory"]))
            return int(said["evicted_keys"])
        return 0

    async def close(self) -> None:
        """See `service.history.store.Store.close`."""
        await self._client.aclose()

    async def _ask(self, call: Callable[[], Awaitable[Any]]) -> Any:  # noqa: ANN401 - what the script returns
        """Return the answer to a call; the one place where the client's errors become ours."""
        try:
            async with asyncio.timeout(self._timeout_s), self._turn:
                answer = await self._dropping(call)
        except (RedisError, OSError) as error:
            self._rest_s = min(max(2 * self._rest_s, _REST_S), _LONGEST_REST_S)
            self._due = asyncio.get_running_loop().time() + self._rest_s
            raise HistoryUnavailable(_reason(error)) from error
        self._rest_s = self._due = 0.0
        return answer

    async def _dropping(self, call: Callable[[], Awaitable[Any]]) -> Any:  # noqa: ANN401 - as above
        """Return the answer to a call; where there is none, for whatever reason, the connection is dropped.

        Which errors another server could avoid is not for a list: a new connection costs little after a rest.
        """
        try:
            return await call()
        except BaseException:
            if self._client.connection is not None:
                await self._client.connection.disconnect(nowait=True)
            raise


_NAME = b"{" + NAMESPACE + b"}"

_REASONS: Sequence[tuple[type[Exception], str]] = (
    (AuthenticationError, "its server refused the credentials"),
    (AuthorizationError, "its server refused the credentials"),
    (TimeoutError, "its server does not answer in time"),
    (BusyLoadingError, "its server is loading its data"),
    (ConnectionError, "its server cannot be reached"),
    (OutOfMemoryError, "its server is full"),
    (ReadOnlyError, "its server is a replica"),
)

_CODE = re.compile("[A-Z]{3,20}")
"""What an error reply begins with."""


def _reason(error: Exception) -> str:
    """Return why, without addresses: callers read it."""
    if isinstance(error.__cause__ or error.__context__, ssl.SSLCertVerificationError):
        return "its server's certificate is not trusted"
    for kind, reason in _REASONS:
        if isinstance(error, kind):
            return reason
    if isinstance(error, asyncio.TimeoutError):
        return "its server does not answer in time"
    code = _CODE.match(str(error)) if isinstance(error, ResponseError) else None
    return f"its server failed with {code[0]}" if code else "its server failed"
