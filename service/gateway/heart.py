"""Does the event loop of a worker live? It counts in memory that it shares with the process which minds it."""

from __future__ import annotations

import asyncio
from ctypes import c_uint64
from multiprocessing import get_context

LOOK_S = 1.0
"""Seconds between two looks."""

SILENT_LOOKS = 5
"""Looks in a row without a beat after which a worker hangs. Looks, not seconds: who is stopped with the worker, as by
`docker pause`, does not look meanwhile."""

_BEAT_S = 0.25


class Heart:
    """The worker lets it beat, the process that minds the worker looks at it."""

    def __init__(self) -> None:
        """Make a heart that has not beaten; it goes to the worker as an argument of its process."""
        self._beats = get_context("spawn").RawValue(c_uint64)
        self._seen = 0
        self._silent = 0

    async def beat(self) -> None:
        """Beat for ever, as long as this event loop has its turns."""
        while True:
            self._beats.value += 1
            await asyncio.sleep(_BEAT_S)

    def look(self) -> int:
        """Return at how many looks in a row, this one included, nothing had happened; 0 before the first beat."""
        beats = self._beats.value
        self._silent = self._silent + 1 if beats and beats == self._seen else 0
        self._seen = beats
        return self._silent
