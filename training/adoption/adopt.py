"""The whole way: unlabelled events to the tables, thresholds, histograms and probe of a manifest; weights untouched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.events.columns import Events
from service.events.vocabulary import KINDS, MODES
from service.features.reference import Reference
from service.model.manifest import NormalEvents
from service.progress import Progress
from training.adoption.alarms import AlarmCuts, cuts_for_alarms
from training.adoption.settings import MIN_EPCS, MIN_EVENTS, AdoptSettings
from training.adoption.settling import Settled, settle
from training.adoption.weights import TrainedWeights
from training.datasets.dataset import Dataset
from training.errors import DataError
from training.runs.drift_histograms import Served, as_served, histograms_of
from training.runs.folder import padded_lengths
from training.runs.lineage import probe
from training.runs.median_events import median_events
from training.samples.samples import Samples, samples
from training.samples.splits import first_scans

_HISTOGRAM_ITEMS = 20_000
"""Items in the histograms at most: live windows have some thousand events, and are compared with no more."""


@dataclass(frozen=True, slots=True, eq=False)
class Adoption:
    """What N unlabelled events taught."""

    settled: Settled
    scores: dict[str, NDArray[np.float32]]  # [N, 5] by mode, with the new tables
    cuts: AlarmCuts
    served: dict[str, Served]  # by mode: features and scores of one event of each item, as in service
    baseline: NormalEvents
    probe: list[list[float]]  # [T, F]

    @property
    def reference(self) -> Reference:
        """The new tables."""
        return self.settled.reference

    @property
    def histograms(self) -> dict[str, Any]:
        """What the drift monitor compares live events with."""
        return {mode: histograms_of(part) for mode, part in self.served.items()}


def adopt(world: Dataset, network: TrainedWeights, settings: AdoptSettings, progress: Progress) -> Adoption:
    """Learn from a world without labels what is normal in it, and judge it by that.

    Raises:
        DataError: there is too little of it, or its tables do not settle.
    """
    events = world.events
    check_amount(events)
    settled = settle(events, world.masters, network, settings, _part(progress, 0.0, 0.5))
    check, scores = [], {}
    for causal, mode in enumerate(MODES):
        progress(f"judging with the new tables, {mode}", 0.5 + 0.1 * causal)
        part, scores[mode] = _judged(events, settled, network, causal=bool(causal))
        check.append(part)
    baseline, example = median_events(check), probe(check[0], padded_lengths(network.max_length)[0])
    del check
    wanted = settings.alarms_per_10000
    cuts = AlarmCuts(network.thresholds, network.points) if wanted is None else cuts_for_alarms(scores, wanted)
    progress("histograms", 0.75)
    served = as_served(_some_items(events), network.score, settled.reference, network.max_length)
    return Adoption(settled, scores, cuts, served, baseline, example)


def check_amount(events: Events) -> None:
    """Raise DataError if so few events teach nothing; it says what is missing."""
    found = {"usable rows": (len(events), MIN_EVENTS), "EPCs": (len(events.epc_codes), MIN_EPCS)}
    if short := {name: least - count for name, (count, least) in found.items() if count < least}:
        have = " and ".join(f"{count:,} {name}" for name, (count, _) in found.items())
        need = " and ".join(f"{least:,} {name}" for name, (_, least) in found.items())
        missing = " and ".join(f"{count:,} {name}" for name, count in short.items())
        raise DataError(
            f"{have} are too little to adopt: it takes {need}, {missing} are missing; add files of more days"
        )


def _judged(
    events: Events, settled: Settled, network: TrainedWeights, *, causal: bool
) -> tuple[Samples, NDArray[np.float32]]:
    """Return (the samples of all events, labelled by what was set aside; scores [N, 5] in the order of the events)."""
    labels = np.zeros((len(events), len(KINDS)), dtype=np.float32)
    labels[settled.suspects] = 1.0
    part = samples(events, labels, settled.reference, causal=causal, limit=network.max_length)
    scores = np.empty_like(labels)
    scores[part.index] = network.score(part)
    return part, scores


def _some_items(events: Events) -> Events:
    """Return all events, or those of items in neighbouring requests of equal distances in time."""
    count = len(events.epc_codes)
    if count <= _HISTOGRAM_ITEMS:
        return events
    place = np.empty(count, dtype=np.intp)
    place[np.argsort(first_scans(events), kind="stable")] = np.arange(count)
    block, blocks = count // 20, _HISTOGRAM_ITEMS // 20
    return events.take((place % block < blocks)[events.epc])


def _part(progress: Progress, begin: float, end: float) -> Progress:
    return lambda what, done: progress(what, begin + (end - begin) * done)


def flags_of(adoption: Adoption) -> Mapping[str, NDArray[np.bool_]]:
    """Return what is found [N, 5] at the balanced point by mode."""
    return {mode: scores >= adoption.cuts.of(mode) for mode, scores in adoption.scores.items()}
