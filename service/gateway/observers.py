"""What watches a gateway: metrics and drift with their HTTP port, audit log, detection log, traces."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import nan
from pathlib import Path

from prometheus_client.openmetrics.exposition import generate_latest

from service.drift.exposition import DriftCollector, to_json
from service.drift.monitor import Drift
from service.feedback.baselines import JudgedKind, Promised, baselines
from service.feedback.exposition import AccuracyCollector
from service.feedback.sampling import AuditSamples, read_key
from service.feedback.store import VerdictStore
from service.gateway.compiled import form_of_features
from service.gateway.shadow import Twice
from service.gateway.wiring import Wiring
from service.history.store import ServerMemory, Store
from service.monitoring import metrics_endpoint
from service.monitoring.audit import AuditLog
from service.monitoring.audit_sample import SampleWriter
from service.monitoring.detection_log import DetectionLog
from service.monitoring.metrics import Metrics
from service.monitoring.records import Observer, Watch
from service.monitoring.refusals import RefusalLines
from service.monitoring.tracing import Tracing
from service.runtime import timing
from service.settings import Settings


class Monitoring:
    """The observers that the settings ask for."""

    def __init__(
        self,
        settings: Settings,
        wiring: Wiring,
        tracing: Tracing | None = None,
        verdicts: VerdictStore | None = None,
        *,
        http: bool = True,
    ) -> None:
        """Open files and ports; ``http`` False leaves the HTTP port to the process that this one works for.

        The audit sample goes to ``verdicts`` where there are any.

        Raises:
            CommandError: a file cannot be written, or the port is not free.
        """
        self.metrics = Metrics() if tracing is None else Metrics(tracing.trace_id)
        self.metrics.gauge(
            "features_compiled",
            "1 if the loops of the features are compiled, 0 if they take hundreds of times longer.",
            lambda: float(form_of_features() == "compiled"),
        )
        self._drifts: dict[str, Drift] = {}
        self.promised: Mapping[JudgedKind, Promised] = {}  # average precision in the manifests, of all versions so far
        self._samples = _audit_samples(settings)
        self.show(wiring, True)
        observers: list[Observer] = []
        if settings.metrics_port is not None:
            observers.append(self.metrics)
            timing.listen(self.metrics.stage)
        self._audit = None
        if settings.audit_log is not None:
            self._audit = AuditLog(settings.audit_log, max_bytes=settings.audit_max_bytes)
            observers.append(self._audit)
            self._show_audit(self._audit)
        self._sampled = None
        if verdicts is not None and self._samples is not None:
            self._sampled = SampleWriter(verdicts, self._samples)
        if self._sampled is not None:
            observers.append(self._sampled)
            self._show_sampled(self._sampled)
        self._detections = None
        if settings.detection_log is not None:
            self._detections = DetectionLog(
                settings.detection_log, max_bytes=settings.detection_log_max_bytes, samples=self._samples
            )
            observers.append(self._detections)
            self._show_detections(self._detections)
        self._tracing = tracing
        if settings.metrics_port is not None:
            self._show_certificate(settings.tls_cert)
            if wiring.store is not None and "://" in settings.history:
                self._show_server(wiring.store)
        self._refusals = RefusalLines()
        self.watch = Watch(observers, self.metrics.call_ended, log_refusal=self._refusals.note)
        if tracing is not None:
            timing.listen(tracing.stage)
            self.watch = replace(self.watch, observers=[*observers, tracing], request=tracing.request)
        if self._audit is not None:
            self.watch = replace(self.watch, outside=self._audit.refused)
        self._http = None
        if settings.metrics_port is not None:
            self.metrics.registry.register(DriftCollector(lambda: self._drifts))
            self._show_accuracy(verdicts, settings.auditor_error_rate)
            if http:
                self._http = metrics_endpoint.listen(settings, self.metrics.registry, self.drift)

    def show(self, wiring: Wiring, comes: bool) -> None:
        """Show the models of a version that ``comes``, or no longer those of one that goes."""
        if comes:  # what has gone is still being labelled
            promised = baselines((served.name, served.model.manifest) for served in wiring.models)
            self.promised = {**self.promised, **promised}
        if self._samples is not None and wiring.lstm is not None:
            if comes:
                self._samples.add(wiring.name, wiring.lstm.model.manifest)
            else:
                self._samples.remove(wiring.name)
        for served in wiring.models:
            if comes:
                self.metrics.model(served.name, served.model.manifest.feature_spec_hash)
                self.metrics.breaker(served.name, served.backend.breaker)
                if served.provider:
                    self.metrics.provider(served.name, served.provider)
            else:
                self.metrics.forget(served.name, served.model.manifest.feature_spec_hash, served.provider)
        # Anew, not changed: a scrape may be reading it in its own thread.
        names = wiring.drifts.keys()
        kept = {name: drift for name, drift in self._drifts.items() if name not in names}
        self._drifts = kept | wiring.drifts if comes else kept

    def judged_twice(self, request: Twice) -> None:
        """Take a request that was answered, and that a challenger judged, too."""
        if self._sampled is not None and request.again is not None:
            self._sampled.judged_twice(request.events, request.causal, request.answered, request.again)

    @property
    def port(self) -> int | None:
        """The HTTP port, None if it is off."""
        return None if self._http is None else self._http.server_port

    def exposition(self) -> bytes:
        """Return all metrics in the format OpenMetrics, which has exemplars."""
        page: bytes = generate_latest(self.metrics.registry)  # type: ignore[no-untyped-call]
        return page

    def drift(self) -> bytes:
        """Return the state of the drift monitors as JSON."""
        return to_json(self._drifts)

    def close(self) -> None:
        """Write what waits, and close files and ports; blocks for some seconds if a disk is slow."""
        self._refusals.close()
        if self._audit is not None:
            self._audit.close()
        if self._sampled is not None:
            self._sampled.close()
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
        show.gauge("audit_stalled_seconds", "Time that the write in progress has taken.", lambda: audit.stalled_s)
        show.gauge("audit_waiting", "Entries that are not in the audit log yet.", lambda: audit.waiting)

    def _show_certificate(self, cert: Path | None) -> None:
        from service.security.tls import expires_at_s  # noqa: PLC0415 - a gateway without metrics does without it

        meaning = "Unix time at which the certificate of --tls-cert expires, infinity without one."
        self.metrics.gauge("certificate_expiry_timestamp_seconds", meaning, lambda: expires_at_s(cert))

    def _show_server(self, store: Store) -> None:
        def read(of: Callable[[ServerMemory], int]) -> float:
            memory = store.server_memory
            return nan if memory is None else of(memory)

        show = self.metrics.gauge
        show("history_server_memory_bytes", "Memory that the history's server uses.", lambda: read(lambda m: m.used))
        show(
            "history_server_memory_limit_bytes",
            "Memory that the history's server may use, 0 for all that its machine has.",
            lambda: read(lambda m: m.limit),
        )

    def _show_detections(self, detections: DetectionLog) -> None:
        show = self.metrics
        show.counter("detections", "Events written to the detection log.", lambda: detections.written)
        show.counter("detections_dropped", "Events that the detection log lost.", lambda: detections.dropped)

    def _show_accuracy(self, verdicts: VerdictStore | None, error_rate: float) -> None:
        if verdicts is not None:
            self.metrics.registry.register(AccuracyCollector(verdicts, lambda: self.promised, error_rate))

    def _show_sampled(self, sampled: SampleWriter) -> None:
        show = self.metrics
        show.counter("audit_sampled", "Events of the audit sample in the store of verdicts.", lambda: sampled.written)
        show.counter("audit_sampled_dropped", "Events that the audit sample lost.", lambda: sampled.dropped)


def _audit_samples(settings: Settings) -> AuditSamples | None:
    """Return what draws the audit sample of each version, None if nothing keeps it.

    Raises:
        CommandError: its key cannot be used.
    """
    if settings.audit_share == 0 or not (settings.verdicts or settings.detection_log):
        return None
    return AuditSamples(settings.audit_share, read_key(settings.audit_key))
