"""What a run can be evaluated on: the held-out part of its own data, or another folder."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.detect.coverage import coverage_warning
from service.detect.unknown_codes import Spared, UnknownCodes
from service.events.columns import Events
from service.events.journeys import Journeys
from service.features.case import Case, View
from service.features.reference import Reference
from service.model.manifest import digest_of
from training.datasets import dataset
from training.datasets.dataset import Dataset
from training.datasets.truth import Truth, load_truth, truth_beside
from training.errors import DataError
from training.runs.folder import Run
from training.runs.lineage import other_hashes
from training.runs.record import Contents
from training.samples.labelled_data import Material, Strangers, strangers_of
from training.samples.labels import labels_of
from training.samples.reference import learn
from training.samples.samples import Samples, samples
from training.samples.splits import SPLITS, normal_events, rows_of_others, split_epcs

Source = dict[str, Any]
"""Data folder, which part of it and how much that is, truth file (None: the rules label), SHA-256 of the files."""


@dataclass(frozen=True, eq=False)
class Subject:
    """The events to judge, what is known of them, and the tables to look things up in."""

    events: Events
    known: Truth
    reference: Reference
    measured: NDArray[np.intp] | None = None  # events whose verdicts count, all those of their EPCs; None: all
    spares_unknown: bool = True  # `serve --unknown-codes`

    def samples(self, *, causal: bool, limit: int, settle_us: int = 0) -> Samples:
        """Return the samples of all events in one request, see `samples`, with the features that a gateway judges by.

        In files where most codes are of unknown products it spares them. What it has seen lately, by which it decides
        of small requests in a stream, plays no part: all codes of a file are known here.
        """
        part = samples(self.events, self.known.labels, self.reference, causal=causal, limit=limit, settle_us=settle_us)
        unknown, found = self._looked_up
        if not found.spared:
            return part
        case = Case(Journeys.of(self.events), part.features, np.argsort(part.index))
        served = unknown.without_tables(View(self.events, causal, given=case), found).case(self.reference)
        return replace(part, features=served.features, spared=served.spared)

    @property
    def warnings(self) -> list[str]:
        """Return what a gateway warns of where most codes are of unknown products, files of one warning together."""
        files: dict[str, list[str]] = {}
        for file_id, coverage in self._looked_up[1].files.items():
            if coverage.is_foreign or coverage.lately is not None:
                files.setdefault(coverage_warning(coverage), []).append(str(file_id))
        return [f"file_id {', '.join(ids)}: {warning}" for warning, ids in files.items()]

    @cached_property
    def _looked_up(self) -> tuple[UnknownCodes, Spared]:
        unknown = UnknownCodes(self.reference, spared=self.spares_unknown)
        return unknown, unknown.decide(unknown.look(self.events))


@dataclass(frozen=True, eq=False)
class OwnData:
    """The data that a run was trained on, split as in its training."""

    world: Dataset
    known: Truth  # the labels of the training: the truth, or the rules'
    strangers: tuple[Strangers, ...] = ()  # what else was learned from

    @classmethod
    def of(cls, run: Run, *, strangers: bool) -> OwnData:
        """Read the data that ``run`` names; with ``strangers`` also those of --more-data.

        Raises:
            DataError: they are gone, or no longer the same.
        """
        lineage = run.record.lineage
        world = dataset.load(Path(lineage.data), time_zone=run.reference.zones.default, dialect=run.reference.dialect)
        if world.files != lineage.files_sha256:
            raise DataError(f"the files of {lineage.data} are not those of the training; name others with --data")
        more = lineage.more_data if strangers else []
        return cls(world, labels_of(world, truth_of(run)), tuple(_same_strangers(kept, world) for kept in more))

    def labelled(self, max_length: int) -> Material:
        """Return the material of the training."""
        split = split_epcs(self.world.events)
        return Material(self.world.events, self.known.labels, split, self.world.masters, max_length, self.strangers)

    @cached_property
    def reference(self) -> Reference:
        """Return the tables that the training split teaches."""
        events, known = self.part("train")
        return learn(events, normal_events(known), self.world.masters)

    @property
    def codes(self) -> list[str]:
        """Return the EPC codes of all that the run was made from."""
        return [
            code for events in (self.world.events, *(s.events for s in self.strangers)) for code in events.epc_codes
        ]

    @cached_property
    def _split(self) -> NDArray[np.int8]:
        return split_epcs(self.world.events)[self.world.events.epc]

    def rows(self, split: str) -> NDArray[np.intp]:
        """Return the events of one of SPLITS."""
        return np.flatnonzero(self._split == SPLITS.index(split))

    def part(self, split: str) -> tuple[Events, NDArray[np.float32]]:
        """Return the events and labels of one of SPLITS."""
        rows = self.rows(split)
        return self.world.events.take(rows), self.known.labels[rows]

    def test_split(self, truth: Truth | None = None) -> Subject:
        """Return the test split, judged by ``truth`` of all events (default: the labels of the training)."""
        return self.subject("test", truth)

    def subject(self, split: str, truth: Truth | None = None) -> Subject:
        """Return one of SPLITS as `test_split` does."""
        known, rows = truth or self.known, self.rows(split)
        details = {name: column[rows] for name, column in known.details.items()}
        return Subject(self.world.events.take(rows), Truth(known.labels[rows], details), self.reference)


def _same_strangers(kept: Contents, home: Dataset) -> Strangers:
    """Read the folder that the lineage ``kept`` names. Raises DataError if it is gone or no longer the same."""
    folder, truth = Path(kept.data), Path(kept.truth) if kept.truth else None
    other = dataset.load(folder, time_zone=home.masters.zones.default, dialect=home.masters.dialect)
    if kept.files_sha256 != other.files or kept.other_files_sha256 != other_hashes(folder, truth):
        raise DataError(
            f"the files of {folder}, --more-data of the training, are not those of the training, from which the "
            "baselines learn too; put them back, or leave the baselines out with --no-baselines"
        )
    return strangers_of(folder, other, truth, home.masters)


def own_subject(run: Run, own: OwnData, truth: Path | None) -> tuple[Subject, Source]:
    """Return the test split of the run's own data, by another ``truth`` if given."""
    subject = own.test_split(load_truth(truth, own.world.events) if truth else None)
    data, truth = run.record.lineage.data, truth or truth_of(run)
    return subject, _source(data, "test split", subject.events, own.world, truth)


