"""Pages of reports are made once, and kept while there is room and the report is there."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from fastapi import Response

from service.findings.records import FileReport, GroupCount
from service.web.pages import kept
from service.web.pages.kept import KeptPages
from tests.support.web.findings import a_report

REPORT = a_report()


class Desk:
    """Makes pages that count how many were made, and knows a report until it goes."""

    def __init__(self) -> None:
        self.made, self.read_times, self.there = 0, 0, True

    async def make(self) -> Response:
        self.made += 1
        text = f"page {self.made}"
        await asyncio.sleep(0)
        return Response(text.ljust(1_000), media_type="text/html")

    async def read(self) -> FileReport | None:
        self.read_times += 1
        return REPORT if self.there else None


def test_many_who_ask_at_once_have_a_page_made_once() -> None:
    pages, desk = KeptPages(), Desk()

    async def ask(report: FileReport, asked: str) -> bytes:
        return bytes((await pages.page(report, asked, desk.make, desk.read)).body).strip()

    async def all_at_once() -> list[bytes]:
        return await asyncio.gather(*(ask(REPORT, asked) for asked in ("a", "b", "a", "a")))

    assert asyncio.run(all_at_once()) == [b"page 1", b"page 2", b"page 1", b"page 1"]
    assert asyncio.run(ask(REPORT, "a")) == b"page 1"
    again = replace(REPORT, created_us=REPORT.created_us + 1)  # the same file, analysed anew
    assert asyncio.run(ask(again, "a")) == b"page 3"


def test_what_is_shown_of_a_report_that_went_meanwhile_is_not_kept() -> None:
    pages, desk = KeptPages(), Desk()
    desk.there = False
    for _ in range(2):
        asyncio.run(pages.page(REPORT, "a", desk.make, desk.read))
    assert desk.made == 2

    async def nothing() -> list[GroupCount]:
        return []

    async def something() -> list[GroupCount]:
        return [GroupCount("1", "place 1", REPORT.counts)]

    assert asyncio.run(pages.groups(REPORT.report_id, "place", nothing)) == []
    for read in (something, nothing):
        assert [one.key for one in asyncio.run(pages.groups(REPORT.report_id, "place", read))] == ["1"]


def test_pages_that_nobody_asks_for_go_first() -> None:
    pages, desk = KeptPages(most_bytes=2_500), Desk()
    for asked in ("a", "b", "a", "c", "a", "b"):
        asyncio.run(pages.page(REPORT, asked, desk.make, desk.read))
    assert desk.made == 4  # a, b, c, and b again
    asyncio.run(pages.page(REPORT, "d" * 3_000, desk.make, desk.read))
    asyncio.run(pages.page(REPORT, "a", desk.make, desk.read))
    assert desk.made == 6  # an address may be longer than all that is kept


def test_a_report_is_known_for_some_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    pages, desk = KeptPages(), Desk()
    for _ in range(3):
        assert asyncio.run(pages.report(REPORT.report_id, desk.read)) == REPORT
    assert desk.read_times == 1
    desk.there = False
    assert asyncio.run(pages.report(REPORT.report_id, desk.read)) == REPORT
    monkeypatch.setattr(kept, "KNOWN_S", 0.0)
    assert asyncio.run(pages.report(REPORT.report_id, desk.read)) is None
