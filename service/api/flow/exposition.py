"""Sites outside of their band as a Prometheus gauge."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from service.flow.alerts import BandAlert


class FlowAlertCollector(Collector):
    """What the last Measure found."""

    def __init__(self, read: Callable[[], Sequence[BandAlert]]) -> None:
        """Args: ``read`` returns the alerts of the last Measure."""
        self._read = read

    def collect(self) -> Iterable[Metric]:
        """Yield the gauge: days in a row that a site is outside, by site and measure; nothing of sites inside."""
        gauge = GaugeMetricFamily(
            "epc_sentinel_flow_alert_days",
            "Days in a row that a site's stock or dwell is outside of its band, at the last Measure.",
            labels=["location_id", "measure"],
        )
        for alert in tuple(self._read()):
            gauge.add_metric([str(alert.location_id), alert.measure], alert.days)
        yield gauge
