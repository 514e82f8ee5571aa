"""What a detector's findings are worth at each operating point, and whether it keeps to its budget of false alarms."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from service.events.vocabulary import KINDS, OperatingPoint
from service.model.manifest import Points, Thresholds, at_point
from training.evaluation.slices import FALSE_ALARMS, DetectorVerdicts, Judged, Row
from training.metrics.per_kind import at_thresholds

POINT = "point "
"""Begins the name of the slice that has the numbers of a point, of all events."""

ALARMS = "alarms_per_10000_events"
_TOO_MANY = 2  # times the budget: more than what one world differs from another


def points_of(thresholds: Thresholds, points: Points | None, mode: str) -> dict[OperatingPoint, list[float]]:
    """Return the thresholds [5] of every point in a mode, as a gateway takes them from the manifest."""
    return {point: at_point(point, points, thresholds).of(mode) for point in OperatingPoint}


def rows(judged: dict[str, Judged]) -> list[Row]:
    """Return precision, recall and alarms by mode, detector, point and kind, and the share of false alarms."""
    return [
        Row(mode, name, f"{POINT}{point}", kind, metric, value)
        for mode, part in judged.items()
        for name, verdicts in part.detectors.items()
        for point, thresholds in (verdicts.points or {}).items()
        for kind, metric, value in _numbers(part, replace(verdicts, thresholds=thresholds))
    ]


def _numbers(part: Judged, verdicts: DetectorVerdicts) -> Iterator[tuple[str, str, float]]:
    labels, flags = part.samples.labels, verdicts.flags
    worth = at_thresholds(labels, flags)
    for column, kind in enumerate(KINDS):
        normal = labels[:, column] < 0.5
        for metric in ("precision", "recall", "f1"):
            yield kind, metric, worth[kind][metric]
        yield kind, ALARMS, 1e4 * float(flags[:, column].mean())
        yield kind, FALSE_ALARMS, float(flags[normal, column].mean()) if normal.any() else float("nan")


def over_budget(found: list[Row], budget: float) -> list[str]:
    """Return a notice for each detector that raises more than twice ``budget`` of false alarms at the sensitive point.

    ``found`` are `rows`; the budget is the share of the normal events that may be flagged, per kind.
    """
    excess: dict[str, list[str]] = {}
    for row in found:
        sensitive = row.slice == f"{POINT}{OperatingPoint.SENSITIVE}" and row.metric == FALSE_ALARMS
        if sensitive and not np.isnan(row.value) and row.value > _TOO_MANY * budget:
            excess.setdefault(row.detector, []).append(f"{row.kind} {row.value:.1%} ({row.mode})")
    return [
        f"The {name} raises more than twice the false alarms that its budget of {budget:.1%} of the normal events per "
        f"kind allows: {', '.join(kinds)}. Its thresholds do not hold here."
        for name, kinds in excess.items()
    ]
