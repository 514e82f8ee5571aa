"""The login form: a token in, a cookie out."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from service.errors import Unauthenticated
from service.web.guard.entrance import LOGIN
from service.web.guard.sessions import AGE_S, COOKIE
from service.web.pages.looks import page
from service.web.parts import TheParts

router = APIRouter(include_in_schema=False)


@router.get(LOGIN)
async def form(request: Request, next: str = "/") -> HTMLResponse:
    """Show the form."""
    return _page(request, next)


@router.post(LOGIN)
async def log_in(
    parts: TheParts,
    request: Request,
    token: Annotated[str, Form(max_length=10_000)],
    next: Annotated[str, Form(max_length=2_000)] = "/",
) -> Response:
    """Give a session to who holds a token, and go on where he wanted to."""
    if parts.sessions is None:
        return RedirectResponse(local_path(next), 303)
    try:
        cookie = parts.sessions.cookie(token.strip())
    except Unauthenticated:
        return _page(request, next, refused=True)
    answer = RedirectResponse(local_path(next), 303)
    answer.set_cookie(
        COOKIE, cookie, max_age=AGE_S, httponly=True, samesite="lax", secure=request.url.scheme == "https"
    )
    return answer


@router.post("/logout")
async def log_out() -> Response:
    """End the session in this browser."""
    answer = RedirectResponse(LOGIN, 303)
    answer.delete_cookie(COOKIE)
    return answer


def _page(request: Request, target: str, *, refused: bool = False) -> HTMLResponse:
    return page(request, "login.html", 401 if refused else 200, refused=refused, goes_to=local_path(target))


def local_path(target: str) -> str:
    """Return a path of this service: an address of another one becomes the root."""
    sound = target.startswith("/") and not target.startswith(("//", "/\\")) and target.isprintable()
    return target if sound and "\\" not in target else "/"
