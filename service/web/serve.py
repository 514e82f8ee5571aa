"""The HTTP server of the web service: uvicorn on one socket, ended in order by SIGTERM."""

from __future__ import annotations

import os
import socket
import ssl
from pathlib import Path

import structlog
import uvicorn

from service.errors import CommandError
from service.runtime.process import set_up_for_serving
from service.security.tls import http_context
from service.settings import place
from service.web.app import build_app
from service.web.settings import WebSettings

DRAIN_S = 10
"""Seconds that running requests get on SIGTERM."""

NICENESS = 5
"""Of 19: on a machine that it shares with the gateway, callers of that go first, and whoever looks at pages waits
somewhat longer. Apart from it, nothing changes."""

log = structlog.get_logger("epc_sentinel.web")


def serve(settings: WebSettings) -> None:
    """Serve until SIGTERM or Ctrl-C.

    Raises:
        CommandError: the address, the store or a file cannot be used.
    """
    listening = _listen(settings.host, settings.port)
    app = build_app(settings)
    config = uvicorn.Config(
        app,
        log_config=None,  # the lines of the standard library go through ours
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=DRAIN_S,
        loop="auto",
    )
    config.load()
    if settings.tls_cert and settings.tls_key:
        config.ssl = _followed(settings.tls_cert, settings.tls_key)
    if settings.auth_keys is None and not _is_loopback(settings.host):
        log.warning("anybody who reaches this port may come in: set --auth-keys", host=settings.host)
    os.nice(NICENESS)
    set_up_for_serving()
    log.info("listening", host=settings.host, port=listening.getsockname()[1], target=settings.target)
    uvicorn.Server(config).run(sockets=[listening])


def _followed(cert: Path, key: Path) -> ssl.SSLContext:
    """Return the context of HTTPS, whose handshakes use what the files say by then."""
    current = http_context(cert, key, None, "--tls-cert, --tls-key")
    context = current()

    def renew(connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        connection.context = current()

    context.sni_callback = renew  # called without a name, too
    return context


def _is_loopback(host: str) -> bool:
    return host in {"localhost", "::1"} or host.startswith("127.")


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=1024)
    except OSError as error:
        why = os.strerror(error.errno or 0)  # the error's own words say host and port again
        raise CommandError(f"cannot listen on {place(host, port)}: {why}; choose another --port") from None
