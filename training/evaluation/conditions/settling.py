"""What waiting is worth: the model on causal features as they are some seconds after each event."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from training.evaluation.data_under_test import Subject
from training.evaluation.detectors import MODEL
from training.evaluation.slices import ANY, FALSE_ALARMS, Row, metric_rows
from training.metrics.per_kind import per_kind
from training.network.predict import predict_served
from training.runs.folder import Run
from training.samples.samples import Samples
from training.samples.splits import normal_events

WAITS_S = (0, 10, 60, 600, 3600)

SETTLE = "settle "
"""Begins the name of the slice of a wait; the seconds follow."""

_MOST = 5_000  # items that the model judges after each wait, drawn at random


def rows(run: Run, subject: Subject, seed: int) -> Iterator[Row]:
    """Yield the model's AP, and recall and false alarms at its own causal thresholds, after each of WAITS_S.

    All events are companions, as ever; always the same items are judged, among those that count.
    """
    thresholds = np.array(run.record.thresholds.causal, dtype=np.float32)
    drawn = _drawn(subject, seed)
    for wait in WAITS_S:
        part = _after(run, subject, drawn, wait)
        scores, name = predict_served(run.model, part), f"{SETTLE}{wait}"
        ranks = per_kind(part.labels, scores)
        yield from metric_rows("causal", MODEL, name, {kind: {"ap": row["ap"]} for kind, row in ranks.items()})
        flags, truth, normal = scores >= thresholds, part.labels >= 0.5, normal_events(part.labels)
        if truth.any():
            yield Row("causal", MODEL, name, ANY, "recall", float(flags[truth].mean()))
        if normal.any():
            yield Row("causal", MODEL, name, ANY, FALSE_ALARMS, float(flags[normal].any(axis=1).mean()))


def _drawn(subject: Subject, seed: int) -> NDArray[np.bool_]:
    """Return which events [N] are of the items that are judged."""
    epc = subject.events.epc
    items = np.unique(epc if subject.measured is None else epc[subject.measured])
    chosen = np.random.default_rng(seed).permutation(items)[:_MOST]
    return np.isin(epc, chosen)


def _after(run: Run, subject: Subject, drawn: NDArray[np.bool_], wait_s: int) -> Samples:
    """Return the samples of the events ``drawn`` [N] as they are ``wait_s`` seconds after each of them."""
    part = subject.samples(causal=True, limit=run.lengths[-1], settle_us=wait_s * 1_000_000)
    return part.take(np.flatnonzero(drawn[part.index]))
