"""Differences of two versions with intervals: of what they find, and where it is known, of how right they are."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from rich.table import Table

from service.console import wide_console
from service.events.vocabulary import KINDS
from service.feedback.paired import PairedDifference, PairedScores, differences, interval, resampled
from service.jobs.ab.judged import TwiceJudged

RESAMPLES = 400


class FindingsCompared(NamedTuple):
    """Findings of a kind of two versions, of 1,000 events each."""

    mode: str
    kind: str
    events: int  # that both judged
    first: float
    second: float
    first_alone: float
    second_alone: float
    value: float  # second less first
    low: float  # where it lies in 95 of 100 cases
    high: float


def compare_findings(judged: Sequence[TwiceJudged], resamples: int = RESAMPLES) -> list[FindingsCompared]:
    """Return how many findings either makes, by mode and kind."""
    return [one for part in judged for one in _of_mode(part, resamples)]


def _of_mode(part: TwiceJudged, resamples: int) -> list[FindingsCompared]:
    items = int(part.items.max()) + 1
    apart = np.stack([_by_item(part, second.astype(float) - first) for first, second in _kinds(part)])  # [5, items]
    whole = np.bincount(part.items, part.weights, items)
    rows = [1_000 * (counts @ apart.T) / (counts @ whole)[:, None] for counts in resampled(items, resamples)]
    drawn = np.concatenate(rows)  # [1 + R, 5]
    total = part.weights.sum() / 1_000

    def per_1000(flags: np.ndarray) -> float:
        return float(part.weights[flags].sum() / total)

    return [
        FindingsCompared(
            part.mode,
            kind,
            len(part.weights),
            per_1000(first),
            per_1000(second),
            per_1000(first & ~second),
            per_1000(second & ~first),
            *interval(drawn[:, at]),
        )
        for at, (kind, (first, second)) in enumerate(zip(KINDS, _kinds(part), strict=True))
    ]


def _kinds(part: TwiceJudged) -> list[tuple[np.ndarray, np.ndarray]]:
    return [(part.flags[0][:, at], part.flags[1][:, at]) for at in range(len(KINDS))]


def _by_item(part: TwiceJudged, values: np.ndarray) -> np.ndarray:
    return np.bincount(part.items, part.weights * values, int(part.items.max()) + 1)


def compare_precision(judged: Sequence[TwiceJudged], resamples: int = RESAMPLES) -> list[PairedDifference]:
    """Return the differences of average precision, by what is known; none where too little is."""
    paired, begin = [], 0
    for part in judged:
        for at, kind in enumerate(KINDS):
            rows = ~np.isnan(part.labels[:, at])
            if rows.any():
                first, second = (scores[rows, at] for scores in part.scores)
                of_items = part.items[rows] + begin
                anomalous = part.labels[rows, at] >= 0.5
                weights = part.label_weights[rows, at]
                paired.append(PairedScores(part.mode, kind, first, second, anomalous, weights, of_items))
        begin += int(part.items.max()) + 1
    return differences(paired, resamples)


def write_tables(
    versions: tuple[int, int], findings: Sequence[FindingsCompared], precision: Sequence[PairedDifference]
) -> None:
    """Write both as tables on stdout."""
    console, (first, second) = wide_console(), versions
    table = Table("mode", "kind", "events", f"findings of {first}", f"of {second}", f"{first} alone", f"{second} alone",
                  "difference (95 %)", box=None, pad_edge=False)  # fmt: skip
    for one in findings:
        rates = (f"{rate:.3f}" for rate in (one.first, one.second, one.first_alone, one.second_alone))
        table.add_row(
            one.mode, one.kind, f"{one.events:,}", *rates, f"{one.value:+.3f} ({one.low:+.3f} to {one.high:+.3f})"
        )
    console.print(table)
    console.print("Findings of 1,000 events; intervals over resampled items.\n", highlight=False)
    if not precision:
        console.print("Of no kind enough is known to say who is right: name --truth, or --verdicts with more labels.")
        return
    table = Table("mode", "kind", "known", "anomalous", f"AP of {first}", f"of {second}", "difference (95 %)",
                  box=None, pad_edge=False)  # fmt: skip
    for kind in precision:
        known = (f"{number:,}" for number in (kind.known, kind.anomalies))
        apart = f"{kind.value:+.4f} ({kind.low:+.4f} to {kind.high:+.4f})"
        table.add_row(kind.mode, kind.kind, *known, f"{kind.first:.4f}", f"{kind.second:.4f}", apart)
    console.print(table)
    console.print(
        "Average precision on the same events and resamples; intervals of all kinds together, and of the mean."
    )


def write_json(
    versions: tuple[int, int], findings: Sequence[FindingsCompared], precision: Sequence[PairedDifference]
) -> None:
    """Write both as JSON on stdout."""
    told = {
        "versions": versions,
        "findingsOf1000Events": [one._asdict() for one in findings],
        "averagePrecision": [one._asdict() for one in precision],
    }
    json.dump(told, sys.stdout, indent=1)
    sys.stdout.write("\n")
