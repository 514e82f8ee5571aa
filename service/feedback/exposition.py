"""Accuracy after deployment as Prometheus metrics: read from the store when it has changed, not for every scrape."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping

import structlog
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from service.errors import VerdictsUnavailable
from service.feedback.accuracy import KindAccuracy, accuracy
from service.feedback.baselines import JudgedKind, Promised
from service.feedback.estimators import MEASURES, Interval
from service.feedback.store import VerdictStore
from service.feedback.weighed import Auditor, warn_of, weighed

LEAST_S = 60.0
"""Seconds between two measurements, at least: one takes a second or two of a processor."""

_RESAMPLES = 200

_LABELS = ["kind", "method", "model_version", "mode"]
_OF_MEASURE = {
    "average_precision": "Average precision",
    "auc": "Area under the receiver operating characteristic",
    "precision": "Share of the findings that are right",
    "recall": "Share of the anomalous events that are findings",
    "false_positive_rate": "Share of the other events that are findings",
    "false_negative_rate": "Share of the anomalous events that are not",
    "expected_precision": "No measurement: the precision that the scores of the findings promise",
}
_COUNTS = {
    "labels": "Events of the audit sample in the window that have a verdict.",
    "confirmed": "Of these, the anomalous ones.",
    "sampled": "Events of the audit sample in the window.",
    "batches": "Files with labels in the window.",
}

log = structlog.get_logger("epc_sentinel.accuracy")


class AccuracyCollector(Collector):
    """The gauges ``epc_sentinel_rolling_*``."""

    def __init__(
        self,
        store: VerdictStore,
        baselines: Callable[[], Mapping[JudgedKind, Promised]],
        error_rate: float = 0.0,
        least_s: float = LEAST_S,
    ) -> None:
        """Make the gauges.

        Args:
            store: of verdicts and audit sample.
            baselines: returns the average precision that the manifests of the gateway's models promise.
            error_rate: share of the verdicts that are wrong, as `weighed` takes it.
            least_s: seconds between two measurements, at least.
        """
        self._error_rate = error_rate
        self._store, self._baselines, self._least_s = store, baselines, least_s
        self._lock = threading.Lock()
        self._state, self._measured_s, self._found = "", -least_s, list[KindAccuracy]()
        self._at_odds = list[Auditor]()

    def collect(self) -> Iterable[Metric]:
        """Yield the gauges; those of the last measurement while the store cannot be used."""
        found = self._latest()
        for name, meaning in _OF_MEASURE.items():
            yield from _of_measure(name, meaning, found)
        for name, meaning in _COUNTS.items():
            family = GaugeMetricFamily(f"epc_sentinel_rolling_{name}", meaning, labels=_LABELS)
            for one in found:
                family.add_metric(_labels(one), getattr(one, name))
            yield family
        at_odds = GaugeMetricFamily(
            "epc_sentinel_auditors_at_odds", "Persons whose verdicts are at odds with what the others say."
        )
        at_odds.add_metric([], len(self._at_odds))
        yield at_odds
        yield from _of_promises(self._baselines())

    def describe(self) -> Iterable[Metric]:
        """Yield nothing: whoever registers it asks this, and nothing is to be measured at the start."""
        return ()

    def _latest(self) -> list[KindAccuracy]:
        with self._lock:
            if time.monotonic() - self._measured_s < self._least_s:
                return self._found
            try:
                state = self._store.state()
                if state != self._state:
                    words = weighed(self._store.labels(), self._error_rate)
                    self._found, self._state = accuracy(self._store, words, resamples=_RESAMPLES), state
                    warn_of(words.at_odds, self._at_odds)
                    self._at_odds = words.at_odds
            except VerdictsUnavailable as error:
                log.warning("accuracy cannot be measured", reason=str(error))
            self._measured_s = time.monotonic()
            return self._found


def _of_measure(name: str, meaning: str, found: Iterable[KindAccuracy]) -> Iterable[Metric]:
    """Yield the gauges of a measure and of the ends of its interval."""
    ends = {"": "", "_low": ", lower end of the interval", "_high": ", upper end of the interval"}
    families = [
        GaugeMetricFamily(f"epc_sentinel_rolling_{name}{end}", f"{meaning}{what}.", labels=_LABELS)
        for end, what in ends.items()
    ]
    for one in found:
        interval: Interval | None = one.measures.get(name) if name in MEASURES else one.expected_precision
        if interval is not None:
            for family, value in zip(families, interval, strict=True):
                family.add_metric(_labels(one), value)
    yield from families


def _of_promises(promises: Mapping[JudgedKind, Promised]) -> Iterable[Metric]:
    """Yield the gauges of what manifests promise."""
    meaning = "Average precision in the manifest of the model version"
    families = [
        GaugeMetricFamily(f"epc_sentinel_baseline_average_precision{end}", f"{meaning}{what}.", labels=_LABELS)
        for end, what in (("", ""), ("_low", ", less its standard error"))
    ]
    for (judge, kind), promise in promises.items():
        for family, value in zip(families, promise, strict=True):
            family.add_metric([kind, *judge], value)
    yield from families


def _labels(one: KindAccuracy) -> list[str]:
    return [one.kind, *one.judge]
