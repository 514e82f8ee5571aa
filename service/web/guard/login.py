"""The login form: a token in, a cookie out."""

from __future__ import annotations

from html import escape
from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from service.errors import Unauthenticated
from service.explain.languages import language_of
from service.web.guard.entrance import LOGIN
from service.web.guard.sessions import AGE_S, COOKIE
from service.web.parts import TheParts

router = APIRouter(include_in_schema=False)

_WORDS = {
    "en": ("Log in", "Access token", "This token is not known."),
    "ko": ("로그인", "접근 토큰", "알 수 없는 토큰입니다."),
}
_PAGE = """<!doctype html>
<html lang="{language}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>EPC Sentinel · {title}</title></head>
<body><main><h1>EPC Sentinel</h1>{wrong}
<form method="post" action="{action}"><input type="hidden" name="next" value="{next}">
<p><label>{label}<br><input type="password" name="token" required autofocus autocomplete="current-password"></label></p>
<p><button>{title}</button></p></form></main></body></html>
"""


@router.get(LOGIN)
async def form(request: Request, next: str = "/") -> HTMLResponse:
    """Show the form."""
    return HTMLResponse(_page(request, next, wrong=False))


@router.post(LOGIN)
async def log_in(
    parts: TheParts,
    request: Request,
    token: Annotated[str, Form(max_length=10_000)],
    next: Annotated[str, Form(max_length=2_000)] = "/",
) -> Response:
    """Give a session to who holds a token, and go on where he wanted to."""
    if parts.sessions is None:
        return RedirectResponse(_local(next), 303)
    try:
        cookie = parts.sessions.cookie(token.strip())
    except Unauthenticated:
        return HTMLResponse(_page(request, next, wrong=True), 401)
    answer = RedirectResponse(_local(next), 303)
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


def _page(request: Request, target: str, *, wrong: bool) -> str:
    language = language_of(request.headers.get("accept-language"))
    title, label, refused = _WORDS[language]
    said = f'<p role="alert">{refused}</p>' if wrong else ""
    return _PAGE.format(
        language=language, title=title, label=label, wrong=said, action=LOGIN, next=escape(_local(target), quote=True)
    )


def _local(target: str) -> str:
    """Return a path of this service: an address of another one becomes the root."""
    sound = target.startswith("/") and not target.startswith(("//", "/\\")) and target.isprintable()
    return target if sound and "\\" not in target else "/"
