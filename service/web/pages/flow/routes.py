"""The pages of flow by HTTP."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Any

from fastapi import APIRouter, Request, Response

from service.errors import InvalidRequest
from service.flow.forecast.past import MOST_DAYS
from service.pb.epcsentinel.v1 import flow_pb2 as pb
from service.web.flow.ask import ask_flow
from service.web.pages.flow.forecast import ForecastPage, forecast_page
from service.web.pages.flow.stored import MOST_EVENTS, stored_flow
from service.web.pages.looks import PageRoute, page
from service.web.pages.routes import ThePages, report_of
from service.web.parts import TheParts, blocking
from service.web.problems import Problem

router = APIRouter(include_in_schema=False, route_class=PageRoute)

_DIMENSIONS = ("site", "step", "product", "plant", "application", "panel_size")
_PLAN = ("wip", "throughput", "cycle_time_days")


@router.get("/flow")
async def flow(parts: TheParts, request: Request) -> Response:
    """Show the models, a forecast if one is asked for, and whether a plan obeys Little's law."""
    query = request.query_params
    found = await _tried(ask_flow(request, parts, pb.FlowServiceListModelsRequest()))
    models = list(found.models) if isinstance(found, pb.FlowServiceListModelsResponse) else []
    refusals = [found] if isinstance(found, str) else []
    forecast, checked = None, None
    if "days" in query and models:
        forecast = await _forecast(request, parts, query, refusals)
    if "throughput" in query:
        checked = await _checked(request, parts, query, refusals)
    return page(
        request, "flow.html", here="flow", models=models, asked=query, forecast=forecast, checked=checked,
        refusals=refusals,
    )  # fmt: skip


async def _forecast(
    request: Request, parts: TheParts, query: Mapping[str, str], refusals: list[str]
) -> ForecastPage | None:
    try:
        asked = pb.FlowServicePredictRequest(
            model_id=query.get("model_id", ""),
            prediction_days=_days(query["days"]),
            current_wip=_number(query, "current_wip"),
            planned_throughput=_number(query, "planned_throughput"),
        )
        for name in _DIMENSIONS:
            setattr(asked, name, query.get(name, ""))
    except ValueError as error:
        refusals.append(str(error))
        return None
    answer = await _tried(ask_flow(request, parts, asked))
    if isinstance(answer, str):
        refusals.append(answer)
        return None
    return forecast_page(asked, answer)


async def _checked(
    request: Request, parts: TheParts, query: Mapping[str, str], refusals: list[str]
) -> pb.FlowServiceValidateResponse | None:
    try:
        asked = pb.FlowServiceValidateRequest(**{name: _number(query, name) or 0.0 for name in _PLAN})
    except ValueError as error:
        refusals.append(str(error))
        return None
    answer = await _tried(ask_flow(request, parts, asked))
    if isinstance(answer, str):
        refusals.append(answer)
        return None
    checked: pb.FlowServiceValidateResponse = answer
    return checked


def _number(query: Mapping[str, str], name: str) -> float | None:
    text = query.get(name, "").strip()
    try:
        return float(text.replace(",", "")) if text else None
    except ValueError:
        raise ValueError(f"{name}: {text[:40]!r} is no number") from None


def _days(text: str) -> int:
    days = int(text) if text.strip().isdecimal() else 0
    if not 1 <= days <= MOST_DAYS:  # 0 would be the usual number of days to the gateway
        raise ValueError(f"days: {text[:40]!r} is no number of days from 1 to {MOST_DAYS}")
    return days


async def _tried(asking: Awaitable[Any]) -> Any:  # noqa: ANN401 - a message, or text
    """Return the answer, or what was said instead: a form shows that beside what was typed."""
    try:
        return await asking
    except Problem as error:
        return "; ".join(f"{field}: {text}" for field, text in error.faults) or error.detail


@router.get("/reports/{report_id}/flow")
async def of_report(parts: TheParts, pages: ThePages, request: Request, report_id: str) -> Response:
    """Show the flow of a file, without what is flagged in it."""
    file = await report_of(parts, pages, report_id)
    if file.events > MOST_EVENTS:
        raise Problem(413, f"the file has more than {MOST_EVENTS:,} events: use epc-sentinel flow measure --html")
    scans = await blocking(lambda: parts.store.flow_scans(file.report_id))
    try:
        made = await blocking(lambda: stored_flow(file, scans, pages.atlas, parts.reader.zones))
    except InvalidRequest as error:
        raise Problem(413, f"its flow cannot be shown: {error}") from None
    if made is None:
        raise Problem(404, "no scan of this file counts: all are flagged, or of flagged items")
    return page(
        request, "report_flow.html", file=file, here_of_report="flow", back=f"/reports/{file.report_id}", flow=made
    )
