"""OpenTelemetry traces: a span per request, under the caller's span, and one for each call of the model server.

Opt-in: it needs the extra ``tracing``, and costs some 200 us per request.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from service.errors import CommandError
from service.monitoring import logs
from service.monitoring.records import Analysis
from service.monitoring.span_exporter import SpanExporter
from service.settings import Settings

_TRACE_ID: ContextVar[str] = ContextVar("trace_id", default="")
"""Of the request that the call at hand has served last: the call's line in the log comes after the span's end."""


class Tracing:
    """Sends spans to an OpenTelemetry collector; an `Observer`."""

    def __init__(self, endpoint: str, share: float) -> None:
        """Start the exporter. Args: ``share`` of the requests that are traced where the caller has not decided.

        Raises:
            CommandError: the extra is not installed.
        """
        try:
            self._api: Any = importlib.import_module("opentelemetry.trace")
            propagation: Any = importlib.import_module("opentelemetry.trace.propagation.tracecontext")
            resources: Any = importlib.import_module("opentelemetry.sdk.resources")
            sdk: Any = importlib.import_module("opentelemetry.sdk.trace")
            sampling: Any = importlib.import_module("opentelemetry.sdk.trace.sampling")
            export: Any = importlib.import_module("opentelemetry.sdk.trace.export")
        except ImportError:
            raise CommandError("traces need the extra 'tracing': pip install 'epc-sentinel[tracing]'") from None
        self._provider: Any = sdk.TracerProvider(
            sampler=sampling.ParentBased(sampling.TraceIdRatioBased(share)),
            resource=resources.Resource.create({"service.name": "epc-sentinel"}),
        )
        self._exporter = SpanExporter(endpoint)
        self._provider.add_span_processor(export.BatchSpanProcessor(self._exporter))
        self._tracer: Any = self._provider.get_tracer("epc_sentinel")
        self._w3c: Any = propagation.TraceContextTextMapPropagator()
        logs.add_context(lambda: {"trace_id": trace_id} if (trace_id := _TRACE_ID.get()) else {})

    @contextmanager
    def request(self, method: str, metadata: Iterable[tuple[str, str | bytes]]) -> Iterator[None]:
        """Surround the work on a request; ``metadata`` of the call may have the caller's ``traceparent``."""
        carrier = {key: value for key, value in metadata if isinstance(value, str)}
        with self._tracer.start_as_current_span(
            f"epcsentinel.v1.AnomalyService/{method}",
            context=self._w3c.extract(carrier),
            kind=self._api.SpanKind.SERVER,
            attributes={"rpc.system": "grpc", "rpc.service": "epcsentinel.v1.AnomalyService", "rpc.method": method},
            record_exception=False,  # its text may name what callers sent
            set_status_on_exception=False,
        ):
            _TRACE_ID.set(f"{self._api.get_current_span().get_span_context().trace_id:032x}")
            yield

    def trace_id(self) -> str:
        """Return the trace of the request at hand, empty if it is not sent to the collector."""
        context = self._api.get_current_span().get_span_context()
        return f"{context.trace_id:032x}" if context.trace_flags.sampled else ""

    def analysed(self, analysis: Analysis) -> None:
        """See `Observer.analysed`: the request's span gets its outcome."""
        span = self._api.get_current_span()
        if not span.is_recording():
            return
        span.set_attribute("rpc.grpc.status", analysis.code)
        span.set_attribute("epc_sentinel.request_id", analysis.request_id)
        if analysis.events is not None:
            span.set_attribute("epc_sentinel.events", len(analysis.events))
        if analysis.judgement is not None:
            span.set_attribute("epc_sentinel.model_version", analysis.judgement.model_version)
            span.set_attribute("epc_sentinel.judged_by", analysis.judgement.method)
        if analysis.code != "OK":
            span.set_status(self._api.StatusCode.ERROR, analysis.code)

    def stage(self, stage: str, events: int, wall_s: float, _cpu_s: float) -> None:
        """Add a span of a stage that has just ended, where a request's span is around it."""
        if not self._api.get_current_span().is_recording():
            return
        end_ns = time.time_ns()
        span = self._tracer.start_span(
            stage, start_time=end_ns - int(wall_s * 1e9), attributes={"epc_sentinel.events": events}
        )
        span.end(end_ns)

    @contextmanager
    def outgoing(self) -> Iterator[dict[str, str]]:
        """Surround a call of the model server; see `backends_triton.Outgoing`."""
        if not self._api.get_current_span().get_span_context().is_valid:  # a probe: nobody's request
            yield {}
            return
        name = "inference.GRPCInferenceService/ModelInfer"
        with self._tracer.start_as_current_span(name, kind=self._api.SpanKind.CLIENT, record_exception=False):
            headers: dict[str, str] = {}
            self._w3c.inject(headers)
            yield headers

    def close(self) -> None:
        """Send what waits, within some seconds: a collector that is silent gets no more of them."""
        limit = self._exporter.give_up_soon()
        self._provider.shutdown()
        limit.cancel()


def build_tracing(settings: Settings) -> Tracing | None:
    """Return the tracing that the settings ask for."""
    return None if settings.tracing is None else Tracing(settings.tracing, settings.tracing_share)
