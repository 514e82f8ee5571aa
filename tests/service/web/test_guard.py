"""Who may come in: tokens, sessions, requests that another site's page had sent; and what browsers may load."""

from __future__ import annotations

import http.client
import re
import ssl
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from service.web.guard.login import local_path
from service.web.oldpaths import examples
from service.web.oldpaths.routes import PATH
from tests.support.command import assert_one_line, run
from tests.support.gateway import Gateway
from tests.support.secrets import authority, key_entry, new_token
from tests.support.web.server import Web

TOKEN, LABELS, BOTH = new_token(), new_token(), new_token()
FORM = {"Content_Type": "application/x-www-form-urlencoded"}
SNAKE = examples.REQUESTS["snake"]["value"]


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "keys.toml"
    path.write_text(
        key_entry("auditor", TOKEN, "analyze")
        + key_entry("labels", LABELS, "label")
        + key_entry("both", BOTH, "analyze", "label")
    )
    return path


@pytest.fixture(scope="module")
def guarded(gateway: Gateway, tmp_path_factory: pytest.TempPathFactory, keys: Path) -> Iterator[Web]:
    folder = tmp_path_factory.mktemp("guarded")
    flags = ("--uploads", str(folder / "uploads"), "--auth-keys", str(keys))
    with Web(gateway.target, folder / "kept", *flags) as running:
        yield running


def log_in(web: Web, token: str = TOKEN, target: str = "/api/reports", **headers: str) -> tuple[int, str, str]:
    """Return (status, where to, the cookie) of the login form."""
    answer = web.post("/login", urlencode({"token": token, "next": target}).encode(), **FORM, **headers)
    return answer.status, answer.headers.get("location", ""), answer.headers.get("set-cookie", "")


def test_the_api_takes_tokens(guarded: Web) -> None:
    for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": f"Basic {TOKEN}"}, {"Cookie": "a=b; =;;"}):
        answer = guarded.post(PATH, SNAKE, **headers)
        assert (answer.status, answer.headers["content-type"]) == (401, "application/problem+json")
        assert answer.headers["www-authenticate"] == "Bearer"
    assert guarded.post(PATH, SNAKE, Authorization=f"Bearer {TOKEN}").status == 200
    assert guarded.get("/api/reports", Authorization=f"bearer {TOKEN}").status == 200
    assert guarded.get("/api/reports", Authorization=f"Bearer {LABELS}").status == 403
    assert [guarded.get(path).status for path in ("/health", "/live", "/login")] == [200] * 3
    assert [guarded.get(path).status for path in ("/", "/openapi.json", "/loginx", "/health/x")] == [401] * 4


def test_verdicts_need_the_role_that_they_need_at_the_gateway(guarded: Web) -> None:
    for token, status in ((TOKEN, 403), (BOTH, 501)):  # 501: this gateway keeps no verdicts
        headers = {"Authorization": f"Bearer {token}"}
        label = guarded.post("/labels", b"file_id=1&event_id=1&kind=jump&verdict=confirmed", **FORM, **headers)
        answer = guarded.post("/audit", b"file_id=1&event_id=1&jump=confirmed", **FORM, **headers)
        assert [one.status for one in (label, answer, guarded.get("/audit", **headers))] == [status] * 3


def test_people_log_in(guarded: Web) -> None:
    page = guarded.get("/docs?a=1", Accept="text/html")
    assert (page.status, page.headers["location"]) == (303, "/login?next=%2Fdocs%3Fa%3D1")
    assert "로그인" in guarded.get("/login", Accept_Language="ko").body.decode()
    assert log_in(guarded, "wrong")[0] == 401
    status, target, cookie = log_in(guarded)
    assert (status, target) == (303, "/api/reports")
    assert {"httponly", "samesite=lax"} <= set(cookie.lower().split("; "))
    session = {"Cookie": cookie.partition(";")[0]}
    assert guarded.get("/api/reports", **session).status == 200
    assert guarded.post(PATH, SNAKE, **session).status == 200
    assert guarded.get("/api/reports", Cookie=session["Cookie"][:-2]).status == 401
    ended = guarded.post("/logout", b"", **session)
    assert (ended.status, 'epc_sentinel_session=""' in ended.headers["set-cookie"]) == (303, True)


