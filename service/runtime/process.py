"""How a process that serves or judges is set up: its event loop, its memory, its share of the interpreter."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import signal
import sys
from collections.abc import Coroutine
from importlib.util import find_spec
from typing import Any, TypeVar

_T = TypeVar("_T")

_SWITCH_S = 0.0005
"""Seconds a thread may keep the interpreter: with Python's 5 ms, health checks wait 100 ms behind large requests."""

_GC_THRESHOLD = 20_000
"""New objects between two searches for garbage cycles: a large request makes 100,000 objects that are in no cycle."""

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_MMAP_BYTES = 32 * 2**20  # the most that glibc takes
_TRIM_BYTES = 128 * 2**20


CLOSE_S = 18.0
"""Seconds after its drain in which a gateway is gone, whatever happens; a test adds up the times of a stop."""


def run_to_completion(work: Coroutine[Any, Any, _T]) -> _T:
    """Run ``work``, on uvloop where it exists: it is the cheapest loop for grpc.aio."""
    if find_spec("uvloop") is None:
        return asyncio.run(work)
    import uvloop  # noqa: PLC0415 - not on every platform

    return uvloop.run(work)


def stop_signals() -> list[signal.Signals]:
    """Return the signals that end a gateway by a drain: SIGTERM, Ctrl-C, and a closed terminal without nohup."""
    hangup = [] if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else [signal.SIGHUP]
    return [signal.SIGTERM, signal.SIGINT, *hangup]


def set_up_for_serving() -> None:
    """Set this process up for many requests at a time."""
    sys.setswitchinterval(_SWITCH_S)
    gc.set_threshold(_GC_THRESHOLD)
    keep_freed_memory()


def keep_freed_memory() -> bool:
    """Keep memory that was freed for the next request instead of giving it back; return whether that can be done.

    The C library gives large blocks back at once and gets them anew, empty pages that the kernel has to clear: a fifth
    of the time of the features. glibc only; elsewhere nothing happens.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, _MMAP_BYTES)) and bool(mallopt(_M_TRIM_THRESHOLD, _TRIM_BYTES))
