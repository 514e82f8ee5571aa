"""The rounds as Prometheus metrics: when the last one was, what it saw, and what became of the operations.

When the last round was is read off the state beside the log, so that a gateway that follows the log can show it, too:
of a watch that is silent nobody else would tell.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from service.detect.traffic import Traffic
from service.feedback.moves import share_of
from service.lifecycle.operations import Operation, Progressing
from service.operate.renewing import last_retraining
from service.operate.seen import Situation
from service.operate.severity import Severity
from service.operate.state import OperateState, last_round
from service.operate.steps import What

_PREFIX: Final = "epc_sentinel_operate"
_KINDS: Final = (What.RETRAIN, What.ADOPT)
_REFUSED: Final = "refused"


class LastRoundCollector(Collector):
    """When the last round of a folder was, and how often there is one; nothing where there was none yet."""

    def __init__(self, folder: Path) -> None:
        """Args: ``folder``: of the log of promotions."""
        self._folder = folder

    def collect(self) -> Iterable[Metric]:
        """Yield the gauges."""
        found = last_round(self._folder)
        if found is None:
            return
        at, interval = found
        yield GaugeMetricFamily(f"{_PREFIX}_last_round_timestamp_seconds", "Unix time of the last round.", value=at)
        yield GaugeMetricFamily(f"{_PREFIX}_interval_seconds", "Seconds between two rounds, as set.", value=interval)

    def describe(self) -> Iterable[Metric]:
        """Yield nothing: the state is not to be read before it is asked for."""
        return ()


class OperateCollector(Collector):
    """What the last round of this process saw; an emergency of the log is shown by gateways."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last: tuple[Situation, Severity, bool] | None = None
        self._failed = 0

    def saw(self, seen: Situation, severity: Severity, *, closely: bool) -> None:
        """Take what a round saw."""
        with self._lock:
            self._last = seen, severity, closely

    def failed(self) -> None:
        """Count a round that could not be done."""
        with self._lock:
            self._failed += 1

    def collect(self) -> Iterable[Metric]:
        """Yield all metrics; before the first round only that of rounds that failed."""
        with self._lock:
            last, failed = self._last, self._failed
        yield CounterMetricFamily(f"{_PREFIX}_failed_rounds", "Rounds that could not be done.", value=failed)
        if last is None:
            return
        seen, severity, closely = last
        yield from _of_severity(severity, closely)
        yield from _of_versions(seen)
        yield from _of_verdicts(seen)
        yield from _of_operations(seen.operations)

    def describe(self) -> Iterable[Metric]:
        """Yield nothing: what there is depends on the rounds."""
        return ()


def _of_severity(severity: Severity, closely: bool) -> Iterator[Metric]:
    family = GaugeMetricFamily(f"{_PREFIX}_severity", "How bad it is, 0 to 1.", labels=["part"])
    for part, value in (("all", severity.total), ("performance", severity.performance), ("drift", severity.drift)):
        family.add_metric([part], value)
    yield family
    yield GaugeMetricFamily(f"{_PREFIX}_closely", "1 while the models are watched closely.", value=float(closely))


def _of_versions(seen: Situation) -> Iterator[Metric]:
    standing = seen.standing
    family = GaugeMetricFamily(f"{_PREFIX}_version", "Number of the version that has a state.", labels=["state"])
    states = {"champion": standing.champion, "challenger": standing.challenger, "previous": standing.previous}
    for state, version in states.items():
        if version is not None:
            family.add_metric([state], version)
    yield family
    yield GaugeMetricFamily(
        f"{_PREFIX}_challenger_percent", "Share of the files of the challenger's network, 0 to 100.", value=_share(seen)
    )


def _share(seen: Situation) -> float:
    """Return the share of the challenger; not a number where the traffic is of a later release."""
    try:
        traffic = Traffic.parse(seen.standing.traffic)
    except ValueError:
        return float("nan")
    return share_of(traffic, seen.standing.challenger) if seen.standing.challenger is not None else 0.0


def _of_verdicts(seen: Situation) -> Iterator[Metric]:
    last = GaugeMetricFamily(f"{_PREFIX}_last_verdict_timestamp_seconds", "Unix time of the last verdict.")
    if seen.labels:
        last.add_metric([], max(one.labelled_at_us for one in seen.labels) / 1e6)
    yield last
    yield GaugeMetricFamily(
        f"{_PREFIX}_new_verdicts",
        "Events and kinds with a verdict since the last retraining.",
        value=seen.new_labels(last_retraining(seen, OperateState())),
    )
    yield GaugeMetricFamily(
        f"{_PREFIX}_waiting_for_verdicts",
        "Events of the audit sample of which nobody has said anything.",
        value=seen.waiting,
    )


def _of_operations(operations: Iterable[Operation]) -> Iterator[Metric]:
    """Yield what there is of operations on the disk: it outlives the process, which need not count."""
    operations = list(operations)
    started = CounterMetricFamily(f"{_PREFIX}_started", "Operations that were started.", labels=["kind"])
    running = GaugeMetricFamily(f"{_PREFIX}_running", "Operations that run.", labels=["kind"])
    ended = CounterMetricFamily(f"{_PREFIX}_ended", "Operations that have ended, by how.", labels=["kind", "how"])
    for kind in _KINDS:
        states = Counter(_how(one) for one in operations if one.kind == kind)
        started.add_metric([kind], sum(states.values()))
        running.add_metric([kind], states.pop(Progressing.RUNNING, 0))
        for how in (Progressing.SUCCEEDED, _REFUSED, Progressing.FAILED, Progressing.CANCELLED):
            ended.add_metric([kind, how], states[how])
    yield from (started, running, ended)


def _how(one: Operation) -> str:
    return _REFUSED if one.was_refused else one.state
