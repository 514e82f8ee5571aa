"""An evaluation as a few tables for people: the same ones on the console and in the HTML report."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from service.events.vocabulary import KINDS, MODES, OperatingPoint
from training.evaluation.detectors import LIGHTGBM, MODEL, RULES, TRUTH
from training.evaluation.points import ALARMS, POINT
from training.evaluation.slices import ALL, ANY, EVENTS, FALSE_ALARMS, POSITIVES
from training.metrics.per_kind import AT_THRESHOLDS, CONFUSION
from training.metrics.ranking import MACRO, METRICS

TITLES = {
    "roc_auc": "ROC-AUC",
    "ap": "AP",
    "recall_at_1pct_fpr": "recall at 1 % FPR",
    "recall_at_0.1pct_fpr": "recall at 0.1 % FPR",
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "specificity": "specificity",
    "hamming_loss": "Hamming loss",
    "cost_weighted_accuracy": "cost-weighted accuracy",
    "ece": "calibration error",
    "temporal_consistency": "temporal consistency",
    "true_positives": "TP",
    "false_positives": "FP",
    "false_negatives": "FN",
    "true_negatives": "TN",
}
_BESIDE = (MODEL, LIGHTGBM, RULES)  # shown per kind and slice; the CSV file has all detectors


@dataclass(frozen=True, slots=True)
class Sheet:
    """One table: a title, a note that explains it, headings, and cells as text."""

    title: str
    note: str
    headings: list[str]
    rows: list[list[str]]


class Numbers:
    """Looks numbers up in a long table of slices.COLUMNS."""

    def __init__(self, table: pd.DataFrame) -> None:
        keys = ["mode", "detector", "slice", "kind", "metric"]
        self._rows = {tuple(row[:5]): row[5:] for row in table[[*keys, "value", "low", "high"]].itertuples(index=False)}
        self.detectors = list(dict.fromkeys(table.loc[table["metric"] == "ap", "detector"]))
        self.slices = list(dict.fromkeys(table["slice"]))

    def value(self, *key: str) -> float:
        """Return the number of (mode, detector, slice, kind, metric); NaN if there is none."""
        return float(self._rows.get(key, (math.nan,))[0])

    def text(self, *key: str, interval: bool = False) -> str:
        """Return the number as text, with its interval if wanted and known."""
        value, low, high = self._rows.get(key, (math.nan,) * 3)
        known = interval and not math.isnan(low)
        return f"{_number(value)} [{_number(low)}, {_number(high)}]" if known else _number(value)


def sheets(table: pd.DataFrame) -> list[Sheet]:
    """Return all tables of an evaluation."""
    numbers = Numbers(table)
    found = []
    for mode in MODES:
        found += [sheet(numbers, mode) for sheet in (headline, by_kind, at_thresholds, at_points)]
    return [*found, *_slice_sheets(numbers)]


def headline(numbers: Numbers, mode: str) -> Sheet:
    """Return one row per detector: the means over the kinds."""
    rows = [
        [name, *(numbers.text(mode, name, ALL, MACRO, metric, interval=True) for metric in METRICS)]
        for name in [*_detectors(numbers), *(name for name in numbers.detectors if " - " in name)]
    ]
    note = "means over the kinds, with 95 % intervals from resampled EPCs; differences are taken on the same resamples"
    return Sheet(f"{mode}: all detectors", note, ["detector", *(TITLES[metric] for metric in METRICS)], rows)


def by_kind(numbers: Numbers, mode: str) -> Sheet:
    """Return one row per kind: detectors side by side, and what the model adds to the rules."""
    detectors = [name for name in _BESIDE if name in numbers.detectors]
    headings = ["kind", "anomalies"]
    headings += [f"{TITLES[metric]}\n{name}" for metric in METRICS for name in detectors] + ["AP over\nthe rules"]
    rows = [
        [
            kind,
            _count(numbers.value(mode, TRUTH, ALL, ANY if kind == MACRO else kind, POSITIVES)),
            *(numbers.text(mode, name, ALL, kind, metric) for metric in METRICS for name in detectors),
            _signed(numbers.value(mode, MODEL, ALL, kind, "ap") - numbers.value(mode, RULES, ALL, kind, "ap")),
        ]
        for kind in (*KINDS, MACRO)
    ]
    return Sheet(f"{mode}: by kind", "how well scores rank anomalous events before normal ones", headings, rows)


def at_thresholds(numbers: Numbers, mode: str) -> Sheet:
    """Return one row per kind: what the model's findings are worth."""
    metrics = (*AT_THRESHOLDS, "ece")
    headings = ["kind", *(TITLES[name] for name in (*metrics, "temporal_consistency", *CONFUSION))]
    rows = [
        [
            kind,
            *(numbers.text(mode, MODEL, ALL, kind, metric) for metric in metrics),
            numbers.text("both", MODEL, ALL, kind, "temporal_consistency"),
            *(_count(numbers.value(mode, MODEL, ALL, kind, metric)) for metric in CONFUSION),
        ]
        for kind in (*KINDS, MACRO)
    ]
    note = (
        "at the model's own thresholds; temporal consistency: agreement of causal and retrospective findings, "
        "2 both / (causal + retrospective)"
    )
    return Sheet(f"{mode}: findings of the model", note, headings, rows)


