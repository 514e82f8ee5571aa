"""Where the time of requests goes: the one place where stages are timed, for metrics, logs and the bench alike.

The code of a stage runs inside ``with timed("features", events):``; whoever wants to know listens. Requests that are
judged together are timed together: what a listener may conclude are sums, and microseconds per event.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Literal, Self

Stage = Literal["decode", "validate", "group", "features", "pad", "infer", "respond"]

STAGES: tuple[Stage, ...] = ("decode", "validate", "group", "features", "pad", "infer", "respond")
"""The stages of a request in their order; a stage may run several times for one request."""

Listener = Callable[[Stage, int, float, float], None]
"""Gets (stage, events, seconds on the wall, seconds of the thread's processor time) after every run of a stage.

Called in the thread that ran it. Of work that another process does (Triton) only the wall time means something.
"""

_listeners: tuple[Listener, ...] = ()


class timed:  # noqa: N801 - used as a statement
    """``with timed(stage, events):`` measures the block and tells the listeners."""

    __slots__ = ("_cpu_s", "_heard_by", "_stage", "_wall_s", "events")

    def __init__(self, stage: Stage, events: int = 0) -> None:
        self._stage: Stage = stage
        self.events = events  # may be set inside the block, where their number shows only there

    def __enter__(self) -> Self:
        self._heard_by = _listeners
        if _listeners:
            self._wall_s, self._cpu_s = time.perf_counter(), time.thread_time()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if self._heard_by and error is None:
            wall_s, cpu_s = time.perf_counter() - self._wall_s, time.thread_time() - self._cpu_s
            for listener in self._heard_by:
                listener(self._stage, self.events, wall_s, cpu_s)


def listen(listener: Listener) -> None:
    """Tell ``listener`` of every stage from now on; done once when a process starts."""
    global _listeners  # noqa: PLW0603 - like the handlers of logging: one list per process
    _listeners = (*_listeners, listener)


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Tell ``listener`` of the stages that run inside the block."""
    global _listeners  # noqa: PLW0603
    listen(listener)
    try:
        yield
    finally:
        _listeners = tuple(one for one in _listeners if one is not listener)
