"""The course of an AnalyzeStream call: read a request, judge it, write its answer, and only then read the next one.

That order is all the flow control there is: while an answer waits for a slow reader nothing is read, and HTTP/2 stops
the writer as soon as its small window is full. Nothing is lost by it: the requests of a client that does not wait for
answers are here already when the one before is done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import grpc

from service.errors import Draining, InvalidRequest

Answer = Callable[[bytes], Awaitable[bytes]]

_SETTLE_S = 0.02
"""A call that broke off reads as one that was half-closed: its cancellation comes a moment later."""

_Context = grpc.aio.ServicerContext[Any, Any]


class Streams:
    """The streams in flight, which end when the gateway drains."""

    def __init__(self) -> None:
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
            Draining: the gateway stops; the caller is to send again what got no answer.
        """
        number = 0
        while (raw := await self._read(context)) is not None:
            try:
                reply = await answer(raw)
            except InvalidRequest as error:
                raise _placed(error, number) from None
            await _write(context, reply)
            number += 1

    async def _read(self, context: _Context) -> bytes | None:
        """Return the next request, None after the last one."""
        if self._draining:
            raise Draining(_DRAINING)
        try:
            async with asyncio.timeout(None) as limit:
                self._reads.add(limit)
                try:
                    raw = await context.read()
                finally:
                    self._reads.discard(limit)
        except TimeoutError:  # set by drain() alone
            raise Draining(_DRAINING) from None
        if isinstance(raw, bytes):  # else it is grpc.aio.EOF
            return raw
        await asyncio.sleep(_SETTLE_S)
        return None


async def _write(context: _Context, reply: bytes) -> None:
    try:
        await context.write(reply)
    except grpc.aio.InternalError:  # how a write ends whose call was cancelled, or whose deadline passed
        raise asyncio.CancelledError from None


_DRAINING = "the gateway is shutting down: open a new stream, and send again what got no answer"


def _placed(error: InvalidRequest, number: int) -> InvalidRequest:
    """Return the error with the place of its request in the stream: requests[3].data[17].event_time."""
    place = f"requests[{number}]"
    return InvalidRequest(
        [(place if field == "request" else f"{place}.{field}", text) for field, text in error.violations]
    )
