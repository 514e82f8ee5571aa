"""An evaluation as one long table: every metric by mode, detector, slice of the events and kind.

Slices are all events, journeys by their known length, and, where the truth says so, the variants and difficulties of
anomalies and the kinds of harmless noise. Recall in a slice is taken at the threshold at which 1 % (0.1 %) of all
normal events would be flagged, so that slices can be compared with each other and with the whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from service.events.columns import Events
from service.events.vocabulary import KINDS, OperatingPoint
from training.evaluation.detectors import MODEL, TRUTH
from training.metrics import per_kind as metrics
from training.metrics import ranking
from training.metrics.ranking import FALSE_POSITIVE_RATES, MACRO, METRICS
from training.samples.samples import Samples

ALL, ANY = "all", "any"
FALSE_ALARMS, POSITIVES, EVENTS = "false_alarms", "positives", "events"

Mask = NDArray[np.bool_]
Details = dict[str, NDArray[np.object_]]


class Row(NamedTuple):
    """One number. ``low`` and ``high`` bound its 95 % bootstrap interval; NaN without one."""

    mode: str  # of MODES, or "both" for what compares them
    detector: str
    slice: str
    kind: str  # of KINDS, MACRO, or ANY
    metric: str
    value: float
    low: float = float("nan")
    high: float = float("nan")


COLUMNS = Row._fields


@dataclass(frozen=True, slots=True, eq=False)
class DetectorVerdicts:
    """What one detector says of N events."""

    scores: NDArray[np.float32]  # [N, 5] higher is more anomalous
    thresholds: list[float]  # [5] scores from which an event is flagged
    calibrated: bool = False  # the scores are meant as probabilities
    points: dict[OperatingPoint, list[float]] | None = None  # thresholds [5] by point; None: there is one alone

    @property
    def flags(self) -> Mask:
        """Return the findings [N, 5]."""
        return self.scores >= np.array(self.thresholds, dtype=np.float32)

    def take(self, rows: NDArray[np.intp]) -> DetectorVerdicts:
        """Return what is said of some of the events."""
        return replace(self, scores=self.scores[rows])


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """One mode: the samples, and what each detector says of them."""

    samples: Samples
    detectors: dict[str, DetectorVerdicts]

    def of(self, events: NDArray[np.intp]) -> Judged:
        """Return what is said of ``events`` (positions in those given), all those of their EPCs."""
        rows = np.flatnonzero(np.isin(self.samples.index, events))
        return Judged(self.samples.take(rows), {name: one.take(rows) for name, one in self.detectors.items()})


class TableSettings(Protocol):
    """What the table depends on."""

    @property
    def miss_cost(self) -> float:
        """Cost of a missed anomaly, in false alarms."""
        ...

    @property
    def resamples(self) -> int:
        """Bootstrap resamples; 0 for no intervals."""
        ...

    @property
    def seed(self) -> int:
        """Seed of the resamples."""
        ...


def table(judged: dict[str, Judged], events: Events, details: Details, settings: TableSettings) -> pd.DataFrame:
    """Return all numbers as COLUMNS; ``details`` are those of the truth, in the order of ``events``."""
    items = len(events.epc_codes)
    weights = ranking.with_resamples(items, settings.resamples, settings.seed)
    rows: list[Row] = []
    for mode, part in judged.items():
        index = part.samples.index
        rows += _whole(mode, part, events.epc[index], weights, settings.miss_cost)
        rows += _slices(mode, part, {name: column[index] for name, column in details.items()})
    causal, retrospective = (judged[mode] for mode in ("causal", "retrospective"))
    for name in causal.detectors:
        agreement = metrics.temporal_consistency(causal.detectors[name].flags, retrospective.detectors[name].flags)
        rows += metric_rows("both", name, ALL, agreement)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def overall(labels: NDArray[np.float32], verdicts: DetectorVerdicts, miss_cost: float) -> metrics.MetricsByKind:
    """Return all metrics of one detector on all events, by kind."""
    return _joined(metrics.per_kind(labels, verdicts.scores), _thresholded(labels, verdicts, miss_cost))


def _thresholded(labels: NDArray[np.float32], verdicts: DetectorVerdicts, miss_cost: float) -> metrics.MetricsByKind:
    found = metrics.at_thresholds(labels, verdicts.flags, miss_cost)
    return _joined(found, metrics.calibration_errors(labels, verdicts.scores)) if verdicts.calibrated else found


def _joined(left: metrics.MetricsByKind, right: metrics.MetricsByKind) -> metrics.MetricsByKind:
    return {kind: row | right[kind] for kind, row in left.items()}


def metric_rows(mode: str, detector: str, name: str, found: metrics.MetricsByKind) -> Iterator[Row]:
    """Yield a row per kind and metric of one detector in the slice ``name``."""
    for kind, row in found.items():
        for metric, value in row.items():
            yield Row(mode, detector, name, kind, metric, value)


def _whole(
    mode: str, part: Judged, item: NDArray[np.int32], weights: NDArray[np.float32], miss_cost: float
) -> Iterator[Row]:
    labels = part.samples.labels
    ranked = {name: ranking.rank(labels, verdicts.scores, item, weights) for name, verdicts in part.detectors.items()}
    for name, verdicts in part.detectors.items():
        for kind, values in ranked[name].items():
            for metric in METRICS:
                yield Row(mode, name, ALL, kind, metric, *ranking.interval(values[metric]))
                if name != MODEL:  # both on the same resamples: the interval of the difference is much narrower
                    difference = ranked[MODEL][kind][metric] - values[metric]
                    yield Row(mode, f"{MODEL} - {name}", ALL, kind, metric, *ranking.interval(difference))
        yield from metric_rows(mode, name, ALL, _thresholded(labels, verdicts, miss_cost))
    yield from counts(mode, ALL, labels >= 0.5)


def _slices(mode: str, part: Judged, details: Details) -> Iterator[Row]:
    labels = part.samples.labels
    windows = part.samples.windows
    known = windows.length[windows.window_of]
    lengths = {"length 1": known == 1, "length 2": known == 2, "length 3+": known >= 3}
    anomalies = dict(_anomaly_slices(labels >= 0.5, details))
    bars = {name: bars_of(labels, verdicts.scores) for name, verdicts in part.detectors.items()}
    for name, inside in lengths.items():
        if not inside.any():
            continue
        for detector, verdicts in part.detectors.items():
            inner = metrics.per_kind(labels[inside], verdicts.scores[inside])
            ranks = {kind: {metric: row[metric] for metric in ("roc_auc", "ap")} for kind, row in inner.items()}
            yield from metric_rows(mode, detector, name, ranks)
        anomalies[name] = (labels >= 0.5) & inside[:, None]
    for name, positive in anomalies.items():
        yield from counts(mode, name, positive)
        for detector, verdicts in part.detectors.items():
            yield from metric_rows(mode, detector, name, recalls(verdicts.scores, positive, bars[detector]))
    yield from _noise(mode, part, details)


def _anomaly_slices(truth: Mask, details: Details) -> Iterator[tuple[str, Mask]]:
    """Yield slices of the anomalies [N, 5]: by difficulty, and by variant.

    Where an event suffers two kinds, variant and difficulty are those of one of them: of the kind that most events of
    the variant have.
    """
    described = truth
    if "variant" in details:
        described = np.zeros_like(truth)
        for variant in _values(details["variant"]):
            inside = details["variant"] == variant
            kind = int(truth[inside].sum(axis=0).argmax())
            only = np.zeros_like(truth)
            only[:, kind] = truth[:, kind] & inside
            described |= only
            yield f"variant {variant}", only
    if "difficulty" in details:
        for difficulty in _values(details["difficulty"]):
            yield f"difficulty {difficulty}", described & (details["difficulty"] == difficulty)[:, None]


def _noise(mode: str, part: Judged, details: Details) -> Iterator[Row]:
    """Yield the share of the normal events that are flagged, by the noise that they took part in."""
    if "noise" not in details:
        return
    normal = part.samples.labels.max(axis=1) < 0.5
    for noise in ["", *_values(details["noise"])]:
        inside = normal & (details["noise"] == noise)
        if not inside.any():
            continue
        yield from false_alarms(mode, part, f"noise {noise or 'none'}", inside)


def false_alarms(mode: str, part: Judged, name: str, normal: Mask) -> Iterator[Row]:
    """Yield how many events ``normal`` [N] marks, one at least, and the share of them that each detector flags.

    At the detector's own thresholds, by kind and with any kind.
    """
    yield Row(mode, TRUTH, name, ANY, EVENTS, float(normal.sum()))
    for detector, verdicts in part.detectors.items():
        flags = verdicts.flags[normal]
        for column, kind in enumerate(KINDS):
            yield Row(mode, detector, name, kind, FALSE_ALARMS, float(flags[:, column].mean()))
        yield Row(mode, detector, name, ANY, FALSE_ALARMS, float(flags.any(axis=1).mean()))


def _values(column: NDArray[np.object_]) -> list[str]:
    return sorted(set(column.tolist()) - {""})


def bars_of(labels: NDArray[np.float32], scores: NDArray[np.float32]) -> dict[str, list[float]]:
    """Return by metric the scores [5] above which the metric's share of all normal events lies."""
    return {
        metric: [
            ranking.threshold_at_fpr(labels[:, column] >= 0.5, scores[:, column], rate) for column in range(len(KINDS))
        ]
        for metric, rate in FALSE_POSITIVE_RATES.items()
    }


def recalls(scores: NDArray[np.float32], positive: Mask, bars: dict[str, list[float]]) -> metrics.MetricsByKind:
    """Return the share of the ``positive`` [N, 5] above each bar by kind, its mean, and its share over all kinds."""
    found: metrics.MetricsByKind = {}
    above = {metric: (scores > np.array(bar, dtype=np.float32)) & positive for metric, bar in bars.items()}
    for column, kind in enumerate(KINDS):
        if count := int(positive[:, column].sum()):
            found[kind] = {metric: float(hits[:, column].sum() / count) for metric, hits in above.items()}
    if found:
        found[MACRO] = {metric: float(np.mean([row[metric] for row in found.values()])) for metric in bars}
        found[ANY] = {metric: float(hits.sum() / positive.sum()) for metric, hits in above.items()}
    return found


def counts(mode: str, name: str, positive: Mask) -> Iterator[Row]:
    """Yield how many anomalies ``positive`` [N, 5] has, by kind and in all."""
    for column, kind in enumerate(KINDS):
        yield Row(mode, TRUTH, name, kind, POSITIVES, float(positive[:, column].sum()))
    yield Row(mode, TRUTH, name, ANY, POSITIVES, float(positive.sum()))
