"""How far each kind can be trusted where nobody labels: known faults are planted in the data's own journeys, and found.

The recall of a kind is that of its faults, each as often as it seems to happen here. That is told by a forest of
decision trees that learned on the planted events which fault looks like what: of the findings it says how many are of
each fault (`mixture`), and it names one for each event that the rules alone suspect. A fault of which some are found is
as frequent as its findings say, divided by its recall; one that is hardly ever found as its suspects are.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier  # type: ignore[import-untyped]

from service.detect import rules
from service.events.columns import Events
from service.events.vocabulary import KINDS, MODES
from service.features.reference import Reference
from training.adoption.judging import JudgedEvents, judged
from training.adoption.mixture import mixture
from training.adoption.planting.bed import Planted
from training.adoption.planting.plant import FAULTS, ITEMS, items_of_each, plant
from training.runs.weights import TrainedWeights

_MOST_PASSES = 4
"""Times that faults are planted, where few items leave room for few of each at a time."""

_SOME = 0.25
"""Recall from which the findings of a fault say how frequent it is; below, they are a few by chance."""

_SURE = 0.8
"""Share of the trees that must name a fault for an event that only the rules suspect: they suspect noise too."""

_TREES = 100

_FEW = 20
"""Planted events of a fault, below which nothing is said of it."""


@dataclass(frozen=True, slots=True)
class FaultTrust:
    """How often one planted fault is found."""

    name: str
    kind: str
    planted: int  # events
    recall: float
    share: float  # 0 .. 1 of the anomalies of its kind here that seem to be of this fault


@dataclass(frozen=True, slots=True)
class KindTrust:
    """What can be said of a kind without labels."""

    recall: float  # NaN if no fault of it could be planted
    precision: float  # mean score of the findings; NaN without any
    findings: int
    faults: tuple[FaultTrust, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Shown:
    """What the planted events of each of FAULTS look like, and which were found."""

    features: list[NDArray[np.float32]]
    hits: list[NDArray[np.bool_]]


def trust(  # noqa: PLR0913, PLR0917
    events: Events,
    clean: NDArray[np.bool_],
    reference: Reference,
    weights: TrainedWeights,
    real: JudgedEvents,
    scores: Mapping[str, NDArray[np.float32]],
    cuts: Mapping[str, NDArray[np.float32]],
    seed: int,
) -> dict[str, dict[str, KindTrust]]:
    """Return by mode and kind how far findings can be trusted.

    How frequent a fault is, is told from whole journeys for both modes: they are the surer ones.

    Args:
        events: N events.
        clean: [U] items in which nothing was found: faults are planted in them.
        reference: the tables of service.
        weights: what judges.
        real: the events as they are judged by whole journeys.
        scores: [N, 5] of the events by mode.
        cuts: thresholds [5] by mode.
        seed: of the places of the faults.
    """
    passes = int(np.clip(np.ceil(ITEMS / items_of_each(len(events.epc_codes))), 1, _MOST_PASSES))
    planted = [plant(events, clean, reference, np.random.default_rng([seed, number])) for number in range(passes)]
    shown = {
        mode: _shown(planted, reference, weights, cuts[mode], causal=bool(causal)) for causal, mode in enumerate(MODES)
    }
    whole = MODES[0]
    shares = {kind: _shares(kind, shown[whole], real, cuts[whole]) for kind in KINDS}
    return {
        mode: {kind: _of_kind(kind, shown[mode], shares[kind], scores[mode], cuts[mode]) for kind in KINDS}
        for mode in MODES
    }


def _shown(
    planted: Sequence[Planted],
    reference: Reference,
    weights: TrainedWeights,
    cuts: NDArray[np.float32],
    *,
    causal: bool,
) -> _Shown:
    features: list[list[NDArray[np.float32]]] = [[] for _ in FAULTS]
    hits: list[list[NDArray[np.bool_]]] = [[] for _ in FAULTS]
    for one in planted:
        made = judged(one.events, reference, weights, causal=causal)
        for number, fault in enumerate(FAULTS):
            rows, kind = one.fault == number, KINDS.index(fault.kind)
            features[number].append(made.features[rows])
            hits[number].append(made.scores[rows, kind] >= cuts[kind])
    return _Shown([np.concatenate(parts) for parts in features], [np.concatenate(parts) for parts in hits])


def _chosen(kind: str, shown: _Shown) -> list[int]:
    """Return the faults of a kind that were planted often enough."""
    return [number for number, fault in enumerate(FAULTS) if fault.kind == kind and len(shown.hits[number]) >= _FEW]


def _shares(kind: str, shown: _Shown, real: JudgedEvents, cuts: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return how frequent each of the chosen faults seems to be among the anomalies of a kind; all alike if unknown."""
    chosen, column = _chosen(kind, shown), KINDS.index(kind)
    alike = np.full(len(chosen), 1 / max(len(chosen), 1))
    flagged = real.scores[:, column] >= cuts[column]
    wanted = flagged | (rules.judge(real.features)[0][:, column] >= rules.THRESHOLD)
    if len(chosen) < 2 or not wanted.any():
        return alike
    recalls = np.array([shown.hits[fault].mean() for fault in chosen])
    number = np.repeat(np.arange(len(chosen)), [len(shown.hits[fault]) for fault in chosen])
    hits = np.concatenate([shown.hits[fault] for fault in chosen])
    forest = RandomForestClassifier(_TREES, random_state=0, class_weight="balanced", min_samples_leaf=3, oob_score=True)
    with warnings.catch_warnings():  # of an event that all trees learned from: `mixture` leaves it out
        warnings.filterwarnings("ignore", "Some inputs do not have OOB scores", UserWarning)
        forest.fit(np.concatenate([shown.features[fault] for fault in chosen]), number)
    likely = forest.predict_proba(real.features[wanted])
    sure, fault_of, seen = likely.max(axis=1), likely.argmax(axis=1), flagged[wanted]
    found = mixture(forest.oob_decision_function_[hits], number[hits], likely[seen])
    missed = np.bincount(fault_of[~seen & (sure >= _SURE)], minlength=len(chosen))
    frequency = np.where(recalls >= _SOME, found / np.maximum(recalls, _SOME), found + missed)
    return np.asarray(frequency / frequency.sum() if frequency.any() else alike)


def _of_kind(
    kind: str, shown: _Shown, shares: NDArray[np.float64], scores: NDArray[np.float32], cuts: NDArray[np.float32]
) -> KindTrust:
    chosen, column = _chosen(kind, shown), KINDS.index(kind)
    found = scores[scores[:, column] >= cuts[column], column]
    precision = float(found.mean()) if len(found) else float("nan")
    recalls = np.array([shown.hits[fault].mean() for fault in chosen])
    faults = tuple(
        FaultTrust(FAULTS[fault].name, kind, len(shown.hits[fault]), round(float(recall), 4), round(float(share), 4))
        for fault, recall, share in zip(chosen, recalls, shares, strict=True)
    )
    recall = round(float(shares @ recalls), 4) if chosen else float("nan")
    return KindTrust(recall, round(precision, 4), len(found), faults)
