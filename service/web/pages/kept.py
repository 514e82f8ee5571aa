"""Pages that were made before: a report never changes, so neither does what is shown of it."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable

from fastapi import Response

from service.findings.records import FileReport, GroupCount, Grouping

MOST_BYTES = 64 * 2**20
"""Of all pages that are kept."""

KNOWN_S = 5.0
"""Seconds for which a report is taken to be there still: the oldest ones go when there is no room."""

_MOST_REPORTS = 1_000

ReadReport = Callable[[], Awaitable[FileReport | None]]
ReadGroups = Callable[[], Awaitable[list[GroupCount]]]
MakePage = Callable[[], Awaitable[Response]]


class KeptPages:
    """Pages of reports by what was asked; those that nobody asked for in a while go first."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes, self._bytes = most_bytes, 0
        self._pages: OrderedDict[Hashable, tuple[bytes, str | None]] = OrderedDict()  # body, media type
        self._making: dict[Hashable, asyncio.Task[Response]] = {}
        self._reports: OrderedDict[int, tuple[float, FileReport]] = OrderedDict()
        self._groups: OrderedDict[tuple[int, Grouping], list[GroupCount]] = OrderedDict()

    async def report(self, report_id: int, read: ReadReport) -> FileReport | None:
        """Return a report, which may have gone some seconds ago; None if there is none."""
        now_s = time.monotonic()
        at_s, known = self._reports.get(report_id, (0.0, None))
        if known is not None and now_s - at_s < KNOWN_S:
            return known
        if (found := await read()) is not None:
            self._reports[report_id] = now_s, found
            self._reports.move_to_end(report_id)
            if len(self._reports) > _MOST_REPORTS:
                self._reports.popitem(last=False)
        return found

    async def groups(self, report_id: int, by: Grouping, read: ReadGroups) -> list[GroupCount]:
        """Return the findings of a report by what is the same in every view of them."""
        key = report_id, by
        if kept := self._groups.get(key):
            self._groups.move_to_end(key)
            return kept
        if found := await read():  # nothing: it may have gone, and may come again
            self._groups[key] = found
            if len(self._groups) > _MOST_REPORTS:
                self._groups.popitem(last=False)
        return found

    async def page(self, report: FileReport, asked: Hashable, make: MakePage, read: ReadReport) -> Response:
        """Return the page of a report that was ``asked`` for; many who ask for it at once have it made once.

        It is kept if ``read`` finds the report after it was made: of one that went meanwhile there is nothing to show.
        """
        key = (report.report_id, report.created_us, asked)
        if (kept := self._pages.get(key)) is not None:
            self._pages.move_to_end(key)
            return Response(kept[0], media_type=kept[1])
        if (making := self._making.get(key)) is None:
            making = self._making[key] = asyncio.create_task(self._make(key, make, read))
        return await asyncio.shield(making)  # who goes away does not take it from the others

    async def _make(self, key: Hashable, make: MakePage, read: ReadReport) -> Response:
        try:
            made = await make()
            is_there = await read() is not None
        finally:
            del self._making[key]
        if is_there:
            self._pages[key] = bytes(made.body), made.media_type
            self._bytes += _bytes_of(key, made.body)
        while self._bytes > self._most_bytes:
            oldest, (body, _) = self._pages.popitem(last=False)
            self._bytes -= _bytes_of(oldest, body)
        return made


def _bytes_of(key: Hashable, body: bytes | memoryview) -> int:
    return len(repr(key)) + len(body)  # addresses may be longer than pages
