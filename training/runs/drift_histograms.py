"""Reference histograms of features and scores for the drift monitor, from the events that a model was checked on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.drift.distances import histogram, quantile_cuts
from service.drift.monitor import SCORE_CUTS
from service.events.columns import Events
from service.events.vocabulary import KINDS, MODES
from service.features import table as features
from service.features.reference import Reference
from training.samples.samples import Score, concatenate, samples
from training.samples.splits import first_scans, ordinals

REQUEST_ITEMS = 100
"""Items of a request, neighbours in time: about 500 events."""

STRETCHES = 20
"""Parts of the time of the events: the clusters of the intraclass correlation. A live window lies in one such part."""


@dataclass(frozen=True, slots=True, eq=False)
class Served:
    """One event of each of U items with what was made of it, as in service: in requests of neighbours in time."""

    table: NDArray[np.float32]  # [U, F + 5] features, then scores by kind
    cluster: NDArray[np.intp]  # [U] stretch of time
    stretches: int


def reference_histograms(events: Events, score: Score, tables: Reference, limit: int) -> dict[str, Any]:
    """Return by mode the histograms of the events as they would be judged in service, with the ``tables`` of service.

    One event per item counts; stretches of time are the clusters.
    """
    return {mode: histograms_of(part) for mode, part in as_served(events, score, tables, limit).items()}


def as_served(events: Events, score: Score, tables: Reference, limit: int) -> dict[str, Served]:
    """Return by mode a random event of each item as it would be judged in service, with the ``tables`` of service."""
    rng = np.random.default_rng(0)
    found = {}
    for causal, mode in enumerate(MODES):
        unknown = np.zeros((len(events), len(KINDS)), dtype=np.float32)
        rows = list(requests(events, REQUEST_ITEMS))
        parts = [samples(events.take(one), unknown[one], tables, causal=bool(causal), limit=limit) for one in rows]
        scores = score(concatenate(parts))
        table = np.hstack([np.concatenate([part.features for part in parts]), scores])
        item = np.concatenate([events.epc[one][part.index] for one, part in zip(rows, parts, strict=True)])
        stretch = np.arange(len(rows)) * STRETCHES // len(rows)
        cluster = np.repeat(stretch, [len(one) for one in rows])
        order = rng.permutation(len(table))
        once = order[np.unique(item[order], return_index=True)[1]]
        found[mode] = Served(table[once], cluster[once], len(np.unique(stretch)))
    return found


def histograms_of(part: Served) -> dict[str, Any]:
    """Return the histograms of one mode."""
    return {
        "events": len(part.table),
        "clusters": part.stretches,
        "histograms": _histograms(part.table, part.cluster),
    }


def requests(events: Events, items: int) -> Iterator[NDArray[np.intp]]:
    """Yield the positions of the events of ``items`` items at a time, neighbours by the time of their first scans."""
    request = ordinals(first_scans(events))[events.epc] // items
    order = np.argsort(request, kind="stable")
    yield from np.split(order, np.flatnonzero(np.diff(request[order])) + 1)


def _histograms(table: NDArray[np.float32], cluster: NDArray[np.intp]) -> dict[str, Any]:
    found = {}
    for column, name in enumerate(features.NAMES):
        values = table[:, column]
        found[name] = histogram(values, cluster, quantile_cuts(values))
    cuts = np.array(SCORE_CUTS, dtype=np.float32)
    for column, kind in enumerate(KINDS, len(features.NAMES)):
        found[f"score_{kind}"] = histogram(table[:, column], cluster, cuts)
    return found
