"""Sends spans to a collector, over a new connection after each failure; needs the extra ``tracing``.

The exporter of the library renews its channel only where the collector refuses it. Where packets vanish, each batch
would wait for its deadline and be lost, as long as the connection looks open: 15 minutes and more.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Sequence
from typing import Any

from service.errors import CommandError

_EXPORT_S = 3  # a collector that is silent for so long is asked once more, over another connection
_STOP_S = 5.0  # for what waits when the gateway stops: a call into the void, and what is sent anew after it

# Else a new channel shares the connection of the old one, the dead one too. No keepalive: it would find nothing sooner
# than the deadline of a call does, and collectors cut off who pings them more often than every five minutes.
_CHANNEL_OPTIONS = (("grpc.use_local_subchannel_pool", 1),)


class SpanExporter:
    """What a `BatchSpanProcessor` sends spans with; it calls this from a thread of its own."""

    def __init__(self, endpoint: str) -> None:
        """Connect, when there are spans.

        Raises:
            CommandError: the extra is not installed.
        """
        try:
            self._sdk: Any = importlib.import_module("opentelemetry.sdk.trace.export")
            self._otlp: Any = importlib.import_module("opentelemetry.exporter.otlp.proto.grpc.trace_exporter")
        except ImportError:
            raise CommandError("traces need the extra 'tracing': pip install 'epc-sentinel[tracing]'") from None
        self._endpoint = endpoint
        self._lock = threading.Lock()
        self._over = False
        self._exporter: Any = self._connected()

    def export(self, spans: Sequence[object]) -> object:
        """Send spans; once more, over a new connection, if that fails. Return the library's SpanExportResult."""
        result = self._exporter.export(spans)
        if result is self._sdk.SpanExportResult.FAILURE and self._renew():
            result = self._exporter.export(spans)
            if result is self._sdk.SpanExportResult.FAILURE:
                self._renew()
        return result

    def give_up_soon(self) -> threading.Timer:
        """Return a running timer; when it is over, the call in progress ends and nothing more is sent."""
        timer = threading.Timer(_STOP_S, self.shutdown)
        timer.daemon = True
        timer.start()
        return timer

    def shutdown(self) -> None:
        """Send nothing more, and end the call in progress."""
        with self._lock:
            if not self._over:
                self._over = True
                self._exporter.shutdown()

    def _renew(self) -> bool:
        """Replace the connection; return False if nothing is to be sent any more."""
        with self._lock:
            if not self._over:
                self._exporter.shutdown()
                self._exporter = self._connected()
            return not self._over

    def _connected(self) -> Any:  # noqa: ANN401 - the library is loaded when it is asked for
        return self._otlp.OTLPSpanExporter(
            endpoint=self._endpoint,
            insecure=self._endpoint.startswith("http://"),
            timeout=_EXPORT_S,
            channel_options=_CHANNEL_OPTIONS,
        )
