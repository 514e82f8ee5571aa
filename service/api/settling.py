"""Answers of a stream that wait to be revised: which, until when, and how much room they have."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from service.api.requests import Question

WAITING_BYTES = 64 * 1024 * 1024
"""Messages that wait in all streams together, some 600,000 events; what is more settles early."""

_TICKS = 8
"""Times per ``settle_s`` at which a stream settles what is due, all at once: it costs as much for one as for many."""

_PIECE_BYTES = 4 * 1024 * 1024
"""Messages that are settled at once, some 40,000 events, unless one is larger."""


@dataclass(slots=True)
class Room:
    """What all streams together let wait."""

    most: int = WAITING_BYTES
    used: int = 0


@dataclass(frozen=True, slots=True)
class Waiting:
    """A request that got its provisional answer."""

    number: int  # its place in the stream, from 0
    raw: bytes
    due_s: float  # of the event loop's clock


class Settling:
    """The requests of one stream that wait for their final answer, in their order."""

    def __init__(self, settle_s: float, room: Room) -> None:
        """Args: ``settle_s`` seconds after a request it is due, and up to an eighth of that later."""
        self._settle_s = settle_s
        self._room = room
        self._waiting: deque[Waiting] = deque()

    def add(self, number: int, raw: bytes) -> None:
        """Let a request wait."""
        tick_s = self._settle_s / _TICKS
        due_s = math.ceil((asyncio.get_running_loop().time() + self._settle_s) / tick_s) * tick_s
        self._waiting.append(Waiting(number, raw, due_s))
        self._room.used += len(raw)

    def left_s(self) -> float | None:
        """Return the seconds until something is due, 0 if it is or if there is no room; None if nothing waits."""
        if not self._waiting:
            return None
        now_s = asyncio.get_running_loop().time()
        return 0.0 if self._is_due(now_s) else self._waiting[0].due_s - now_s

    def take(self, *, every: bool = False) -> list[Waiting]:
        """Return what is due, the oldest ones for which there is no room, or ``every`` one: as many as fit a piece.

        They wait no longer.
        """
        now_s, taken, size = asyncio.get_running_loop().time(), [], 0
        while self._waiting and size < _PIECE_BYTES and (every or self._is_due(now_s)):
            taken.append(self._take())
            size += len(taken[-1].raw)
        return taken

    def close(self) -> None:
        """Let nothing wait any more."""
        while self._waiting:
            self._take()

    def _is_due(self, now_s: float) -> bool:
        return self._waiting[0].due_s <= now_s or self._room.used > self._room.most

    def _take(self) -> Waiting:
        oldest = self._waiting.popleft()
        self._room.used -= len(oldest.raw)
        return oldest


def alike(questions: Sequence[Question]) -> list[list[int]]:
    """Return the positions of the questions that can be judged at once: those that ask the same, from one history."""
    groups: dict[Hashable, list[int]] = {}
    for at, question in enumerate(questions):
        asks = (question.detector, question.history, question.point, question.explain)
        groups.setdefault(at if question.history is False else asks, []).append(at)
    return list(groups.values())
