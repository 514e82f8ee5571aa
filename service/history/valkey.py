"""The history in a Valkey (or Redis) server that gateways share: one script per exchange, one round trip."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Awaitable, Sequence
from importlib import resources
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    ConnectionError,
    OutOfMemoryError,
    RedisError,
    TimeoutError,
)

from service.errors import HistoryUnavailable
from service.history.store import CLAIM_S, GENERATION_BYTES, MAX_LOG_EVENTS, NAMESPACE, RECORD, Exchange, Reply, Tail

_REST_S, _LONGEST_REST_S = 0.25, 4.0  # without asking, after a failure and after many

_SCRIPT = (resources.files("service.history") / "exchange.lua").read_text(encoding="utf-8")

_SIZES = (GENERATION_BYTES, RECORD.itemsize, int(CLAIM_S * 1000))
"""What the script has to know of the format: bytes of a generation and of a record, and milliseconds of a claim."""


class ValkeyStore:
    """The store on a server. All keys are of one slot, so a cluster serves it with one of its nodes.

    After a failure it rests: exchanges fail at once, until one that is due finds the server again.
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
        self._rest_s = 0.0
        self._due = 0.0

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
            arguments += [log.generation, log.known_bytes, log.append, log.next_generation]
        answer = await self._ask(self._script(keys=keys, args=[*arguments, *grow, *(request.expected or ())]))
        committed, items, tails, cut = answer
        return Reply(
            bool(committed),
            {at: Tail(generation, records, bool(whole)) for at, generation, records, whole in tails},
            items,
            cut,
        )

    async def ping(self) -> None:
        """See `service.history.store.Store.ping`; ends the rest if the server is back."""
        await self._ask(self._client.ping())

    async def close(self) -> None:
        """See `service.history.store.Store.close`."""
        await self._client.aclose()

    async def _ask(self, call: Awaitable[Any]) -> Any:  # noqa: ANN401 - what the script returns
        """Return the answer to a call; the one place where the client's errors become ours."""
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await call
        except (RedisError, OSError) as error:
            self._rest_s = min(max(2 * self._rest_s, _REST_S), _LONGEST_REST_S)
            self._due = asyncio.get_running_loop().time() + self._rest_s
            raise HistoryUnavailable(_reason(error)) from error
        self._rest_s = self._due = 0.0
        return answer


_NAME = b"{" + NAMESPACE + b"}"

_REASONS: Sequence[tuple[type[Exception], str]] = (
    (AuthenticationError, "its server refused the credentials"),
    (AuthorizationError, "its server refused the credentials"),
    (TimeoutError, "its server does not answer in time"),
    (ConnectionError, "its server cannot be reached"),
    (OutOfMemoryError, "its server is full"),
    (RedisError, "its server failed"),
)


def _reason(error: Exception) -> str:
    """Return why, without addresses: callers read it."""
    if isinstance(error.__cause__ or error.__context__, ssl.SSLCertVerificationError):
        return "its server's certificate is not trusted"
    for kind, reason in _REASONS:
        if isinstance(error, kind):
            return reason
    return "its server does not answer in time" if isinstance(error, asyncio.TimeoutError) else "its server failed"
