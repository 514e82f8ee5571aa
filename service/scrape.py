"""The HTTP port of /metrics and /drift."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from socketserver import TCPServer, ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app

from service.console import CommandError

_TIMEOUT_S = 10.0

_Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def listen(host: str, port: int, registry: CollectorRegistry, drift: Callable[[], bytes]) -> WSGIServer:
    """Serve the metrics of ``registry``, and what ``drift`` returns, in threads until the server is shut down.

    Raises:
        CommandError: the port is not free.
    """
    try:
        server = make_server(host, port, _app(registry, drift), server_class=_Server, handler_class=_Handler)
    except OSError as error:
        raise CommandError(
            f"cannot serve metrics on {host}:{port}: {error.strerror}; choose another port with --metrics-port"
        ) from None
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    return server


def _app(registry: CollectorRegistry, drift: Callable[[], bytes]) -> _Wsgi:
    show_metrics: _Wsgi = make_wsgi_app(registry)

    def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == "/metrics":
            return show_metrics(environ, start)
        if path == "/drift":
            start("200 OK", [("Content-Type", "application/json")])
            return [drift()]
        start("404 Not Found", [("Content-Type", "text/plain")])
        return [b"here are /metrics and /drift\n"]

    return answer


class _Server(ThreadingMixIn, WSGIServer):
    """A thread per scrape: a slow one keeps nobody waiting."""

    daemon_threads = True

    def server_bind(self) -> None:
        """Bind without asking DNS for a name, which takes seconds where there is no DNS."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()


class _Handler(WSGIRequestHandler):
    timeout = _TIMEOUT_S  # a client that says nothing is let go

    def log_message(self, format: str, *args: Any) -> None:  # noqa: ANN401 - the name is the base's
        """Say nothing: a scrape every few seconds is no news."""
