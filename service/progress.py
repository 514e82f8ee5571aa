"""How long work says how far it is, of the gateway's commands and on the training side."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, float], None]
"""Called with what is going on (one name or sentence) and how much of the whole is done, 0 .. 1."""


def part_of(progress: Progress, begin: float, end: float) -> Progress:
    """Return what a part of the work calls, which is the whole from ``begin`` to ``end``."""
    return lambda what, done: progress(what, begin + (end - begin) * done)
