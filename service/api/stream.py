"""The course of an AnalyzeStream call: read a request, judge it, write its answer, and only then read the next one.

That order is all the flow control there is: while an answer waits for a slow reader nothing is read, and HTTP/2 stops
the writer as soon as its small window is full. Nothing is lost by it: the requests of a client that does not wait for
answers are here already when the one before is done.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from typing import Any

import grpc

from service.errors import Draining, InvalidRequest, SentinelError, Unauthenticated
from service.security.auth import caller

Answer = Callable[[bytes], Awaitable[bytes]]

_SETTLE_S = 0.02
"""A call that broke off reads as one that was half-closed: its cancellation comes a moment later."""

_LAST_WRITE_S = 5.0
"""What an answer gets to leave after the end of its stream; longer is a caller who does not read."""

_Context = grpc.aio.ServicerContext[Any, Any]


class Streams:
    """The streams in flight, which end when the gateway drains, or when they are too old."""

    def __init__(self, max_age_s: float = math.inf) -> None:
        """Args: ``max_age_s`` seconds after its start a stream ends, and earlier if its caller's token does."""
        self._max_age_s = max_age_s
        self._draining = False
        self._reads: set[asyncio.Timeout] = set()

    def drain(self) -> None:
        """Let every stream finish the request it works on, and read no further one."""
        self._draining = True
        for read in self._reads:
            read.reschedule(0.0)  # in the past: the streams that wait for a request wake up

    async def serve(self, context: _Context, answer: Answer) -> None:
        """Answer one request after the other, until the caller half-closes.

        Raises:
            InvalidRequest: a request is unusable; the fields begin with its 0-based place in the stream.
            Draining: the gateway stops, or the stream is too old; the caller is to send again what got no answer.
            Unauthenticated: the caller's token has expired.
        """
        number = 0
        end_s, at_end = self._end()
        while (raw := await self._read(context, end_s, at_end)) is not None:
            try:
                reply = await answer(raw)
            except InvalidRequest as error:
                raise _placed(error, number) from None
            await _write(context, reply, end_s, at_end)
            number += 1

    def _end(self) -> tuple[float | None, SentinelError]:
        """Return when a stream that starts now has to end (time of the event loop), and with what."""
        expires_at_s = caller().expires_at_s
        left_s = math.inf if expires_at_s is None else expires_at_s - time.time()
        age_s = min(self._max_age_s, left_s)
        end_s = None if age_s == math.inf else asyncio.get_running_loop().time() + age_s
        return end_s, Unauthenticated("token expired during the stream") if left_s < self._max_age_s else Draining(_OLD)

    async def _read(self, context: _Context, end_s: float | None, at_end: SentinelError) -> bytes | None:
        """Return the next request, None after the last one."""
        if self._draining:
            raise Draining(_DRAINING)
        try:
            async with asyncio.timeout_at(end_s) as limit:
                self._reads.add(limit)
                try:
                    raw = await context.read()
                finally:
                    self._reads.discard(limit)
        except TimeoutError:
            raise (Draining(_DRAINING) if self._draining else at_end) from None
        if isinstance(raw, bytes):  # else it is grpc.aio.EOF
            return raw
        await asyncio.sleep(_SETTLE_S)
        return None


async def _write(context: _Context, reply: bytes, end_s: float | None, at_end: SentinelError) -> None:
    try:
        async with asyncio.timeout_at(None if end_s is None else end_s + _LAST_WRITE_S):
            await context.write(reply)
    except TimeoutError:  # it does not read
        raise at_end from None
    except grpc.aio.InternalError:  # how a write ends whose call was cancelled, or whose deadline passed
        raise asyncio.CancelledError from None


_DRAINING = "the gateway is shutting down: open a new stream, and send again what got no answer"


_OLD = "the stream has reached its greatest age: open a new one, and send again what got no answer"


def _placed(error: InvalidRequest, number: int) -> InvalidRequest:
    """Return the error with the place of its request in the stream: requests[3].data[17].event_time."""
    place = f"requests[{number}]"
    return InvalidRequest(
        [(place if field == "request" else f"{place}.{field}", text) for field, text in error.violations]
    )