def test_a_session_ends_with_its_token(gateway: Gateway, tmp_path: Path) -> None:
    keys, secret = tmp_path / "keys.toml", tmp_path / "secret"
    keys.write_text(key_entry("a", TOKEN, "analyze"))
    secret.write_bytes(b"s" * 32)
    flags = ("--uploads", str(tmp_path / "u"), "--auth-keys", str(keys), "--session-key", str(secret))
    with Web(gateway.target, tmp_path / "1", *flags) as web:
        session = {"Cookie": log_in(web)[2].partition(";")[0]}
    with Web(gateway.target, tmp_path / "2", *flags) as web:  # a replica, or the same after a restart
        assert web.get("/api/reports", **session).status == 200
        keys.write_text(key_entry("a", new_token(), "analyze"))
        web.wait(lambda: web.get("/api/reports", **session).status == 401, "end of the session")
    secret.write_bytes(b"short")
    assert_one_line(run("web", *flags, "--port", "0"), 2, "--session-key", "has 5 bytes")


def test_another_sites_page_gets_nothing_done(guarded: Web, web: Web) -> None:
    session = {"Cookie": log_in(guarded)[2].partition(";")[0]}
    origins = ("https://evil.example", "null", "http://[::1")
    for headers in ({"Sec_Fetch_Site": "cross-site"}, *({"Origin": origin} for origin in origins)):
        assert guarded.post(PATH, SNAKE, **session, **headers).status == 403
        assert log_in(guarded, **headers)[0] == 403
        assert web.post(PATH, SNAKE, **headers).status == 403  # an open service on this machine, too
        assert web.post("/api/files", b"x", **headers).status == 403
    assert guarded.post(PATH, SNAKE, **session, Origin=f"http://127.0.0.1:{guarded.port}").status == 200
    assert guarded.post(PATH, SNAKE, **session, Sec_Fetch_Site="same-origin").status == 200
    assert guarded.post(PATH, SNAKE, Origin="https://a.example", Authorization=f"Bearer {TOKEN}").status == 200


@pytest.mark.parametrize("target", ["//evil.example", "https://evil.example", "/\\evil", "\\evil", "", "/a\r\nb: c"])
def test_the_login_leads_to_this_service_alone(target: str) -> None:
    assert local_path(target) == "/"
    assert local_path("/report?id=1&kind=jump") == "/report?id=1&kind=jump"


@pytest.mark.parametrize("path", ["/health", "/docs", "/nowhere", "/login", "/api/report/detail"])
def test_browsers_load_nothing_from_elsewhere(web: Web, path: str) -> None:
    headers = web.get(path).headers
    assert "default-src 'self'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert "server" not in headers


def test_the_docs_have_examples_and_no_other_host(web: Web) -> None:
    page = web.get("/docs").body.decode()
    assert PATH in page
    assert "인천공장창고" in page
    assert not re.findall(r"<script|https?://(?!127)|style=", page)
    described = web.get("/openapi.json").json()
    body = described["paths"][PATH]["post"]["requestBody"]["content"]["application/json"]
    assert set(body["examples"]) == {"snake", "camel"}
    assert web.get("/docs.css").headers["content-type"].startswith("text/css")


def test_https(gateway: Gateway, tmp_path: Path) -> None:
    ca = authority()
    cert, key = ca.issue("localhost").write(tmp_path, "server")
    (tmp_path / "ca.pem").write_bytes(ca.cert_pem)
    flags = ("--uploads", str(tmp_path / "u"), "--tls-cert", str(cert), "--tls-key", str(key))
    with Web(gateway.target, tmp_path / "kept", *flags, ready=False) as web:
        context = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))

        def serial(server: str = "localhost") -> tuple[int, str, str]:
            connection = http.client.HTTPSConnection(server, web.port, context=context, timeout=10)
            connection.request("GET", "/live")
            assert connection.sock is not None
            answer = connection.getresponse()
            number = connection.sock.getpeercert()["serialNumber"]  # type: ignore[index]
            connection.close()
            return answer.status, answer.headers["Strict-Transport-Security"], str(number)

        web.wait(lambda: serial()[0] == 200, "answer")
        before = serial()
        assert before[1].startswith("max-age=")
        ca.issue("localhost").write(tmp_path, "server")  # renewed: the next handshake has it
        web.wait(lambda: serial()[2] != before[2], "new certificate")
        assert serial("127.0.0.1")[2] != before[2]  # a client that names no host, too
    assert_one_line(run("web", "--tls-cert", str(cert)), 2, "--tls-cert needs --tls-key")