def at_points(numbers: Numbers, mode: str) -> Sheet:
    """Return one row per detector and kind: precision, recall, alarms per 10,000 events at each operating point."""
    metrics = {"precision": "precision", "recall": "recall", ALARMS: "alarms per\n10,000 events"}
    headings = [f"{title}\n{point}" for point in OperatingPoint for title in metrics.values()]
    sensitive = f"{POINT}{OperatingPoint.SENSITIVE}"

    def cells(name: str, kind: str) -> list[str]:
        found = []
        for point in OperatingPoint:
            key = mode, name, f"{POINT}{point}", kind
            found += [numbers.text(*key, metric) for metric in ("precision", "recall")]
            found.append(f"{numbers.value(*key, ALARMS):.1f}")
        return [*found, f"{numbers.value(mode, name, sensitive, kind, FALSE_ALARMS):.2%}"]

    rows = [
        [f"{name}: {kind}", *cells(name, kind)]
        for name in numbers.detectors
        for kind in KINDS
        if not math.isnan(numbers.value(mode, name, sensitive, kind, ALARMS))
    ]
    note = "what a finding is worth at each point; false alarms: share of the events without that kind, for the budget"
    headings = ["detector: kind", *headings, "false alarms\nsensitive"]
    return Sheet(f"{mode}: operating points", note, headings, rows)


def _slice_sheets(numbers: Numbers) -> list[Sheet]:
    def of(prefix: str) -> list[str]:
        return [name for name in numbers.slices if name.startswith(prefix)]

    detectors = [name for name in _BESIDE if name in numbers.detectors]
    columns = [(mode, name) for mode in MODES for name in detectors]
    headings = [f"{mode}\n{name}" for mode, name in columns]
    bar = "threshold: 1 % of all normal events would be flagged"
    found = [
        Sheet(
            f"{TITLES[metric]} by known events of the journey",
            "means over the kinds; retrospective: all its events, causal: those up to the one judged (1: cold start)",
            ["events known", "anomalies\nretrospective", "anomalies\ncausal", *headings],
            [
                [
                    name.removeprefix("length "),
                    *(_count(numbers.value(mode, TRUTH, name, ANY, POSITIVES)) for mode in MODES),
                    *(numbers.text(mode, detector, name, MACRO, metric) for mode, detector in columns),
                ]
                for name in of("length ")
            ],
        )
        for metric in ("ap", "recall_at_1pct_fpr")
    ]
    for prefix in ("difficulty ", "variant "):
        rows = [
            [
                name.removeprefix(prefix),
                kind,
                _count(numbers.value("causal", TRUTH, name, kind, POSITIVES)),
                *(numbers.text(*column, name, kind, "recall_at_1pct_fpr") for column in columns),
            ]
            for name in of(prefix)
            for kind in (*KINDS, *((MACRO,) if prefix == "difficulty " else ()))
            if numbers.value("causal", TRUTH, name, kind, POSITIVES) != 0
        ]
        title = f"{TITLES['recall_at_1pct_fpr']} by {prefix.strip()}"
        found.append(Sheet(title, bar, [prefix.strip(), "kind", "anomalies", *headings], rows))
    noise = [
        [
            name.removeprefix("noise "),
            _count(numbers.value("causal", TRUTH, name, ANY, EVENTS)),
            *(_percent(numbers.value(*column, name, ANY, FALSE_ALARMS)) for column in columns),
        ]
        for name in of("noise ")
    ]
    note = "share of the normal events that a detector flags with any kind, at its own thresholds"
    found.append(Sheet("false alarms by harmless noise", note, ["noise", "events", *headings], noise))
    return [sheet for sheet in found if sheet.rows]


def _detectors(numbers: Numbers) -> Sequence[str]:
    return [name for name in numbers.detectors if " - " not in name]


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.4f}"


def _signed(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:+.4f}"


def _percent(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.1%}"


def _count(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.0f}"
