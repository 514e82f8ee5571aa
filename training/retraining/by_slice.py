"""Where a challenger falls behind: recall and false alarms of both runs in slices of events whose truth is known."""

from __future__ import annotations

from dataclasses import dataclass

from service.events.vocabulary import KINDS
from training.evaluation import slices
from training.evaluation.detectors import MODEL, TRUTH
from training.evaluation.evaluate import EvaluateOptions
from training.evaluation.slices import ALL, ANY, EVENTS, FALSE_ALARMS, POSITIVES
from training.retraining.ground import Ground

LEAST = 50
"""Anomalies (normal events) of a slice; of fewer, one event more or less would be a fall."""

_RECALL = "recall_at_1pct_fpr"

_Key = tuple[str, str, str, str]  # mode, slice, kind, metric


@dataclass(frozen=True, slots=True)
class SliceChange:
    """One number of one slice; what is better is higher (a share of normal events that are not flagged, too)."""

    ground: str
    mode: str
    name: str
    kind: str
    events: int  # anomalies, or normal events
    champion: float
    challenger: float

    @property
    def change(self) -> float:
        """How much better the challenger is."""
        return self.challenger - self.champion


def changes(ground: Ground) -> list[SliceChange]:
    """Return all slices of at least LEAST, the worst change first; none where not all is known of the events."""
    if not ground.is_whole:
        return []
    settings = EvaluateOptions(baselines=False, resamples=0)
    both = []
    sizes: dict[_Key, float] = {}
    for judged in (ground.champion, ground.challenger):
        table = slices.table(judged, ground.events, ground.known.details, settings)
        rows = table[table["slice"] != ALL]
        values: dict[_Key, float] = {}
        for mode, detector, name, kind, metric, value in rows[
            ["mode", "detector", "slice", "kind", "metric", "value"]
        ].itertuples(index=False):
            if detector == TRUTH:
                sizes[mode, name, kind, metric] = value
            elif detector == MODEL:
                values[mode, name, kind, metric] = value
        both.append(values)
    found = []
    for key, value in both[0].items():
        mode, name, kind, metric = key
        if metric not in (_RECALL, FALSE_ALARMS) or kind not in (*KINDS, ANY):
            continue
        alarms = metric == FALSE_ALARMS
        size = sizes.get((mode, name, ANY if alarms else kind, EVENTS if alarms else POSITIVES), 0)
        if size >= LEAST and key in both[1]:
            pair = (1 - value, 1 - both[1][key]) if alarms else (value, both[1][key])
            found.append(SliceChange(ground.name, mode, name, kind, int(size), *pair))
    return sorted(found, key=lambda one: one.change)
