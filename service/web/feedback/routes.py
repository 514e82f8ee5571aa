"""Buttons beside findings, and a page that asks about the audit sample and shows nothing of what the detectors said."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.responses import RedirectResponse

from service.events.vocabulary import KINDS
from service.findings.records import ScanRow, Window
from service.pb.epcsentinel.v1 import feedback_pb2 as fb
from service.security.auth import Caller, Role
from service.web.feedback.ask import VERDICTS, LabelDesk
from service.web.guard.login import local_path
from service.web.pages.looks import PageRoute, page
from service.web.parts import Parts, TheParts, blocking
from service.web.problems import Problem

router = APIRouter(include_in_schema=False, route_class=PageRoute)

_REPORTS = 500
"""The latest reports, among which the file of an asked event is looked for."""

_Number = Annotated[int, Form(ge=-(2**63), lt=2**63)]
_Short = Annotated[str, Form(max_length=20)]
_LAST = re.compile(r"(-?[0-9]{1,19}):(-?[0-9]{1,19})", re.ASCII)


@dataclass(frozen=True, slots=True)
class LabelLine:
    """A finding and what a person says of it."""

    number: int  # of the scan, from 1
    event_id: int
    kind: str
    said: str  # a name of VERDICTS, "" if he has said nothing


def person(request: Request) -> str:
    """Return by which name the person is known who made a request."""
    caller = _caller(request)
    return "web" if caller is None else caller.name


def may_label(request: Request) -> bool:
    """Return whether who made a request may do what the gateway lets the role ``label`` alone do."""
    caller = _caller(request)
    return caller is None or Role.LABEL in caller.roles


def _caller(request: Request) -> Caller | None:
    return cast("Caller | None", request.scope.get("state", {}).get("caller"))


def _needs_label(request: Request) -> None:
    """Raise Problem unless `may_label`."""
    if not may_label(request):
        raise Problem(403, "this caller may not do this: ask the operator for the role label")


async def label_lines(parts: Parts, file_id: int, scans: Iterable[ScanRow], who: str | None) -> list[LabelLine] | None:
    """Return the findings of an item with what ``who`` says of them, None where that is not to be had.

    Nobody, None, says anything of them.
    """
    if who is None:
        return None
    found = [(number, scan.event_id, one.kind) for number, scan in enumerate(scans, 1) for one in scan.kinds]
    if not found:
        return []
    try:
        said = await _desk(parts).said(file_id, {event_id for _, event_id, _ in found}, who)
    except Problem:
        return None  # the page has more to show
    return [LabelLine(number, event_id, kind, said.get((event_id, kind), "")) for number, event_id, kind in found]


_FOR_LABELLERS = [Depends(_needs_label)]


@router.post("/labels", dependencies=_FOR_LABELLERS)
async def label(  # noqa: PLR0913, PLR0917 - the fields of the form
    parts: TheParts,
    request: Request,
    file_id: _Number,
    event_id: _Number,
    kind: _Short,
    verdict: _Short,
    next: Annotated[str, Form(max_length=2_000)] = "/",
) -> Response:
    """Say something of a finding, and go back to it."""
    await _desk(parts).say([_label(file_id, event_id, kind, verdict, person(request))])
    return RedirectResponse(local_path(next), 303)


@router.get("/audit", dependencies=_FOR_LABELLERS)
async def audit(parts: TheParts, request: Request, last: str = "") -> Response:
    """Ask about one event of the audit sample."""
    event, waiting = await _desk(parts).asked(person(request))
    scans = [] if event is None else await blocking(lambda: _journey(parts, event))
    return page(
        request,
        "audit.html",
        here="audit",
        event=event,
        scans=scans,
        waiting=waiting,
        last=_pair(last) if last else None,
    )


@router.post("/audit", dependencies=_FOR_LABELLERS)
async def answer(  # noqa: PLR0913, PLR0917 - the fields of the form
    parts: TheParts,
    request: Request,
    file_id: _Number,
    event_id: _Number,
    epcFake: _Short = "",
    epcDup: _Short = "",
    locErr: _Short = "",
    evtOrderErr: _Short = "",
    jump: _Short = "",
    every: _Short = "",
) -> Response:
    """Say what kinds of anomaly an event has, of all of them at once or one by one, and ask about the next."""
    said = dict(zip(KINDS, (epcFake, epcDup, locErr, evtOrderErr, jump), strict=True))
    told = [(kind, every or verdict) for kind, verdict in said.items() if every or verdict]
    if not told:
        return RedirectResponse("/audit", 303)
    await _desk(parts).say([_label(file_id, event_id, kind, verdict, person(request)) for kind, verdict in told])
    return RedirectResponse("/audit" if every == "withdrawn" else f"/audit?last={file_id}:{event_id}", 303)


def _desk(parts: Parts) -> LabelDesk:
    return LabelDesk(parts.channel, parts.access)


def _label(file_id: int, event_id: int, kind: str, verdict: str, who: str) -> fb.EventLabel:
    if verdict not in VERDICTS:
        raise Problem(400, f"a verdict is one of {', '.join(VERDICTS)}")
    return fb.EventLabel(file_id=file_id, event_id=event_id, kind=kind, verdict=VERDICTS[verdict], who=who)


def _journey(parts: Parts, event: fb.SampledScan) -> list[ScanRow]:
    """Return the scans of the event's item, if a report has them."""
    reports = parts.store.reports(Window(0, _REPORTS)).rows
    found = next((one for one in reports if one.file_id == event.file_id), None)
    [scans] = parts.store.items(found.report_id, [event.epc_code]) if found else [[]]
    return scans if any(scan.event_id == event.event_id for scan in scans) else []


def _pair(text: str) -> tuple[int, int]:
    """Return (file_id, event_id) of an address."""
    found = _LAST.fullmatch(text)
    numbers = (0, 0) if found is None else (int(found[1]), int(found[2]))
    if found is None or not all(-(2**63) <= number < 2**63 for number in numbers):
        raise Problem(400, "last is FILE:EVENT, two whole numbers")
    return numbers
