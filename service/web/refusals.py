"""Errors as problem+json (RFC 9457): the one place that decides what a caller gets to read."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from service.errors import StoreUnavailable, in_words
from service.web.problems import Problem

MEDIA_TYPE = "application/problem+json"

_MOST_FAULTS = 100

log = structlog.get_logger("epc_sentinel.web")


def problem(one: Problem) -> JSONResponse:
    """Return the answer: type, title, status, detail, and errors with field names where there are some."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(one.status).phrase,
        "status": one.status,
        "detail": one.detail,
    }
    if one.faults:
        shown = one.faults[:_MOST_FAULTS]
        body["errors"] = [{"field": field, "message": message} for field, message in shown]
        if more := len(one.faults) - len(shown):
            body["detail"] += f" ({more} more are not listed)"
    return JSONResponse(body, one.status, headers=dict(one.headers), media_type=MEDIA_TYPE)


def add_handlers(app: FastAPI) -> None:
    """Have every error of the app end as problem+json."""

    @app.exception_handler(Problem)
    async def _own(_request: Request, error: Problem) -> JSONResponse:
        return problem(error)

    @app.exception_handler(RequestValidationError)
    async def _invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
        faults = [(".".join(map(str, one["loc"][1:])) or "body", in_words(str(one["msg"]))) for one in error.errors()]
        return problem(Problem(400, "the request has values that cannot be used", faults))

    @app.exception_handler(HTTPException)
    async def _http(_request: Request, error: HTTPException) -> JSONResponse:
        return problem(Problem(error.status_code, str(error.detail), headers=error.headers))

    @app.exception_handler(StoreUnavailable)
    async def _store(_request: Request, error: StoreUnavailable) -> JSONResponse:
        log.error("store", reason=str(error))  # it may name paths: the operator's business
        return problem(Problem(503, "the store of findings cannot be used now", headers={"Retry-After": "5"}))

    @app.exception_handler(Exception)
    async def _unforeseen(_request: Request, error: Exception) -> JSONResponse:
        log.error("unforeseen", error=type(error).__name__, exc_info=error)
        return problem(Problem(500, "internal error"))
