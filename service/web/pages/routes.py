"""The pages by HTTP: read without script, quicker to use with it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Annotated, Any, cast

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse
from starlette.requests import HTTPConnection

from service.explain.languages import LANGUAGES
from service.findings.records import FileReport, FindingRow, GroupCount, Grouping, ScanRow, Window
from service.web.feedback.routes import label_lines, may_label, person
from service.web.guard.login import local_path
from service.web.pages.atlas import Atlas
from service.web.pages.filters import ROWS, address_of, filter_of, item_address, limit_of, offset_of
from service.web.pages.item import MOST_MATES, item_page
from service.web.pages.kept import KeptPages, MakePage, ReadReport
from service.web.pages.looks import LANGUAGE_COOKIE, PageRoute, can_log_out, language_for, page
from service.web.pages.metrics import read_metrics
from service.web.pages.moved import MovedScores
from service.web.pages.report import report_page
from service.web.pages.templating import kind_names, moment, number, shown, upload_words
from service.web.parts import Parts, TheParts, blocking
from service.web.problems import Problem

router = APIRouter(include_in_schema=False, route_class=PageRoute)

_FILES = 50
_FIRST_INCIDENTS, _ALL_INCIDENTS = 25, 500
_MOST_ROWS, _MOST_TEXT = 500, 120
_YEAR_S = 365 * 86_400


@dataclass(frozen=True, slots=True)
class PageParts:
    """What the pages need beside the parts of all routers."""

    atlas: Atlas
    moved: MovedScores
    kept: KeptPages = field(default_factory=KeptPages)


def _page_parts(connection: HTTPConnection) -> PageParts:
    return cast("PageParts", connection.app.state.pages)


ThePages = Annotated[PageParts, Depends(_page_parts)]


@router.get("/language/{code}")
async def choose_language(code: str, next: str = "/files") -> Response:
    """Remember the language that somebody chose, and go back to where he was."""
    answer = RedirectResponse(local_path(next), 303)
    if code in LANGUAGES:
        answer.set_cookie(LANGUAGE_COOKIE, code, max_age=_YEAR_S, httponly=True, samesite="lax")
    return answer


@router.get("/files")
async def files(parts: TheParts, request: Request) -> Response:
    """Show the upload form, uploads at work, and all reports."""
    offset = offset_of(request.query_params)
    found = await blocking(lambda: parts.store.reports(Window(offset, _FILES)))
    jobs = [job for job in parts.files.jobs() if not job.over or job.state == "failed"][:10]
    return page(
        request,
        "files.html",
        here="files",
        reports=found.rows,
        jobs=jobs,
        upload_words=upload_words(language_for(request)),
        earlier_href=f"/files?offset={max(offset - _FILES, 0)}" if offset else "",
        later_href=f"/files?offset={offset + _FILES}" if offset + _FILES < found.total else "",
    )


@router.get("/reports/{report_id}")
async def report(parts: TheParts, pages: ThePages, request: Request, report_id: str) -> Response:
    """Show the counts of a file."""
    file = await report_of(parts, pages, report_id)
    return await _kept(parts, pages, request, file, lambda: _counts(parts, request, file))


async def _counts(parts: Parts, request: Request, file: FileReport) -> Response:
    days, places, products, lots = await asyncio.gather(
        blocking(lambda: parts.store.groups(file.report_id, "day")),
        blocking(lambda: parts.store.groups(file.report_id, "place")),
        blocking(lambda: parts.store.groups(file.report_id, "product")),
        blocking(lambda: parts.store.groups(file.report_id, "lot")),
    )
    made = report_page(file, days, places, products, lots)
    return page(request, "report.html", file=file, here_of_report="report", back="/files", report=made)


@router.get("/reports/{report_id}/findings")
async def findings(parts: TheParts, pages: ThePages, request: Request, report_id: str) -> Response:
    """Show the incidents, then the flagged events, as the address filters them."""
    file = await report_of(parts, pages, report_id)
    return await _kept(parts, pages, request, file, lambda: _incidents_and_rows(parts, pages, request, file))


async def _incidents_and_rows(parts: Parts, pages: PageParts, request: Request, file: FileReport) -> Response:
    query = request.query_params
    which, offset = filter_of(query), offset_of(query)
    all_incidents = query.get("incidents") == "all"
    most = Window(0, _ALL_INCIDENTS if all_incidents else _FIRST_INCIDENTS)
    incidents, found, places, causes = await asyncio.gather(
        blocking(lambda: parts.store.incidents(file.report_id, most, which.kind)),
        blocking(lambda: parts.store.findings(file.report_id, Window(offset, ROWS), which)),
        _groups(parts, pages, file.report_id, "place"),
        _groups(parts, pages, file.report_id, "cause"),
    )
    own = request.url.path
    return page(
        request,
        "findings.html",
        file=file,
        here_of_report="findings",
        back=f"/reports/{file.report_id}",
        incidents=incidents.rows,
        incidents_total=incidents.total,
        all_incidents=all_incidents,
        more_incidents_href=address_of(which, own, incidents="all"),
        which=which,
        causes=[one.key for one in causes if one.key],
        places=places,
        rows=found.rows,
        total=found.total,
        rows_href=address_of(which, f"/reports/{file.report_id}/rows"),
        earlier_href=address_of(which, own, offset=max(offset - ROWS, 0)) if offset else "",
        later_href=address_of(which, own, offset=offset + ROWS) if offset + ROWS < found.total else "",
        item_href=lambda code: item_address(file.report_id, code),
    )


@router.get("/reports/{report_id}/rows")
async def rows(parts: TheParts, pages: ThePages, request: Request, report_id: str) -> Response:
    """Return a part of the flagged events for the table that scrolls."""
    file = await report_of(parts, pages, report_id)
    return await _kept(parts, pages, request, file, lambda: _some_rows(parts, request, file))


async def _some_rows(parts: Parts, request: Request, file: FileReport) -> Response:
    query = request.query_params
    which, offset = filter_of(query), offset_of(query)
    found = await blocking(
        lambda: parts.store.findings(file.report_id, Window(offset, limit_of(query, _MOST_ROWS)), which)
    )
    names = kind_names(language_for(request))
    return JSONResponse({"rows": [_row(file, one, names) for one in found.rows]})


@router.get("/reports/{report_id}/item")
async def item(parts: TheParts, pages: ThePages, request: Request, report_id: str, code: str = "") -> Response:
    """Show one item beside its mates."""
    file = await report_of(parts, pages, report_id)
    [scans] = await blocking(lambda: parts.store.items(file.report_id, [code]))
    if not scans:
        raise Problem(404, "this file has no item with this code")
    mates = await blocking(lambda: _mates(parts, file, code))
    who = person(request) if may_label(request) else None
    moves, labels = await asyncio.gather(
        pages.moved.of_item(file, scans, mates), label_lines(parts, file.file_id, scans, who)
    )
    made = item_page(scans, mates, moves, pages.atlas, language_for(request))
    return page(
        request,
        "item.html",
        file=file,
        here_of_report="item",
        back=f"/reports/{file.report_id}/findings",
        item=made,
        told_effects=bool(moves),
        labels=labels,
        labels_path=item_address(file.report_id, code),
        item_href=lambda other: item_address(file.report_id, other),
    )


@router.get("/status")
async def status(parts: TheParts, request: Request) -> Response:
    """Show how the gateway is."""
    url = parts.settings.metrics
    gateway, seen = await asyncio.gather(
        parts.gateway_health(), asyncio.to_thread(read_metrics, url) if url else asyncio.sleep(0)
    )
    target = parts.settings.target
    return page(request, "status.html", here="status", gateway=gateway, metrics_url=url or "", seen=seen, target=target)


async def report_of(parts: Parts, pages: PageParts, report_id: str) -> FileReport:
    """Return a report.

    Raises:
        Problem: there is none of this id.
    """
    is_id = report_id.isascii() and report_id.isdecimal() and len(report_id) <= 16
    found = await pages.kept.report(int(report_id), _reading(parts, int(report_id))) if is_id else None
    if found is None:
        raise Problem(404, "there is no such report: it may have been older than findings are kept")
    return found


async def _kept(parts: Parts, pages: PageParts, request: Request, file: FileReport, make: MakePage) -> Response:
    """Return what does not change while the report is there."""
    asked = request.url.path, request.url.query, language_for(request), can_log_out(request)
    return await pages.kept.page(file, asked, make, _reading(parts, file.report_id))


async def _groups(parts: Parts, pages: PageParts, report_id: int, by: Grouping) -> list[GroupCount]:
    return await pages.kept.groups(report_id, by, lambda: blocking(lambda: parts.store.groups(report_id, by)))


def _reading(parts: Parts, report_id: int) -> ReadReport:
    return lambda: blocking(lambda: parts.store.report(report_id))


def _mates(parts: Parts, file: FileReport, code: str) -> list[list[ScanRow]]:
    found = parts.store.mates(file.report_id, code, MOST_MATES)
    return parts.store.items(file.report_id, [mate.epc_code for mate in found])


def _row(file: FileReport, found: FindingRow, names: dict[str, str]) -> dict[str, Any]:
    texts = (found.epc_code or "–", found.place or str(found.location_id), found.event_type, moment(found.local_us))
    return {
        "href": item_address(file.report_id, found.epc_code),
        "cells": [shown(text)[:_MOST_TEXT] for text in texts],
        "kinds": [{"kind": one.kind, "name": names[one.kind], "score": number(one.score, 1)} for one in found.kinds],
    }
