"""Every request passes here: who calls, whether another site's page had it sent, and what browsers may load."""

from __future__ import annotations

from http.cookies import CookieError, SimpleCookie
from urllib.parse import quote, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import Unauthenticated
from service.security.auth import Caller, Role, bearer_token
from service.web.guard.sessions import COOKIE, Sessions
from service.web.problems import Problem
from service.web.refusals import problem

LOGIN = "/login"
OPEN = ("/health", "/live", LOGIN, "/static/")
"""What needs no caller: probes, the login form, and the looks of pages; a path that ends in / stands for all below."""

_SAFE = {"GET", "HEAD", "OPTIONS"}
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none';"
    " form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_HSTS = "max-age=31536000"


class Entrance:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, *, sessions: Sessions | None, tls: bool) -> None:
        """Args: without ``sessions`` everybody may come in; ``tls`` says whether this service speaks it itself."""
        self._app, self._sessions, self._tls = app, sessions, tls

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request pass, or answer it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                if self._tls:
                    headers.setdefault("Strict-Transport-Security", _HSTS)
                if not scope["path"].startswith("/static/"):
                    headers.setdefault("Cache-Control", "no-store")
            await send(message)

        refused = self._refusal(scope)
        await (refused or self._app)(scope, receive, send_guarded)

    def _refusal(self, scope: Scope) -> Response | None:
        """Return the answer to who may not come in, None to who may."""
        headers, path = Headers(scope=scope), scope["path"]
        by_token = "authorization" in headers
        if scope["method"] not in _SAFE and not by_token and _is_foreign(headers):
            why = "a page of another site asked for this: open it here"
            return problem(Problem(403, why, [("Origin", "is not that of this service")]))
        if self._sessions is None or any(_is_below(path, one) for one in OPEN):
            return None
        try:
            caller = self._caller(self._sessions, headers)
        except Unauthenticated:
            if path.startswith("/api/") or by_token or scope["method"] not in _SAFE or not _reads_pages(headers):
                why = "send a valid token: Authorization: Bearer TOKEN"
                return problem(Problem(401, why, headers={"WWW-Authenticate": "Bearer"}))
            asked = path + (f"?{scope['query_string'].decode('latin-1')}" if scope["query_string"] else "")
            return RedirectResponse(f"{LOGIN}?next={quote(asked, safe='')}", 303)
        if not caller.roles & {Role.ANALYZE, Role.ADMIN}:
            return problem(Problem(403, "this caller may not do this: ask the operator for the role"))
        scope.setdefault("state", {})["caller"] = caller
        return None

    @staticmethod
    def _caller(sessions: Sessions, headers: Headers) -> Caller:
        if "authorization" in headers:
            return sessions.by_token(bearer_token([("authorization", one) for one in headers.getlist("authorization")]))
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        except CookieError:
            cookie = None
        if cookie is None:
            raise Unauthenticated("no token and no session")
        return sessions.by_cookie(cookie.value)


def _is_foreign(headers: Headers) -> bool:
    """Return whether a page of another site had the browser send this; what is no browser sends neither header."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site not in {"same-origin", "none"}
    origin = headers.get("origin")
    try:
        return origin is not None and urlsplit(origin).netloc != headers.get("host", "")
    except ValueError:  # no address
        return True


def _is_below(path: str, one: str) -> bool:
    return path.startswith(one) if one.endswith("/") else path == one


def _reads_pages(headers: Headers) -> bool:
    return "text/html" in headers.get("accept", "")
