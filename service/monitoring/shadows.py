"""The comparison of champion and challenger as Prometheus counters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from service.events.vocabulary import KINDS


class Difference(Protocol):
    """What is counted of one challenger; arrays [5] in the order of KINDS."""

    events: int
    champion_alone: NDArray[np.int64]
    challenger_alone: NDArray[np.int64]
    difference: NDArray[np.float64]


class ShadowCollector(Collector):
    """What the challengers say beside what was answered."""

    def __init__(self, read: Callable[[], Mapping[str, Difference]]) -> None:
        """Args: ``read`` returns the comparisons by challenger."""
        self._read = read

    def collect(self) -> Iterable[Metric]:
        """Yield the counters."""
        events = CounterMetricFamily(
            "epc_sentinel_shadow_events", "Events that a challenger judged in the shadow.", labels=["model_version"]
        )
        alone = CounterMetricFamily(
            "epc_sentinel_shadow_disagreements",
            "Findings of champion or challenger alone, by who made them.",
            labels=["model_version", "kind", "by"],
        )
        difference = CounterMetricFamily(
            "epc_sentinel_shadow_difference",
            "Sum of the absolute differences of the scores, 0 to 1 each.",
            labels=["model_version", "kind"],
        )
        for version, found in dict(self._read()).items():
            events.add_metric([version], found.events)
            for at, kind in enumerate(KINDS):
                alone.add_metric([version, kind, "champion"], float(found.champion_alone[at]))
                alone.add_metric([version, kind, "challenger"], float(found.challenger_alone[at]))
                difference.add_metric([version, kind], float(found.difference[at]))
        yield from (events, alone, difference)
