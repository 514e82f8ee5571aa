"""What the balanced point gets wrong, and how much of that another threshold would set right."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.events.vocabulary import KINDS
from service.explain.causes import CODES
from training.evaluation.slices import DetectorVerdicts
from training.evaluation.tables import Sheet
from training.metrics.per_kind import at_thresholds
from training.simulation.anomalies import VARIANTS

_SHOWN = 3
"""Variants and causes that are named of each kind."""


def worth_sheet(mode: str, labels: NDArray[np.float32], verdicts: DetectorVerdicts) -> Sheet:
    """Return precision and recall by kind, and what they would be at the threshold at which both are the same."""
    worth = at_thresholds(labels, verdicts.flags)
    rows = [
        [
            kind,
            *(f"{worth[kind][metric]:.4f}" for metric in ("precision", "recall")),
            f"{break_even(labels[:, column] >= 0.5, verdicts.scores[:, column]):.4f}",
        ]
        for column, kind in enumerate(KINDS)
    ]
    note = "of the network; both: where precision and recall meet, by a threshold that only the truth here tells"
    return Sheet(f"{mode}: the balanced point", note, ["", "precision", "recall", "both"], rows)


def break_even(truth: NDArray[np.bool_], scores: NDArray[np.float32]) -> float:
    """Return precision and recall of as many findings as there are anomalies [N] (the R-precision)."""
    found = np.argsort(-scores, kind="stable")[: truth.sum()]
    return float(truth[found].mean()) if len(found) else float("nan")


@dataclass(frozen=True, slots=True, eq=False)
class PlantedAndFound:
    """What was found among N events, and what was planted there."""

    truth: NDArray[np.bool_]  # [N, 5]
    flags: NDArray[np.bool_]  # [N, 5]
    causes: NDArray[np.intp]  # [N, 5] of those that are flagged
    variant: NDArray[np.str_]  # [N] "": nothing was planted
    journey: NDArray[np.intp]  # [N] number of the item


def mistakes_sheet(mode: str, found: PlantedAndFound) -> Sheet:
    """Return a row per kind with misses by variant, and false alarms by the cause named."""
    anomalous = np.zeros(int(found.journey.max(initial=-1)) + 1, dtype=np.bool_)
    anomalous[found.journey[found.truth.any(axis=1)]] = True
    rows = []
    for column, kind in enumerate(KINDS):
        truth, flags = found.truth[:, column], found.flags[:, column]
        alarms = _false_alarms(flags & ~truth, found.causes[:, column], anomalous[found.journey])
        rows.append([kind, *_misses(kind, truth, flags, found.variant), *alarms])
    head = ["", "misses", "by variant, of so many", "false alarms", "by the cause named", "of anomalous items"]
    return Sheet(f"{mode}: what the balanced point gets wrong", "of the network", head, rows)


def noise_sheet(mode: str, truth: NDArray[np.bool_], flags: NDArray[np.bool_], noise: NDArray[np.str_]) -> Sheet:
    """Return a row per kind of harmless noise, "" first, with the share of its normal events that are flagged.

    ``truth`` and ``flags`` are [N, 5], ``noise`` [N] is what each event took part in.
    """
    normal, alarm = ~np.any(truth, axis=1), np.any(flags, axis=1)
    rows = [
        [name or "none", f"{inside.sum():,}", f"{alarm[inside].mean():.1%}"]
        for name in np.unique(noise[normal]).tolist()
        for inside in [normal & (noise == name)]
    ]
    note = "share of the normal events that are flagged with any kind"
    return Sheet(f"{mode}: false alarms by noise, balanced point", note, ["noise", "events", "flagged"], rows)


def _misses(kind: str, truth: NDArray[np.bool_], flags: NDArray[np.bool_], variant: NDArray[np.str_]) -> Iterator[str]:
    own = [one.name for one in VARIANTS if one.kind == kind]
    planted, missed = Counter(variant[truth].tolist()), Counter(variant[truth & ~flags].tolist())
    yield str(missed.total())
    worst = [(count, name) for name, count in missed.items() if name in own]
    yield ", ".join(f"{name} {count} of {planted[name]}" for count, name in sorted(worst, reverse=True)[:_SHOWN])


def _false_alarms(wrong: NDArray[np.bool_], causes: NDArray[np.intp], anomalous: NDArray[np.bool_]) -> list[str]:
    named = Counter(CODES[cause] for cause in causes[wrong].tolist())
    most = ", ".join(f"{name} {count}" for name, count in named.most_common(_SHOWN))
    return [str(named.total()), most, str(int(anomalous[wrong].sum()))]
