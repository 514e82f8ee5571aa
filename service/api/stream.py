"""The course of an AnalyzeStream call: read a request, judge it, write its answer, and only then read the next one.

That order is all the flow control there is: while an answer waits for a slow reader nothing is read, and HTTP/2 stops
the writer as soon as its small window is full. Nothing is lost by it: the requests of a client that does not wait for
answers are here already when the one before is done.

Where answers settle, what is due is settled in the same order: between two requests, or while none is there.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import grpc

from service.api.settling import Settling, Waiting
from service.errors import Draining, InvalidRequest, SentinelError, Unauthenticated
from service.security.auth import caller

Answer = Callable[[bytes, int], Awaitable[bytes]]
"""Takes a request, and its 0-based place in the stream."""

_Write = Callable[[bytes], Awaitable[None]]

_SETTLE_S = 0.02
"""A call that broke off reads as one that was half-closed: its cancellation comes a moment later."""

_LAST_WRITE_S = 5.0
"""What an answer gets to leave after the end of its stream; longer is a caller who does not read."""

_Context = grpc.aio.ServicerContext[Any, Any]


@dataclass(frozen=True, slots=True)
class Revision:
    """The second answers of a stream."""

    waiting: Settling
    settle: Callable[[Sequence[Waiting]], Awaitable[list[bytes]]]  # makes them, in the order of the requests

    async def send(self, write: _Write, *, every: bool = False) -> None:
        """Settle what is due, or ``every`` request that waits."""
        while requests := self.waiting.take(every=every):
            for reply in await self.settle(requests):
                await write(reply)

    async def send_until(self, done: asyncio.Future[Any], write: _Write) -> None:
        """Settle what is due, as it comes due, until ``done``."""
        while True:
            await self.send(write)
            if (await asyncio.wait({done}, timeout=self.waiting.left_s()))[0]:
                return


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

    async def serve(self, context: _Context, answer: Answer, revision: Revision | None = None) -> None:
        """Answer one request after the other, until the caller half-closes.

        With a ``revision`` each is answered again when it is due, and at the latest when the stream ends in order: a
        gateway that drains and a stream that is too old settle first, a broken call and an error do not.

        Raises:
            InvalidRequest: a request is unusable; the fields begin with its 0-based place in the stream.
            Draining: the gateway stops, or the stream is too old; the caller is to send again what got no answer.
            Unauthenticated: the caller's token has expired.
        """
        end_s, at_end = self._end()
        read = partial(self._read, context, end_s, at_end)
        write = partial(_write, context, end_s=end_s, at_end=at_end)
        if revision is None:
            await _answer_all(read, answer, write)
            return
        try:
            try:
                await _answer_all(partial(_read_settling, read, revision, write), _remembered(answer, revision), write)
            except Draining:
                await revision.send(write, every=True)
                raise
            await revision.send(write, every=True)
        finally:
            revision.waiting.close()

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


async def _answer_all(read: Callable[[], Awaitable[bytes | None]], answer: Answer, write: _Write) -> None:
    number = 0
    while (raw := await read()) is not None:
        try:
            reply = await answer(raw, number)
        except InvalidRequest as error:
            raise _placed(error, number) from None
        await write(reply)
        number += 1


async def _read_settling(
    read: Callable[[], Coroutine[Any, Any, bytes | None]], revision: Revision, write: _Write
) -> bytes | None:
    """Return the next request, and settle meanwhile; a read that was begun is not begun again, or it would be lost."""
    reading = asyncio.create_task(read())
    try:
        await revision.send_until(reading, write)
        return await reading
    finally:
        reading.cancel()


def _remembered(answer: Answer, revision: Revision) -> Answer:
    """Return ``answer`` that lets each request wait for its second one."""

    async def answered(raw: bytes, number: int) -> bytes:
        reply = await answer(raw, number)
        revision.waiting.add(number, raw)
        return reply

    return answered


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
