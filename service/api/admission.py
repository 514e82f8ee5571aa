"""How much work is taken on: what does not fit is refused before anything is done for it.

Large requests take turns, a few at a time, from the decoding on: one that waits costs the bytes of its message only.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from service.errors import Overloaded
from service.runtime.threads import is_large, small_request

EVENT_BYTES = 95
"""Bytes of an event in a message: a regular code, five digits of id. The number of events shows only when decoded."""

LARGE_AT_ONCE = 2
"""Large requests at work: while the model judges one, the features of the other are computed. 100 MiB each."""

_EVENTS_PER_S = 50_000.0
_SHORTEST_S, _LONGEST_S = 0.1, 10.0


class Admission:
    """Counts the events in flight."""

    def __init__(self, max_events: int, max_in_flight: int) -> None:
        """Args: the most events of one request, and of all at one time; a request that is alone may have more."""
        self.max_events = max_events
        self._max_in_flight = max_in_flight
        self._large = asyncio.Semaphore(LARGE_AT_ONCE)
        self.events = 0  # in flight: at work or waiting for their turn
        self._booked_until_s = 0.0  # when all refused requests will have been done, if they come back when told

    @asynccontextmanager
    async def enter(self, message_bytes: int, *, refuse: bool) -> AsyncIterator[None]:
        """Do the block when it is this message's turn; ``refuse`` it if there is too much work already.

        Raises:
            Overloaded: it is refused.
        """
        events = max(1, message_bytes // EVENT_BYTES)
        if refuse and self.events and self.events + events > self._max_in_flight:
            raise Overloaded(
                f"{self.events} events are in flight and this request has about {events};"
                f" {self._max_in_flight} is the limit: try again later",
                self._book(events),
            )
        self.events += events
        try:
            if is_large(events):
                async with self._large:
                    yield
            else:
                with small_request():
                    yield
        finally:
            self.events -= events

    def _book(self, events: int) -> float:
        """Give a refused request a time to come back, in seconds from now: one after another, as work gets done.

        If all came back at once, refusing them again would take the time in which they could be done.
        """
        now_s = time.monotonic()
        at_s = max(self._booked_until_s, now_s + max(self.events / _EVENTS_PER_S, _SHORTEST_S))
        self._booked_until_s = min(at_s + events / _EVENTS_PER_S, now_s + _LONGEST_S)
        return min(at_s - now_s, _LONGEST_S)
