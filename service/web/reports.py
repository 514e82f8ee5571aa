"""``/api/reports`` and its detail: what was found, for programs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query

from service.events.vocabulary import KINDS
from service.findings.records import FileReport, FindingFilter, FindingRow, IncidentRow, Order, ReportFilter, Window
from service.web.parts import TheParts, blocking
from service.web.problems import Problem

router = APIRouter(tags=["reports"])

MOST_ROWS = 1_000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Offset = Annotated[int, Query(ge=0, le=2**53, description="rows to leave out")]
Limit = Annotated[int, Query(ge=1, le=MOST_ROWS, description="rows at most")]
KindName = Literal["", "epcFake", "epcDup", "locErr", "evtOrderErr", "jump"]
DetectorParam = Annotated[Literal["", "rules", "lstm", "svm", "ensemble"], Query(description="what judged")]
ReportId = Annotated[int, Query(alias="reportId", ge=0, lt=2**53, description="as in the list of reports")]


@router.get("/api/reports", summary="Reports, the newest first")
async def reports(  # noqa: PLR0913, PLR0917 - one for each filter
    parts: TheParts,
    offset: Offset = 0,
    limit: Limit = 100,
    file_name: Annotated[str, Query(alias="fileName", max_length=500, description="a part of the name")] = "",
    detector: DetectorParam = "",
    kind: Annotated[KindName, Query(description="with at least one finding of it")] = "",
    since: Annotated[datetime | None, Query(description="made from this time on")] = None,
    until: Annotated[datetime | None, Query(description="made before this time")] = None,
) -> dict[str, Any]:
    """Return a part of the list, and how many there are."""
    which = ReportFilter(file_name, detector, kind, _micros(since), _micros(until))
    found = await blocking(lambda: parts.store.reports(Window(offset, limit), which))
    return {"total": found.total, "offset": offset, "reports": [report_json(one) for one in found.rows]}


@router.get("/api/report/detail", summary="One report with its incidents and findings")
async def detail(  # noqa: PLR0913, PLR0917 - one for each filter
    parts: TheParts,
    report_id: ReportId,
    offset: Offset = 0,
    limit: Limit = 100,
    kind: Annotated[KindName, Query(description="findings of this kind alone")] = "",
    cause: Annotated[str, Query(max_length=100)] = "",
    location_id: Annotated[int | None, Query(alias="locationId")] = None,
    epc_code: Annotated[str, Query(alias="epcCode", max_length=500, description="a part of the code")] = "",
    min_score: Annotated[float, Query(alias="minScore", ge=0, le=100)] = 0.0,
    order: Order = "number",
) -> dict[str, Any]:
    """Return the report, its largest incidents, and a part of its findings."""
    report = await blocking(lambda: parts.store.report(report_id))
    if report is None:
        raise Problem(404, f"there is no report {report_id}", [("reportId", "is of no report that is kept")])
    which = FindingFilter(kind, cause, location_id, epc_code, min_score=min_score, order=order)
    incidents = await blocking(lambda: parts.store.incidents(report_id, Window(0, 100), kind))
    found = await blocking(lambda: parts.store.findings(report_id, Window(offset, limit), which))
    return {
        **report_json(report),
        "incidentList": [incident_json(one) for one in incidents.rows],
        "total": found.total,
        "offset": offset,
        "findings": [finding_json(one) for one in found.rows],
    }


def report_json(report: FileReport) -> dict[str, Any]:
    """Return a report as callers read it; ids are numbers, times ISO 8601 in UTC."""
    return {
        "reportId": report.report_id,
        "fileName": report.file_name,
        "fileId": report.file_id,
        "detector": report.detector,
        "method": report.method,
        "modelVersion": report.model_version,
        "createdAt": time_text(report.created_us),
        "contentSha256": report.content_sha256,
        "events": report.events,
        "items": report.items,
        "flaggedEvents": report.flagged,
        "incidents": report.incidents,
        "fileAnomalyStats": counts_json(report.counts),
        "firstEventTime": time_text(report.first_us),
        "lastEventTime": time_text(report.last_us),
        "language": report.language,
        "warning": report.warning,
    }


def finding_json(found: FindingRow) -> dict[str, Any]:
    """Return a finding: the event, and of each flagged kind what EventHistory has."""
    told: dict[str, Any] = {
        "eventId": found.event_id,
        "epcCode": found.epc_code,
        "locationId": found.location_id,
        "scanLocation": found.place,
        "businessStep": found.step,
        "eventType": found.event_type,
        "eventTime": time_text(found.time_us),
    }
    for one in found.kinds:
        told |= {one.kind: True, f"{one.kind}Score": one.score}
        if one.cause:
            told |= {
                f"{one.kind}Cause": one.cause,
                f"{one.kind}Reason": one.reason,
                f"{one.kind}Incident": one.incident,
            }
    names = {"lstm": "lstmSequenceScore", "svm": "svmOutlierScore", "rule": "ruleScore", "combined": "mlCombinedScore"}
    return told | {names[member]: score for member, score in found.scores.items()}


def incident_json(one: IncidentRow) -> dict[str, Any]:
    """Return an incident: what happened, to how many, and where it begins."""
    return {
        "incident": one.incident,
        "kind": one.kind,
        "cause": one.cause,
        "reason": one.reason,
        "items": one.items,
        "events": one.events,
        "epcCode": one.epc_code,
        "eventId": one.event_id,
        "locationId": one.location_id,
        "scanLocation": one.place,
    }


def counts_json(counts: Mapping[str, int]) -> dict[str, int]:
    """Return counts by kind in the order and with the sum that the backend stores."""
    names = ("jump", "evtOrderErr", "epcFake", "epcDup", "locErr")
    return {"totalEvents": sum(counts[kind] for kind in KINDS), **{f"{kind}Count": counts[kind] for kind in names}}


def time_text(time_us: int) -> str:
    """Return microseconds since 1970 as ISO 8601 in UTC."""
    return (_EPOCH + timedelta(microseconds=time_us)).isoformat().replace("+00:00", "Z")


def _micros(time: datetime | None) -> int | None:
    if time is None:
        return None
    return round((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() * 1e6)