def other_subject(run: Run, data: Path, truth: Path | None, own: OwnData | None) -> tuple[Subject, Source]:
    """Return all events of another folder, of which those count whose EPC codes ``own`` (None: unknown) has not.

    Raises:
        DataError: they cannot be used, none counts, or there is no truth and the run was not trained on rules.
    """
    truth = truth or truth_beside(data)
    if truth is None and truth_of(run):
        raise DataError(f"{data} has no truth.parquet or truth.csv; name the truth file with --truth")
    subject, world = whole(run.reference, data, truth)
    if own is None:
        return subject, _source(str(data), "all events", world.events, world, truth)
    rows = rows_of_others(world.events, own.codes)
    if not len(rows):
        raise DataError(f"{data}: the training had all its EPCs; without --data the run is judged by its test split")
    counted = world.events.take(rows)
    known = len(world.events.epc_codes) - len(counted.epc_codes)
    part = f"all events but those of {known:,} EPCs that the training had" if known else "all events"
    return replace(subject, measured=rows), _source(str(data), part, counted, world, truth)


def whole(reference: Reference, data: Path, truth: Path | None) -> tuple[Subject, Dataset]:
    """Return all events of a folder, looked up in ``reference``, and what was read; without ``truth`` rules label.

    Raises:
        DataError: they cannot be used.
    """
    world = dataset.load(data, time_zone=reference.zones.default, dialect=reference.dialect)
    return Subject(world.events, labels_of(world, truth), reference), world


def truth_of(run: Run) -> Path | None:
    """Return the truth file of the training, None if the rules labelled."""
    truth = run.record.lineage.truth
    return Path(truth) if truth else None


def _source(data: str, part: str, counted: Events, world: Dataset, truth: Path | None) -> Source:
    return {
        "data": data,
        "part": part,
        "events": len(counted),
        "epcs": len(counted.epc_codes),
        "files_sha256": world.files,
        "truth": str(truth) if truth else None,
        "truth_sha256": digest_of(truth) if truth else None,
    }
