"""The HTTP port of /metrics and /drift, with TLS if that is asked for."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterable
from socketserver import TCPServer, ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import structlog
from prometheus_client import CollectorRegistry, make_wsgi_app

from service.errors import CommandError
from service.settings import Settings, place

_TIMEOUT_S = 10.0

_Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

log = structlog.get_logger("epc_sentinel.metrics")


def listen(settings: Settings, registry: CollectorRegistry, drift: Callable[[], bytes] | None = None) -> WSGIServer:
    """Serve the metrics of ``registry``, and what ``drift`` returns, in threads until the server is shut down.

    Raises:
        CommandError: the port is not free.
        SettingsError: the files of TLS cannot be used.
    """
    host, port = settings.host, settings.metrics_port or 0
    context = _context(settings)
    try:
        server = make_server(host, port, _app(registry, drift), server_class=_server(host), handler_class=_Handler)
    except OSError as error:
        raise CommandError(
            f"cannot serve metrics on {place(host, port)}: {error.strerror}; choose another port with --metrics-port"
        ) from None
    server.context = context
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    return server


def _app(registry: CollectorRegistry, drift: Callable[[], bytes] | None) -> _Wsgi:
    show_metrics: _Wsgi = make_wsgi_app(registry)

    def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == "/metrics":
            return show_metrics(environ, start)
        if path == "/drift" and drift is not None:
            start("200 OK", [("Content-Type", "application/json")])
            return [drift()]
        start("404 Not Found", [("Content-Type", "text/plain")])
        return [b"here is /metrics\n" if drift is None else b"here are /metrics and /drift\n"]

    return answer


def _context(settings: Settings) -> Callable[[], ssl.SSLContext] | None:
    """Return what gives the TLS context of a connection that begins now, None for plain HTTP."""
    if not (settings.metrics_tls and settings.tls_cert and settings.tls_key):
        return None
    from service.security.tls import http_context  # noqa: PLC0415 - a gateway without TLS does without the library

    return http_context(settings.tls_cert, settings.tls_key, settings.tls_client_ca)


class _Server(ThreadingMixIn, WSGIServer):
    """A thread per scrape: a slow one keeps nobody waiting."""

    daemon_threads = True
    context: Callable[[], ssl.SSLContext] | None = None

    def server_bind(self) -> None:
        """Bind without asking DNS for a name, which takes seconds where there is no DNS."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()

    def finish_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - the types are the base's
        """Answer, in the thread of the scrape, after its handshake if there is TLS."""
        if self.context is None:
            super().finish_request(request, client_address)
            return
        request.settimeout(_TIMEOUT_S)
        try:
            encrypted = self.context().wrap_socket(request, server_side=True)
        except OSError as error:  # no TLS, no certificate of the right authority, or nothing at all
            log.debug("handshake failed", port=self.server_port, reason=str(error))
            return
        with encrypted:
            super().finish_request(encrypted, client_address)


class _Server6(_Server):
    """The same for an IPv6 address; `::` is all interfaces of both kinds."""

    address_family = socket.AF_INET6


def _server(host: str) -> type[_Server]:
    return _Server6 if ":" in host else _Server


class _Handler(WSGIRequestHandler):
    timeout = _TIMEOUT_S  # a client that says nothing is let go

    def log_message(self, format: str, *args: Any) -> None:  # noqa: ANN401 - the name is the base's
        """Say nothing: a scrape every few seconds is no news."""
