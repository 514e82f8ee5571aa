"""What the gateway's metrics say of its model, its drift and its history, for the page of its health."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass
from http.client import HTTPException

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from service.events.vocabulary import KINDS

_PREFIX = "epc_sentinel_"
_TIMEOUT_S = 3.0
_MOST_BYTES = 4 * 2**20


@dataclass(frozen=True, slots=True)
class DriftSeen:
    """The drift of one model and mode."""

    model_version: str
    mode: str
    alarm: bool
    distances: tuple[tuple[str, float], ...]  # the largest of the last window, by feature, 0 to 1


@dataclass(frozen=True, slots=True)
class GatewaySeen:
    """What a gateway tells of itself."""

    models: tuple[str, ...]
    dependencies: tuple[tuple[str, bool], ...]  # what it needs, and whether it is there
    events: int  # judged since its start
    findings: tuple[tuple[str, int], ...]  # by kind, all five
    drift: tuple[DriftSeen, ...]
    history: tuple[tuple[str, float], ...]  # what is counted, in words, and how many


def read_metrics(url: str) -> GatewaySeen | None:
    """Return what the metrics at ``url`` say, None if they cannot be read."""
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as answer:  # noqa: S310 - the operator's own http address
            text = answer.read(_MOST_BYTES).decode("utf-8")
        return seen_in(text_string_to_metric_families(text))
    except (OSError, HTTPException, ValueError):
        return None


def seen_in(families: Iterable[Metric]) -> GatewaySeen:
    """Return what metrics say."""
    by_name = {family.name.removeprefix(_PREFIX): family for family in families}

    def samples(name: str) -> list[tuple[dict[str, str], float]]:
        family = by_name.get(name)
        wanted = {_PREFIX + name, f"{_PREFIX}{name}_total"}
        return [(one.labels, one.value) for one in family.samples if one.name in wanted] if family else []

    found = dict.fromkeys(KINDS, 0)
    for labels, value in samples("findings"):
        if labels.get("kind") in found:
            found[labels["kind"]] += int(value)
    history = [
        (family.documentation.rstrip("."), value)
        for name, family in sorted(by_name.items())
        if name.startswith("history_")
        for labels, value in samples(name)
        if not labels
    ]
    return GatewaySeen(
        models=tuple(sorted({labels["model_version"] for labels, _ in samples("model_info")})),
        dependencies=tuple((labels["dependency"], value > 0) for labels, value in samples("dependency_up")),
        events=int(sum(value for _, value in samples("events"))),
        findings=tuple(found.items()),
        drift=tuple(_drift(samples("drift_alarm"), samples("drift_distance"))),
        history=tuple(history),
    )


def _drift(
    alarms: list[tuple[dict[str, str], float]], distances: list[tuple[dict[str, str], float]]
) -> Iterable[DriftSeen]:
    for labels, value in alarms:
        own = [
            (of.get("feature") or of.get("column") or "", distance)
            for of, distance in distances
            if labels.items() <= of.items()
        ]
        largest = tuple(sorted(own, key=lambda one: -one[1])[:5])
        yield DriftSeen(labels.get("model_version", ""), labels.get("mode", ""), value > 0, largest)
