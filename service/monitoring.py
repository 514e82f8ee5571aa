"""What watches a gateway: metrics and drift with their HTTP port, audit log, detection log, traces."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from socketserver import TCPServer, ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import make_wsgi_app

from service import stages
from service.audit import AuditLog
from service.console import CommandError
from service.detection_log import DetectionLog
from service.drift_metrics import DriftCollector, Drifts, to_json
from service.metrics import Metrics
from service.observe import Observer, Watch
from service.parts import Parts
from service.settings import Settings
from service.tracing import Tracing

_TIMEOUT_S = 10.0

_Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Monitoring:
    """The observers that the settings ask for."""

    def __init__(self, settings: Settings, parts: Parts, tracing: Tracing | None = None) -> None:
        """Open files and ports.

        Raises:
            CommandError: a file cannot be written, or the port is not free.
        """
        self.metrics = Metrics()
        for model in filter(None, (parts.model, parts.canary)):
            self.metrics.model(f"{model.name}/{model.version}", model.manifest.feature_spec_hash)
        observers: list[Observer] = []
        if settings.metrics_port is not None:
            observers.append(self.metrics)
            stages.listen(self.metrics.stage)
        self._audit = None
        if settings.audit_log is not None:
            self._audit = AuditLog(settings.audit_log, max_bytes=settings.audit_max_bytes)
            observers.append(self._audit)
            self._show_audit(self._audit)
        self._detections = None
        if settings.detection_log is not None:
            self._detections = DetectionLog(settings.detection_log, max_bytes=settings.detection_log_max_bytes)
            observers.append(self._detections)
            self._show_detections(self._detections)
        self._tracing = tracing
        self.watch = Watch(observers, self.metrics.call_ended)
        if tracing is not None:
            stages.listen(tracing.stage)
            self.watch = Watch([*observers, tracing], self.metrics.call_ended, request=tracing.request)
        if self._audit is not None:
            self.watch = replace(self.watch, outside=self._audit.refused)
        self._http = None
        if settings.metrics_port is not None:
            self.metrics.registry.register(DriftCollector(parts.drifts))
            self._http = _listen(settings.host, settings.metrics_port, _app(self.metrics, parts.drifts))

    @property
    def port(self) -> int | None:
        """The HTTP port, None if it is off."""
        return None if self._http is None else self._http.server_port

    def close(self) -> None:
        """Write what waits, and close files and ports; blocks for some seconds if a disk is slow."""
        if self._audit is not None:
            self._audit.close()
        if self._detections is not None:
            self._detections.close()
        if self._tracing is not None:
            self._tracing.close()
        if self._http is not None:
            self._http.shutdown()
            self._http.server_close()

    def _show_audit(self, audit: AuditLog) -> None:
        show = self.metrics
        show.counter("audit_entries", "Entries written to the audit log.", lambda: audit.written)
        show.counter("audit_dropped", "Entries that the audit log lost: its disk is too slow.", lambda: audit.dropped)
        show.counter(
            "audit_failures", "Writes of the audit log that failed and are tried again.", lambda: audit.failures
        )
        show.gauge("audit_waiting", "Entries that are not in the audit log yet.", lambda: audit.waiting)

    def _show_detections(self, detections: DetectionLog) -> None:
        show = self.metrics
        show.counter("detections", "Events written to the detection log.", lambda: detections.written)
        show.counter("detections_dropped", "Events that the detection log lost.", lambda: detections.dropped)


def _app(metrics: Metrics, drifts: Drifts) -> _Wsgi:
    """Return what serves /metrics and /drift."""
    show_metrics: _Wsgi = make_wsgi_app(metrics.registry)

    def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == "/metrics":
            return show_metrics(environ, start)
        if path == "/drift":
            start("200 OK", [("Content-Type", "application/json")])
            return [to_json(drifts)]
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


def _listen(host: str, port: int, app: _Wsgi) -> WSGIServer:
    try:
        server = make_server(host, port, app, server_class=_Server, handler_class=_Handler)
    except OSError as error:
        raise CommandError(
            f"cannot serve metrics on {host}:{port}: {error.strerror}; choose another port with --metrics-port"
        ) from None
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    return server
