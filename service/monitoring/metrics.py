"""Prometheus metrics of one gateway: an object with a registry of its own, so that many can live in one process."""

from __future__ import annotations

import threading
import time
from collections.abc import Awaitable, Callable, Iterable
from functools import cache

import numpy as np
from numpy.typing import NDArray
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from service.detect.coverage import PARTS, Coverage
from service.detect.names import Method
from service.events.vocabulary import KINDS
from service.model.breaker import Breaker
from service.monitoring.records import Analysis
from service.runtime.timing import STAGES, Stage

SCORE_BOUNDS = (0.001, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 0.95, 0.99, 1.0)
"""Upper bounds of the score buckets; finer where most scores are, near 0 and near 1."""

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_STAGE_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
_EVENTS = (1, 5, 10, 50, 100, 500, 1_000, 5_000, 10_000, 50_000)

RULES = "rules"
"""The ``model_version`` of what rules judged."""


class Scores(Collector):
    """The histogram of scores by kind and model version, filled by columns: `Histogram` takes one value at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: dict[str, NDArray[np.int64]] = {}  # by model version: [5, buckets]
        self._sums: dict[str, NDArray[np.float64]] = {}  # [5]

    def add(self, model_version: str, scores: NDArray[np.float32]) -> None:
        """Count ``scores`` [N, 5]."""
        place = np.searchsorted(_SCORE_BOUNDS, scores)
        place += _FIRST_BUCKETS
        counts = np.bincount(place.ravel(), minlength=len(KINDS) * _BUCKETS).reshape(len(KINDS), _BUCKETS)
        sums = scores.sum(axis=0, dtype=np.float64)
        with self._lock:
            self._counts[model_version] = self._counts.get(model_version, 0) + counts
            self._sums[model_version] = self._sums.get(model_version, 0.0) + sums

    def collect(self) -> Iterable[Metric]:
        """Yield the histogram."""
        family = HistogramMetricFamily(
            "epc_sentinel_score",
            "Scores given, 0 normal .. 1 anomalous, by kind and model version.",
            labels=["kind", "model_version"],
        )
        bounds = [*map(str, SCORE_BOUNDS), "+Inf"]
        with self._lock:
            for version, counts in self._counts.items():
                for row, kind in enumerate(KINDS):
                    buckets = list(zip(bounds, np.cumsum(counts[row]).astype(float).tolist(), strict=True))
                    family.add_metric([kind, version], buckets, float(self._sums[version][row]))
        yield family


_SCORE_BOUNDS = np.array(SCORE_BOUNDS, dtype=np.float32)
_BUCKETS = len(SCORE_BOUNDS) + 1
_FIRST_BUCKETS = np.arange(len(KINDS)) * _BUCKETS
"""Of each kind, where the buckets of all are in one row."""


class _ReadCounter(Collector):
    """A count that somebody else keeps."""

    def __init__(self, name: str, meaning: str, read: Callable[[], float]) -> None:
        self._name, self._meaning, self._read = name, meaning, read

    def collect(self) -> Iterable[Metric]:
        yield CounterMetricFamily(self._name, self._meaning, value=self._read())


def _coverage_counters(registry: CollectorRegistry) -> dict[str, tuple[Counter, Counter]]:
    """Return the counters of what is looked up in the tables of a model and of what they lack, by part."""
    looked_up = Counter(
        "epc_sentinel_looked_up",
        "Codes, places and lanes of files that were looked up in the tables of the model, by part.",
        ["part"],
        registry=registry,
    )
    unknown = Counter("epc_sentinel_unknown", "Those that the tables do not have.", ["part"], registry=registry)
    return {part: (looked_up.labels(part), unknown.labels(part)) for part in PARTS}


class Metrics:
    """All metrics of a gateway; an `Observer`."""

    def __init__(self, trace_id: Callable[[], str] = str) -> None:
        """Make the metrics, and those of the process, in a new registry.

        Args:
            trace_id: of the request at hand, the exemplar of how long it took; empty where it is not traced.
        """
        self._trace_id = trace_id
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        calls = Counter(
            "epc_sentinel_calls", "gRPC calls that ended; a stream is one.", ["method", "code"], registry=registry
        )
        requests = Counter(
            "epc_sentinel_requests",
            "Requests for an analysis that ended; each request of a stream counts.",
            ["method", "code"],
            registry=registry,
        )
        duration = Histogram(
            "epc_sentinel_request_duration_seconds",
            "Time from the last byte of a request to its answer.",
            ["method"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._size = Histogram(
            "epc_sentinel_request_events", "Events of a judged request.", buckets=_EVENTS, registry=registry
        )
        events = Counter("epc_sentinel_events", "Events judged.", ["method", "model_version"], registry=registry)
        findings = Counter("epc_sentinel_findings", "Findings, by kind.", ["kind", "model_version"], registry=registry)
        # Looking up nine times by labels took as long as all the counting of a request.
        self._calls, self._requests, self._duration = (
            cache(calls.labels),
            cache(requests.labels),
            cache(duration.labels),
        )
        self._events = cache(events.labels)
        self._findings = cache(lambda version: [findings.labels(kind, version) for kind in KINDS])
        self._fallback = Counter(
            "epc_sentinel_fallback_answers",
            "Answers that the rules gave because the model could not.",
            registry=registry,
        )
        self._degraded = Counter(
            "epc_sentinel_degraded_answers",
            "Answers without the model or without the history that they should have had; each has a warning.",
            registry=registry,
        )
        self._shifted = Counter(
            "epc_sentinel_shifted_files",
            "Answers about files or streams whose hours look shifted; each has a warning.",
            registry=registry,
        )
        self._coverage = _coverage_counters(registry)
        self._scores = Scores()
        registry.register(self._scores)
        stage_wall = Histogram(
            "epc_sentinel_stage_duration_seconds",
            "Wall time of a stage of the pipeline.",
            ["stage"],
            buckets=_STAGE_SECONDS,
            registry=registry,
        )
        stage_cpu = Counter(
            "epc_sentinel_stage_cpu_seconds", "Processor time of a stage of the pipeline.", ["stage"], registry=registry
        )
        self._stages = {stage: (stage_wall.labels(stage), stage_cpu.labels(stage)) for stage in STAGES}
        self._model = Gauge(
            "epc_sentinel_model_info",
            "The models that this gateway asks, as labels; always 1.",
            ["model_version", "feature_spec_hash"],
            registry=registry,
        )
        self._provider = Gauge(
            "epc_sentinel_onnx_provider",
            "What runs a model in this process: the provider of onnxruntime, as a label; always 1.",
            ["model_version", "provider"],
            registry=registry,
        )
        self._breaker = Gauge(
            "epc_sentinel_model_breaker_open",
            "1 while a model is left alone, because it did not answer, or answered its probe wrongly.",
            ["model_version"],
            registry=registry,
        )
        self._up = Gauge(
            "epc_sentinel_dependency_up",
            "1 if the last probe of the model, its canary, the one-class SVMs, or the history's server, succeeded.",
            ["dependency"],
            registry=registry,
        )
        self._probe = Gauge(
            "epc_sentinel_probe_seconds",
            "Time that the last probe of a dependency took, answered or not.",
            ["dependency"],
            registry=registry,
        )

    def breaker(self, model_version: str, breaker: Breaker) -> None:
        """Show whether a model is left alone."""
        self._breaker.labels(model_version).set_function(lambda: float(breaker.is_open))

    def analysed(self, analysis: Analysis) -> None:
        """See `Observer.analysed`."""
        self._requests(analysis.method, analysis.code).inc()
        exemplar = {"trace_id": trace_id} if (trace_id := self._trace_id()) else None
        self._duration(analysis.method).observe(analysis.duration_s, exemplar)
        judgement = analysis.judgement
        if judgement is None or analysis.code != "OK":
            return
        version = judgement.model_version or RULES
        self._size.observe(len(judgement.scores))
        self._events(analysis.method, version).inc(len(judgement.scores))
        for findings, count in zip(self._findings(version), judgement.flags.sum(axis=0).tolist(), strict=True):
            findings.inc(count)
        self._scores.add(version, judgement.scores)
        if judgement.method == Method.RULES_AS_FALLBACK:
            self._fallback.inc()
        if judgement.degraded:
            self._degraded.inc()
        self._shifted.inc(len(judgement.shifts))
        self._covered(judgement.coverage.values())

    def _covered(self, files: Iterable[Coverage]) -> None:
        """Count what was looked up in the tables for some files, and what they did not have."""
        for coverage in files:
            for part, count in coverage.looked_up.items():
                self._coverage[part][0].inc(count)
            for part, count in coverage.unknown.items():
                self._coverage[part][1].inc(count)

    def call_ended(self, method: str, code: str) -> None:
        """Count a gRPC call."""
        self._calls(method, code).inc()

    def stage(self, stage: Stage, _events: int, wall_s: float, cpu_s: float) -> None:
        """Take the time of one run of a stage."""
        wall, cpu = self._stages[stage]
        wall.observe(wall_s)
        cpu.inc(cpu_s)

    def model(self, model_version: str, feature_spec_hash: str) -> None:
        """Say which model is asked."""
        self._model.labels(model_version, feature_spec_hash).set(1)

    def provider(self, model_version: str, provider: str) -> None:
        """Say what runs a model in this process."""
        self._provider.labels(model_version, provider).set(1)

    def forget(self, model_version: str, feature_spec_hash: str, provider: str) -> None:
        """Show no more that a model is asked; what it has judged stays counted."""
        self._model.remove(model_version, feature_spec_hash)
        self._breaker.remove(model_version)
        if provider:
            self._provider.remove(model_version, provider)

    def gauge(self, name: str, meaning: str, read: Callable[[], float]) -> None:
        """Show a number that is read when Prometheus asks."""
        Gauge(f"epc_sentinel_{name}", meaning, registry=self.registry).set_function(read)

    def counter(self, name: str, meaning: str, read: Callable[[], float]) -> None:
        """Show a count that somebody else keeps, read when Prometheus asks."""
        self.registry.register(_ReadCounter(f"epc_sentinel_{name}", meaning, read))

    def watched(self, dependency: str, ask: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
        """Return ``ask``, a probe that raises where ``dependency`` is down, with its outcome shown."""

        async def asked() -> None:
            began_s = time.perf_counter()
            try:
                await ask()
            except Exception:
                self._up.labels(dependency).set(0)
                raise
            finally:
                self._probe.labels(dependency).set(time.perf_counter() - began_s)
            self._up.labels(dependency).set(1)

        return asked
