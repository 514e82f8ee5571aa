"""Writes in a thread what any thread hands over, so that no call waits for a disk: bounded, and what is lost counts."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

GRACE_S = 5.0
"""Seconds after `close` in which a write that failed may be tried again."""

_JOIN_S = 2 * GRACE_S

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much waits, and how much is written at once; in the unit of what is written: entries, events."""

    waiting: int  # at most, what is being written included; more is dropped
    batch: int  # written when so much is there ..
    gather_s: float  # .. or so many seconds after the first of it was seen


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a batch, in the unit of the bounds."""

    written: int
    lost: int = 0


Write = Callable[[list[T], bool], Outcome]
"""Writes a batch, and whether it is the last one; as long as it takes, but for `BackgroundWriter.is_late`."""


class BackgroundWriter(Generic[T]):
    """A queue, and the thread that empties it. Each time the thread wakes it takes the interpreter from the others, so
    it wakes for the first thing of a batch and for the last one, not for those between.
    """

    def __init__(
        self, name: str, write: Write[T], bounds: Bounds, idle_s: Callable[[], float | None] = lambda: None
    ) -> None:
        """Start the thread.

        Args:
            name: of the thread.
            write: called in the thread, one batch after the other; an empty one at the end, and after ``idle_s``.
            bounds: of queue and batches.
            idle_s: seconds until ``write`` is to be called although there is nothing new; None: it is not.
        """
        self.written = 0
        self.dropped = 0  # for want of room, or lost by ``write``
        self.waiting = 0  # not written yet
        self._write, self._bounds, self._idle_s = write, bounds, idle_s
        self._queue: deque[tuple[T, int]] = deque()
        self._queued = 0  # what the queue holds; ``waiting`` has what is being written too
        self._writes_since_s: float | None = None  # on time.monotonic(), while something is being written
        self._given_up = False
        self._ends_at_s: float | None = None  # on time.monotonic(), once it is to end
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def put(self, one: T, size: int = 1) -> bool:
        """Hand something over, never waiting; return whether there was room for its ``size``, and a writer for it."""
        with self._changed:
            if self.waiting + size > self._bounds.waiting or not self._thread.is_alive():
                self.dropped += size
                return False
            self._queue.append((one, size))
            self.waiting += size
            self._queued += size
            if len(self._queue) == 1 or self._queued >= self._bounds.batch:
                self._changed.notify()
        return True

    @property
    def is_late(self) -> bool:
        """Whether the writer should have ended by now: what cannot be written is lost."""
        return self._ends_at_s is not None and time.monotonic() > self._ends_at_s

    @property
    def stalled_s(self) -> float:
        """Seconds that the write in progress has taken so far: of a hung disk, more and more."""
        since_s = self._writes_since_s
        return 0.0 if since_s is None else time.monotonic() - since_s

    def close(self) -> None:
        """Write what waits, and end the thread; one that hangs in a write is left alone after 10 seconds.

        What waits then is lost, and counted as ``dropped``.
        """
        with self._changed:
            self._ends_at_s = time.monotonic() + GRACE_S
            self._changed.notify()
        self._thread.join(_JOIN_S)
        with self._changed:
            if self._thread.is_alive():
                self._given_up = True
                self.dropped += self.waiting
                self.waiting = 0

    def _run(self) -> None:
        is_last = False
        while not is_last:
            batch, size, is_last = self._next()
            self._writes_since_s = time.monotonic()
            outcome = self._write(batch, is_last)
            self._writes_since_s = None
            with self._changed:
                if self._given_up:  # all of this was counted as lost
                    return
                self.waiting -= size
                self.written += outcome.written
                self.dropped += outcome.lost

    def _next(self) -> tuple[list[T], int, bool]:
        """Wait for a batch; return it, its size, and whether it is the last one."""
        with self._changed:
            if not self._is_ending() and not self._queue:
                self._changed.wait(self._idle_s())
            if self._queue:
                self._changed.wait_for(self._is_due, self._bounds.gather_s)
            batch, size = [], 0
            while self._queue and size < self._bounds.batch:
                one, its_size = self._queue.popleft()
                batch.append(one)
                size += its_size
            self._queued -= size
            return batch, size, self._is_ending() and not self._queue

    def _is_ending(self) -> bool:
        return self._ends_at_s is not None

    def _is_due(self) -> bool:
        return self._queued >= self._bounds.batch or self._is_ending()
