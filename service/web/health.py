"""``GET /health``, and what is there: ``GET /``."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, RedirectResponse

from service.web.parts import TheParts

router = APIRouter(tags=["service"])

NAME = "epc-sentinel"


@router.get("/health", summary="Is the service able to judge?")
async def health(parts: TheParts) -> JSONResponse:
    """Answer 200 and SERVING while the gateway judges, else 503."""
    gateway = await parts.gateway_health()
    serving = gateway == "SERVING"
    body = {"status": "SERVING" if serving else "NOT_SERVING", "gateway": gateway}
    return JSONResponse(body, 200 if serving else 503)


@router.get("/live", summary="Is the process alive?")
async def live() -> dict[str, str]:
    """Answer 200 whatever the gateway does: for probes that restart."""
    return {"status": "SERVING"}


@router.get("/", summary="Name, version, endpoints")
async def index(request: Request) -> Any:  # noqa: ANN401 - JSON, or the way to the pages
    """Return what this is and what it answers to; a browser is led to the pages."""
    if "text/html" in request.headers.get("accept", ""):
        return RedirectResponse("/files", 303)
    paths = request.app.openapi()["paths"]
    endpoints = [f"{method.upper()} {path}" for path, methods in sorted(paths.items()) for method in methods]
    return {"name": NAME, "version": version(NAME), "endpoints": endpoints}
