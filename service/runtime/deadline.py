"""Until when an answer is of use: one moment, made at the edge, that travels to the model server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from service.errors import DeadlineExceeded

_TICK_S = 0.001
"""Timers of uvloop come so much early, at most."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment of the event loop's clock."""

    at_s: float | None  # None: never

    @classmethod
    def after(cls, seconds: float | None) -> Deadline:
        """Return the moment so many ``seconds`` from now, `NEVER` for None; for the event loop."""
        return NEVER if seconds is None else cls(asyncio.get_running_loop().time() + seconds)

    @property
    def left_s(self) -> float | None:
        """Seconds until then, 0 at least; None for `NEVER`."""
        return None if self.at_s is None else max(0.0, self.at_s - asyncio.get_running_loop().time())

    @property
    def passed(self) -> bool:
        """Whether it is too late."""
        left_s = self.left_s
        return left_s is not None and left_s < _TICK_S

    def within(self, seconds: float | None) -> Deadline:
        """Return this moment, or the one ``seconds`` from now if that is earlier; None changes nothing."""
        soon = Deadline.after(seconds)
        return soon if self.at_s is None or (soon.at_s is not None and soon.at_s < self.at_s) else self

    def less(self, seconds: float) -> Deadline:
        """Return a moment so many ``seconds`` earlier, but not before half of the time that is left."""
        left_s = self.left_s
        return self if self.at_s is None or left_s is None else Deadline(self.at_s - min(seconds, left_s / 2))

    @asynccontextmanager
    async def enforced(self, message: str) -> AsyncIterator[None]:
        """Do the block until then.

        Raises:
            DeadlineExceeded: it took longer; says ``message``.
        """
        try:
            async with asyncio.timeout_at(self.at_s):
                yield
        except TimeoutError:
            raise DeadlineExceeded(message) from None


NEVER = Deadline(None)


def latest(deadlines: Iterable[Deadline]) -> Deadline:
    """Return the last of some moments, one at least: until then somebody waits."""
    moments = [deadline.at_s for deadline in deadlines]
    return NEVER if None in moments else Deadline(max(moment for moment in moments if moment is not None))
