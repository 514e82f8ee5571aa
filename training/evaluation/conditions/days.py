"""What the findings of the model are worth by the calendar day of the events, as the clocks of their sites say it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from service.events.vocabulary import KINDS
from training.evaluation.data_under_test import Subject
from training.evaluation.detectors import MODEL, TRUTH
from training.evaluation.slices import ANY, EVENTS, FALSE_ALARMS, POSITIVES, Judged, Row
from training.samples.splits import normal_events

DAY = "day "
"""Begins the name of the slice of a day; the date follows, as 2025-07-29."""

RECALL = "recall"
"""Of the anomalies of all kinds of a day, the share that is flagged."""


def rows(mode: str, part: Judged, subject: Subject) -> Iterator[Row]:
    """Yield by day how many normal events and anomalies there are, and the share of each that the model flags.

    At the model's own thresholds. A normal event is flagged with any kind; an anomaly is one kind of an event.
    """
    labels, flags = part.samples.labels, part.detectors[MODEL].flags
    truth, normal = labels >= 0.5, normal_events(labels)
    events, index = subject.events, part.samples.index
    local_us = subject.reference.zones.local_us(events.time_us[index], events.location_id[index])
    date = local_us.astype("datetime64[us]").astype("datetime64[D]")
    days, day = np.unique(date, return_inverse=True)
    any_kind = np.asarray(flags[normal].any(axis=1))
    of_normal, of_anomaly = day[normal], np.repeat(day, len(KINDS))[truth.ravel()]

    def count(which: NDArray[np.intp]) -> list[int]:
        found: list[int] = np.bincount(which, minlength=len(days)).tolist()
        return found

    found = zip(
        np.datetime_as_string(days).tolist(),
        count(of_normal),
        count(of_normal[any_kind]),
        count(of_anomaly),
        count(of_anomaly[flags[truth]]),
        strict=True,
    )
    for name, normals, alarms, anomalies, hits in found:
        yield Row(mode, TRUTH, DAY + name, ANY, EVENTS, float(normals))
        yield Row(mode, TRUTH, DAY + name, ANY, POSITIVES, float(anomalies))
        if normals:
            yield Row(mode, MODEL, DAY + name, ANY, FALSE_ALARMS, alarms / normals)
        if anomalies:
            yield Row(mode, MODEL, DAY + name, ANY, RECALL, hits / anomalies)
