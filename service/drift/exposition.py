"""Drift as Prometheus gauges and as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from service.drift.monitor import Drift

Drifts = Mapping[str, Drift]
"""By model version."""


class DriftCollector(Collector):
    """The last window of each model version and mode."""

    def __init__(self, drifts: Callable[[], Drifts]) -> None:
        """Args: ``drifts`` returns those that there are when somebody asks."""
        self._drifts = drifts

    def collect(self) -> Iterable[Metric]:
        """Yield the gauges."""
        labels = ["model_version", "mode"]
        alarm = GaugeMetricFamily(
            "epc_sentinel_drift_alarm", "1 if the last two windows differ from the reference.", labels=labels
        )
        windows = CounterMetricFamily("epc_sentinel_drift_windows", "Windows compared.", labels=labels)
        rejected = CounterMetricFamily(
            "epc_sentinel_drift_rejected_windows", "Windows that differ from the reference.", labels=labels
        )
        each = [*labels, "feature"]
        distance = GaugeMetricFamily(
            "epc_sentinel_drift_distance", "Kolmogorov-Smirnov distance of the last window, 0 to 1.", labels=each
        )
        psi = GaugeMetricFamily("epc_sentinel_drift_psi", "Population stability index of the last window.", labels=each)
        for version, drift in self._drifts().items():
            for mode, monitor in drift.monitors.items():
                alarm.add_metric([version, mode], monitor.alarm)
                windows.add_metric([version, mode], monitor.windows)
                rejected.add_metric([version, mode], monitor.rejected)
                result = monitor.result
                if result is None:
                    continue
                for at, name in enumerate(monitor.reference.names):
                    distance.add_metric([version, mode, name], float(result.distance[at]))
                    psi.add_metric([version, mode, name], float(result.psi[at]))
        yield from (alarm, windows, rejected, distance, psi)


def to_json(drifts: Drifts) -> bytes:
    """Return the state of all monitors; an empty object if the models have no reference."""
    state = {
        version: {mode: monitor.summary() for mode, monitor in drift.monitors.items()}
        for version, drift in drifts.items()
    }
    return json.dumps(state, indent=1).encode() + b"\n"
