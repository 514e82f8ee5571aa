"""Events judged in requests of a size that the weights know, by tables whose counts they know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.events.columns import Events
from service.events.vocabulary import KINDS, MODES
from service.features.reference import Counts, Reference
from training.runs.drift_histograms import requests
from training.runs.weights import TrainedWeights
from training.samples.samples import samples

_REQUEST_ITEMS = 20_000
"""Items judged together at most: much more company than weights ever saw is strange to them in itself, and they take
genuine items for forged."""

_KNOWN = 0.9
"""Quantile of a count in the weights' histograms, up to which they know it well."""

_FAR = 2.0
"""So many times the greatest count that the weights know is far beyond it; up to there they are right as they are."""


@dataclass(frozen=True, slots=True, eq=False)
class JudgedEvents:
    """N events in the order given, as they are judged."""

    features: NDArray[np.float32]  # [N, F]
    scores: NDArray[np.float32]  # [N, 5]


def judged(events: Events, reference: Reference, weights: TrainedWeights, *, causal: bool) -> JudgedEvents:
    """Return the features and scores of events, judged in requests of neighbours in time."""
    large = len(events.epc_codes) > _REQUEST_ITEMS
    parts = requests(events, _REQUEST_ITEMS) if large else [np.arange(len(events))]
    table, scores = None, np.empty((len(events), len(KINDS)), dtype=np.float32)
    for rows in parts:
        unknown = np.zeros((len(rows), len(KINDS)), dtype=np.float32)
        some = events.take(rows) if large else events
        part = samples(some, unknown, reference, causal=causal, limit=weights.max_length)
        if table is None:
            table = np.empty((len(events), part.features.shape[1]), dtype=np.float32)
        table[rows[part.index]], scores[rows[part.index]] = part.features, weights.score(part)
    assert table is not None  # noqa: S101 - there are events
    return JudgedEvents(table, scores)


def within(reference: Reference, weights: TrainedWeights) -> Reference:
    """Return the tables with no count of codes that the weights never saw: beyond, they would guess.

    A table with a count far above the greatest that they know is capped at the 90 % quantile of what they know: at the
    greatest itself they are unsure. Below, the table stays as it is: a cap takes away what the counts tell.
    Weights without histograms get all.
    """
    if not weights.histograms:
        return reference
    known = weights.histograms[MODES[0]]["histograms"]
    return replace(
        reference,
        header=_capped(reference.header, known, "code_header_log"),
        company=_capped(reference.company, known, "code_company_log"),
        product=_capped(reference.product, known, "code_product_log"),
        company_product=_capped(reference.company_product, known, "code_product_log"),
        product_lot=_capped(reference.product_lot, known, "code_lot_log"),
    )


def _capped(counts: Counts, known: Mapping[str, Any], feature: str) -> Counts:
    cuts = known[feature]["cuts"]  # the features are log1p of the counts
    if not len(counts.count) or counts.count.max() <= _FAR * np.expm1(cuts[-1]):
        return counts
    most = max(float(np.floor(np.expm1(cuts[int(_KNOWN * (len(cuts) - 1))]))), 1.0)
    return Counts(counts.key, np.minimum(counts.count, most))
