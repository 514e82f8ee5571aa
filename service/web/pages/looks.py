"""How a page is made for who asked: in which language, with which links, and what it says when it cannot be made."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from functools import cache
from typing import cast
from urllib.parse import quote

from fastapi import Request, Response
from fastapi.responses import HTMLResponse
from fastapi.routing import APIRoute

from service.errors import StoreUnavailable
from service.explain.languages import LANGUAGES, language_of
from service.web.pages.templating import STATIC, render
from service.web.problems import Problem

LANGUAGE_COOKIE = "epc_sentinel_language"


def language_for(request: Request) -> str:
    """Return the language that a person chose, else the one that the browser asks for."""
    chosen = request.cookies.get(LANGUAGE_COOKIE, "")
    return chosen if chosen in LANGUAGES else language_of(request.headers.get("accept-language"))


def can_log_out(request: Request) -> bool:
    """Return whether who made a request had to say who he is."""
    return request.scope.get("state", {}).get("caller") is not None


def page(request: Request, template: str, status: int = 200, **values: object) -> HTMLResponse:
    """Return a page in the language of who asked."""
    path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    given: dict[str, object] = {
        "here": "",
        "back": "",
        "asset": asset,
        "in_language": lambda code: f"/language/{code}?next={quote(path, safe='')}",
        "can_log_out": can_log_out(request),
        "in_one_file": False,
    }
    return HTMLResponse(render(template, language_for(request), **(given | values)), status)


def asset(name: str) -> str:
    """Return the address of the script or the style; it changes with what is in them, so browsers may keep them."""
    return f"/static/{name}?{_version(name)}"


@cache
def _version(name: str) -> str:
    return hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]


class PageRoute(APIRoute):
    """A route whose errors are pages too."""

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
        """Return the handler."""
        made = cast("Callable[[Request], Awaitable[Response]]", super().get_route_handler())

        async def handler(request: Request) -> Response:
            try:
                return await made(request)
            except Problem as error:
                return _problem(request, error.status, error.detail)
            except StoreUnavailable:  # it may name paths: the operator's business, and in the log
                return _problem(request, 503, "the store of findings cannot be used now")

        return handler


def _problem(request: Request, status: int, detail: str) -> Response:
    if "text/html" not in request.headers.get("accept", "text/html"):
        raise Problem(status, detail)
    return page(request, "problem.html", status, problem_status=status, detail=detail)
