"""Where work runs: on the event loop if it is little, else in a thread, one for small requests and one for large ones.

Here alone it is decided, for all kinds of work. More threads would not be faster: what they do needs the interpreter
most of the time, and they would take it from each other in the middle of things. A large request has its own thread, so
that no small one waits behind it, and that thread gives way: a small request takes some milliseconds if it has a core
and the interpreter to itself, and several times as long if it has to get both back from a large one again and again.
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass
from typing import TypeVar

LARGE_EVENTS = 8_000
"""Requests with more events are large: the work on one takes longer than small ones should wait."""


@dataclass(frozen=True, slots=True)
class Work:
    """A kind of work on a request."""

    most_on_loop: int
    """Up to so many events (sequences for INFERENCE) it is done on the event loop: that takes no longer than a thread
    takes to begin and to report, some 0.3 ms, or 1 to 2 ms where the thread would have to wait for the interpreter."""


MESSAGE = Work(689)
"""To decode a message or to encode an answer; 689 events are some 64 KiB, 1 ms."""

FEATURES = Work(400)
"""To group events and work out their features: up to 1 ms, and 0.3 ms for 150 events of three requests in one pass."""

COVERAGE = Work(1_500)
"""To look codes and scans up in the tables: 0.1 ms."""

WINDOWS = Work(512)
"""To cut events whose features are there to windows; to name the items of a request."""

THRESHOLDS = Work(LARGE_EVENTS)
"""To tell findings from scores, and files whose hours look shifted."""

REASONS = Work(24)
"""To say why in sentences; by findings, of 30 us each, of requests whose answers are encoded on the event loop."""

INFERENCE = Work(24)
"""To run the embedded model; by sequences."""

ALWAYS_OFF = Work(-1)
"""What is long for however few events: rules, a request against the history."""

_PATIENCE_S, _WORK_S = 0.01, 0.01
"""A large request waits so long at one place, at most, and then works so long without waiting: it goes on at half its
speed, however many small ones there are."""

_LINGER_S = 0.002
"""A small request counts for so long after its work is done: its answer has to be sent, and the caller's next request
to be read, in a dozen steps that each need the interpreter."""

_T = TypeVar("_T")


class _Thread(threading.local):
    gives_way = False
    works_until_s = 0.0  # of the monotonic clock: it has waited, now it is its turn


_thread = _Thread()
_small = ThreadPoolExecutor(1, thread_name_prefix="small")
_large = ThreadPoolExecutor(1, "large", initializer=lambda: setattr(_thread, "gives_way", True))

_small_at_work = 0  # changed by the thread of the event loop alone
_left_s = -math.inf  # when the last of them was done, of the monotonic clock; infinite while one is at work
_calm = threading.Event()  # no small request is at work
_calm.set()


def is_large(events: int) -> bool:
    """Return whether a request of so many events is a large one."""
    return events > LARGE_EVENTS


def on_loop(kind: Work, size: int) -> bool:
    """Return whether work on so many events (or sequences) is done on the event loop."""
    return size <= kind.most_on_loop


async def run(kind: Work, work: Callable[[], _T], events: int) -> _T:
    """Run ``work`` on ``events`` events where that kind of work belongs, in the caller's context.

    Works of one thread take turns.
    """
    if on_loop(kind, events):
        return work()
    threads = _large if is_large(events) else _small
    return await asyncio.get_running_loop().run_in_executor(threads, copy_context().run, work)


@contextmanager
def small_request() -> Iterator[None]:
    """Surrounds all work on a small request; for the event loop."""
    global _small_at_work, _left_s  # noqa: PLW0603 - there is one interpreter to share
    _small_at_work += 1
    _left_s = math.inf
    _calm.clear()
    try:
        yield
    finally:
        _small_at_work -= 1
        if not _small_at_work:
            _left_s = time.monotonic()
            _calm.set()


def give_way() -> None:
    """Wait while small requests are at work, if this is the thread of large ones; called between pieces of work."""
    if not _thread.gives_way or (now_s := time.monotonic()) < _thread.works_until_s:
        return
    patient_until_s = now_s + _PATIENCE_S
    while now_s < (free_s := _left_s + _LINGER_S):
        if now_s >= patient_until_s:
            _thread.works_until_s = now_s + _WORK_S
            return
        if free_s == math.inf:
            _calm.wait(patient_until_s - now_s)
        else:
            time.sleep(min(free_s, patient_until_s) - now_s)
        now_s = time.monotonic()


async def when_calm(work: Callable[[], _T]) -> _T:
    """Run a piece of a large request's ``work`` in a thread of no queue, when small requests had their `give_way`."""

    def run() -> _T:
        _calm.wait(_PATIENCE_S)
        return work()

    return await asyncio.to_thread(run)
