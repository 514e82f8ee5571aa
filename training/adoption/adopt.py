"""The whole way: unlabelled events to the tables, thresholds, histograms and probe of a manifest; weights untouched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.detect import rules
from service.events.columns import Events
from service.events.vocabulary import KINDS, MODES
from service.features.reference import Reference
from service.model.manifest import NormalEvents
from service.model.sequences import Windows
from service.progress import Progress, part_of
from training.adoption.alarms import AlarmCuts, cuts_for_alarms, cuts_within_budget
from training.adoption.judging import JudgedEvents, judged
from training.adoption.rolling import Earlier
from training.adoption.settings import MIN_EPCS, MIN_EVENTS, AdoptSettings
from training.adoption.settling import Settled, settle
from training.adoption.trust import KindTrust, trust
from training.datasets.dataset import Dataset
from training.errors import DataError
from training.runs.drift_histograms import Served, as_served, histograms_of
from training.runs.folder import padded_lengths
from training.runs.median_events import median_events
from training.runs.telling_journey import telling_journey
from training.runs.weights import TrainedWeights
from training.samples.samples import Samples, samples
from training.samples.splits import first_scans, ordinals

_HISTOGRAM_ITEMS = 20_000
"""Items in the histograms at most: live windows have some thousand events, and are compared with no more."""


@dataclass(frozen=True, slots=True, eq=False)
class Adoption:
    """What N unlabelled events taught."""

    settled: Settled
    scores: dict[str, NDArray[np.float32]]  # [N, 5] by mode, with the new tables
    evidence: NDArray[np.float32]  # [N, 5] of the rules, whole journeys known
    cuts: AlarmCuts
    served: dict[str, Served]  # by mode: features and scores of one event of each item, as in service
    baseline: NormalEvents
    probe: list[list[float]]  # [T, F]
    trusted: dict[str, dict[str, KindTrust]]  # by mode and kind; empty if nothing was planted

    @property
    def reference(self) -> Reference:
        """The new tables."""
        return self.settled.reference

    @property
    def histograms(self) -> dict[str, Any]:
        """What the drift monitor compares live events with."""
        return {mode: histograms_of(part) for mode, part in self.served.items()}


def adopt(
    world: Dataset,
    weights: TrainedWeights,
    settings: AdoptSettings,
    progress: Progress,
    earlier: Earlier | None = None,
) -> Adoption:
    """Learn from a world without labels what is normal in it, and judge it by that.

    With ``earlier`` the tables are those of both, and a quarter of the events will do.

    Raises:
        DataError: there is too little of it, or its tables do not settle.
    """
    events = world.events
    check_amount(events, 1.0 if earlier is None else 0.25)
    settled = settle(events, world.masters, weights, settings, part_of(progress, 0.0, 0.4), earlier)
    whole, causal = (
        _judged(events, settled, weights, is_causal, part_of(progress, 0.4 + 0.1 * is_causal, 0.5))
        for is_causal in (False, True)
    )
    scores = dict(zip(MODES, (whole.scores, causal.scores), strict=True))
    cuts = _cuts(scores, settled, weights, settings)
    baseline = median_events([_in_order(each, settled) for each in (whole, causal)])
    del causal  # its table is the largest thing of all
    progress("histograms", 0.6)
    some = _some_items(events)
    served = as_served(some, weights.score, settled.reference, weights.max_length)
    probe = _telling(some, settled.reference, weights)
    progress("planting faults, and looking for them", 0.7)
    trusted = {}
    if settings.plant:
        by_mode = {mode: cuts.of(mode) for mode in MODES}
        clean = _clean(events, settled, scores, by_mode)
        trusted = trust(events, clean, settled.reference, weights, whole, scores, by_mode, settings.seed)
    evidence = rules.judge(whole.features)[0]
    return Adoption(settled, scores, evidence, cuts, served, baseline, probe, trusted)


def _cuts(
    scores: Mapping[str, NDArray[np.float32]], settled: Settled, weights: TrainedWeights, settings: AdoptSettings
) -> AlarmCuts:
    source = AlarmCuts(weights.thresholds, weights.points)
    if settings.alarms_per_10000 is not None:
        return cuts_for_alarms(scores, settings.alarms_per_10000)
    return source if settings.keep_cuts else cuts_within_budget(scores, settled.normal, source)


def check_amount(events: Events, share: float = 1.0) -> None:
    """Raise DataError if so few events teach nothing; it says what is missing. ``share`` is of what it takes."""
    found = {
        "usable rows": (len(events), round(share * MIN_EVENTS)),
        "EPCs": (len(events.epc_codes), round(share * MIN_EPCS)),
    }
    if short := {name: least - count for name, (count, least) in found.items() if count < least}:
        have = " and ".join(f"{count:,} {name}" for name, (count, _) in found.items())
        need = " and ".join(f"{least:,} {name}" for name, (_, least) in found.items())
        missing = " and ".join(f"{count:,} {name}" for name, count in short.items())
        raise DataError(
            f"{have} are too little to adopt: it takes {need}, {missing} are missing; add files of more days"
        )


def _judged(
    events: Events,
    settled: Settled,
    weights: TrainedWeights,
    is_causal: bool,
    progress: Progress,
) -> JudgedEvents:
    progress(f"judging with the new tables, {MODES[is_causal]}", 0.0)
    return judged(events, settled.reference, weights, causal=is_causal)


def _in_order(part: JudgedEvents, settled: Settled) -> Samples:
    """Return events as samples of windows of their own, labelled by what was set aside: medians ask no more."""
    one = np.ones(len(part.features), dtype=np.intp)
    index = np.arange(len(one))
    return Samples(part.features, settled.suspects.astype(np.float32), Windows(index, one, index, 0 * one), index)


def _telling(events: Events, reference: Reference, weights: TrainedWeights) -> list[list[float]]:
    """Return the features [T, F] of the first events of a telling journey, as many as the shortest window has."""
    unknown = np.zeros((len(events), len(KINDS)), dtype=np.float32)
    part = samples(events, unknown, reference, causal=False, limit=weights.max_length)
    return telling_journey(part, padded_lengths(weights.max_length)[0], weights.model)


def _clean(
    events: Events,
    settled: Settled,
    scores: Mapping[str, NDArray[np.float32]],
    cuts: Mapping[str, NDArray[np.float32]],
) -> NDArray[np.bool_]:
    """Return which items [U] have no event that was set aside or is found in a mode."""
    found = ~settled.normal
    for mode in MODES:
        found |= (scores[mode] >= cuts[mode]).any(axis=1)
    clean: NDArray[np.bool_] = np.ones(len(events.epc_codes), dtype=np.bool_)
    clean[events.epc[found]] = False
    return clean


def _some_items(events: Events) -> Events:
    """Return all events, or those of items in neighbouring requests of equal distances in time."""
    count = len(events.epc_codes)
    if count <= _HISTOGRAM_ITEMS:
        return events
    block, blocks = count // 20, _HISTOGRAM_ITEMS // 20
    return events.take((ordinals(first_scans(events)) % block < blocks)[events.epc])
