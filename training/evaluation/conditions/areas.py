"""How good detectors are by the area of an event's place: that of the hub which serves the place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from training.datasets.masters import ids_by_name, read_locations
from training.evaluation.data_under_test import Subject
from training.evaluation.slices import Judged, Row, bars_of, counts, false_alarms, metric_rows, recalls
from training.metrics.per_kind import per_kind
from training.samples.splits import normal_events

AREA = "area "
"""Begins the name of the slice of an area."""


def names_of_places(data: Path) -> dict[int, str]:
    """Return the names of the places of a data folder by location id, of those that its locations.csv names alone."""
    locations, _ = read_locations(data)
    return {int(place): str(name) for name, place in ids_by_name(locations).items()}


def rows(mode: str, part: Judged, subject: Subject, names: Mapping[int, str]) -> Iterator[Row]:
    """Yield AP, recall at the thresholds of all events, and false alarms of each area, by location id.

    An area is called as its hub in ``names``, or else by the id.
    """
    labels = part.samples.labels
    normal, truth = normal_events(labels), labels >= 0.5
    area = subject.reference.area_id(subject.events.location_id[part.samples.index])
    bars = {detector: bars_of(labels, verdicts.scores) for detector, verdicts in part.detectors.items()}
    for place in np.unique(area).tolist():
        inside = area == place
        name = f"{AREA}{names.get(place, place)}"
        positive = truth & inside[:, None]
        yield from counts(mode, name, positive)
        for detector, verdicts in part.detectors.items():
            ranks = per_kind(labels[inside], verdicts.scores[inside])
            yield from metric_rows(mode, detector, name, {kind: {"ap": row["ap"]} for kind, row in ranks.items()})
            yield from metric_rows(mode, detector, name, recalls(verdicts.scores, positive, bars[detector]))
        if (normal & inside).any():
            yield from false_alarms(mode, part, name, normal & inside)
