"""Work that would hold the event loop, in threads: one for small requests, one for large ones.

More threads would not be faster: what they do needs the interpreter most of the time, and they would take it from each
other in the middle of things. A large request has its own thread, so that no small one waits behind it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

LARGE_EVENTS = 8_000
"""Requests with more events are large: the work on one takes longer than small ones should wait."""

SMALL_EVENTS = 512
"""Requests with no more events have their lesser work done on the event loop: 0.3 ms at most, which a thread costs."""

_T = TypeVar("_T")

_small = ThreadPoolExecutor(1, thread_name_prefix="small")
_large = ThreadPoolExecutor(1, thread_name_prefix="large")


async def off_loop(work: Callable[[], _T], events: int) -> _T:
    """Run ``work`` on about ``events`` events in a thread, in the caller's context; works of one thread take turns."""
    threads = _large if events > LARGE_EVENTS else _small
    return await asyncio.get_running_loop().run_in_executor(threads, copy_context().run, work)
