"""What a retraining learns from: new events with the verdicts of auditors, checked, split, and written down."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from service.events.columns import Events
from service.events.vocabulary import KINDS
from service.features.reference import Reference
from service.model.manifest import digest_of
from service.progress import Progress
from training.adoption.judging import judged
from training.adoption.settings import AdoptSettings
from training.adoption.settling import settle
from training.datasets import dataset
from training.datasets.dataset import Dataset
from training.datasets.masters import Masters
from training.errors import DataError
from training.evaluation.data_under_test import OwnData
from training.retraining.auditors import AuditorQuality, Schooling, judge_auditors
from training.retraining.held_out import held_out_of, proving_of
from training.retraining.tables import NewEvents, tables_of_both
from training.retraining.verdicts import CONFIRMED, REJECTED, Verdicts, read_verdicts
from training.runs.folder import Run
from training.runs.lineage import contents
from training.runs.record import AuditedData, AuditorRecord
from training.runs.weights import TrainedWeights, weights_of_run
from training.samples.samples import samples
from training.samples.splits import rows_of_others

_LOG = logging.getLogger(__name__)

_SCHOOL_EVENTS = 60_000  # of the champion's data that the evidence against auditors is learned from

_SURE = 0.5
"""Probability from which the champion finds an event that, looked at in hindsight, teaches no table."""

_Labels = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Gathered:
    """N new events of U EPCs, none of which the champion learned from."""

    events: Events
    labels: _Labels  # [N, 5] 1 confirmed, 0 rejected, NaN where nobody who counts said either
    weight: NDArray[np.float64]  # [N] for how many events each one stands
    held_out: NDArray[np.bool_]  # [U] EPCs that are not learned from
    proving: NDArray[np.bool_]  # [U] EPCs, none of them held out, that only say how far to go
    normal: NDArray[np.bool_]  # [N] events that tables are learned from
    masters: Masters
    is_weighted: bool  # the verdicts say with which chance events were chosen
    record: AuditedData  # for the lineage

    @property
    def new(self) -> NewEvents:
        """The events as those that teach tables."""
        return NewEvents(self.events, self.normal, _cleared(self.events, self.labels), self.masters)

    @property
    def taught(self) -> NDArray[np.intp]:
        """The positions [n] of the events that are learned from."""
        return np.flatnonzero(~self.apart[self.events.epc])

    @property
    def apart(self) -> NDArray[np.bool_]:
        """Which EPCs [U] no weights are learned from."""
        return self.held_out | self.proving

    @property
    def held_out_labels(self) -> _Labels:
        """The labels [N, 5] of the EPCs that are held out, NaN for the others."""
        return self.labels_of(self.held_out)

    def labels_of(self, epcs: NDArray[np.bool_]) -> _Labels:
        """Return the labels [N, 5] of some EPCs [U], NaN for the others."""
        return np.where(epcs[self.events.epc][:, None], self.labels, np.float32(np.nan))


def gather(  # noqa: PLR0913, PLR0917
    champion: Run, own: OwnData, data: Path, file: Path, least: int, seed: int, progress: Progress
) -> Gathered:
    """Read new data and the verdicts on them, and leave out auditors who contradict the evidence.

    Raises:
        DataError: they cannot be used, or fewer than ``least`` sure verdicts are left.
    """
    progress("reading the new data", 0.0)
    world = dataset.load(data, time_zone=champion.reference.zones.default, dialect=champion.reference.dialect)
    said = read_verdicts(file, world.events, files_are_named=world.files_are_named)
    for notice in said.notices:
        _LOG.warning("warning: %s: %s", file, notice)
    rows = rows_of_others(world.events, own.codes)
    if len(rows) < len(world.events):
        said = _within(said, rows, len(world.events))
    events = world.events.take(rows)
    progress("looking at the auditors", 0.02)
    found = judge_auditors(
        said, _features(events, champion.reference, champion.lengths[-1]), _schooling(own, champion), seed
    )
    kept = said.without([one.who for one in found if one.set_aside])
    labels = kept.labels(len(events))
    if (sure := int((~np.isnan(labels)).sum())) < least:
        raise DataError(
            f"{file}: {sure} verdicts that count are left of {said.said}, and {least} are needed: label more, or say"
            " --least-verdicts"
        )
    progress("learning the tables", 0.05)
    settings = AdoptSettings(time_zone=champion.reference.zones.default)
    network = weights_of_run(champion, "the champion")
    settled = settle(events, world.masters, network, settings, lambda *_: None).normal
    progress("looking again, with the tables of both worlds", 0.08)
    new = NewEvents(events, _teaching(settled, labels), _cleared(events, labels), world.masters)
    settled &= ~_found(network, events, tables_of_both(own, new))
    return Gathered(
        events,
        labels,
        kept.weights(len(events)),
        held_out_of(events.epc_codes),
        proving_of(events.epc_codes),
        _teaching(settled, labels),
        world.masters,
        bool((kept.probability < 1).any()),
        _record(data, file, world, events, said, labels, found),
    )


def _within(said: Verdicts, rows: NDArray[np.intp], events: int) -> Verdicts:
    """Return the verdicts on the events ``rows``, by their places among these."""
    place = np.full(events, -1, dtype=np.intp)
    place[rows] = np.arange(len(rows))
    inside = said.take(np.flatnonzero(place[said.row] >= 0))
    return inside.moved(place[inside.row])


def _teaching(settled: NDArray[np.bool_], labels: _Labels) -> NDArray[np.bool_]:
    """Return which events tables are learned from: what looks normal in its own network, but for what people said."""
    confirmed, rejected = (labels == 1).any(axis=1), (labels == 0).any(axis=1)
    teaching: NDArray[np.bool_] = (settled | rejected) & ~confirmed
    return teaching


def _cleared(events: Events, labels: _Labels) -> NDArray[np.bool_]:
    """Return which events [N] are of items of which people said that they are genuine, and nobody that they are not."""
    fake = labels[:, KINDS.index("epcFake")]
    genuine: NDArray[np.bool_] = np.zeros(len(events.epc_codes), dtype=np.bool_)
    genuine[events.epc[fake == 0]] = True
    genuine[events.epc[fake == 1]] = False
    of_events: NDArray[np.bool_] = genuine[events.epc]
    return of_events


def _found(network: TrainedWeights, events: Events, tables: Reference) -> NDArray[np.bool_]:
    """Return which events [N] the network finds anomalous in hindsight.

    Settling sets aside what rules and network suspect both, and leaves what only hindsight tells. It is done
    once: tables do not narrow round by round.
    """
    scores = judged(events, tables, network, causal=False).scores
    return np.asarray((scores >= _SURE).any(axis=1), dtype=np.bool_)


def _features(events: Events, reference: Reference, limit: int) -> NDArray[np.float32]:
    """Return the features [N, F] of events, in their order."""
    nothing = np.zeros((len(events), len(KINDS)), dtype=np.float32)
    part = samples(events, nothing, reference, causal=False, limit=limit)
    table = np.empty_like(part.features)
    table[part.index] = part.features
    return table


def _schooling(own: OwnData, champion: Run) -> Schooling | None:
    """Return the truth of the champion's world; none if the rules labelled it, which know no better than auditors."""
    if champion.record.lineage.truth is None:
        return None
    events, labels = own.part("test")
    if len(events) > _SCHOOL_EVENTS:
        epcs = len(events.epc_codes) * _SCHOOL_EVENTS // len(events)
        rows = np.flatnonzero(events.epc < epcs)
        events, labels = events.take(rows), labels[rows]
    return Schooling(_features(events, own.reference, champion.lengths[-1]), labels)


def _record(  # noqa: PLR0913, PLR0917
    data: Path, file: Path, world: Dataset, events: Events, said: Verdicts, labels: _Labels, found: list[AuditorQuality]
) -> AuditedData:
    first, last = (
        datetime.fromtimestamp(int(time) / 1e6, UTC) for time in (events.time_us.min(), events.time_us.max())
    )
    return AuditedData(
        contents=contents(data, None, world),
        verdicts=str(file),
        verdicts_sha256=digest_of(file),
        said=said.said,
        left_out=said.left_out,
        counted={CONFIRMED: int((labels == 1).sum()), REJECTED: int((labels == 0).sum())},
        first_event=first.isoformat(timespec="seconds"),
        last_event=last.isoformat(timespec="seconds"),
        first_verdict=said.first,
        last_verdict=said.last,
        auditors=[
            AuditorRecord(
                who=one.who,
                verdicts=one.verdicts,
                compared=one.compared,
                contradicted=one.contradicted,
                expected=round(one.expected, 6),
                set_aside=one.set_aside,
            )
            for one in found
        ],
    )
