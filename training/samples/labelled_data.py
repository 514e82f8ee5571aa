"""What a model is made from: events with labels, each EPC in one part, train, validation or test."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from service.dialect.dialect import Dialect
from service.events.columns import Events
from service.events.zones import SEOUL
from service.features.reference import Reference
from training.datasets import dataset
from training.datasets.dataset import Dataset
from training.datasets.masters import LOCATIONS, Masters
from training.datasets.truth import Truth, load_truth, truth_beside
from training.errors import DataError
from training.samples.labels import labels_of
from training.samples.other_networks import OtherNetwork
from training.samples.passes import pass_over_strangers, training_pass
from training.samples.reference import learn
from training.samples.samples import Draw, Samples, concatenate, samples
from training.samples.splits import SPLITS, normal_events, rows_of_others, split_epcs

MIN_EPCS = 200
"""Fewer EPCs cannot be split into parts that say anything."""

_SAME_PLACE_DEG = 0.1
"""Locations of one id that are farther apart in latitude or longitude are two places (0.1 degrees: 11 km)."""


@dataclass(frozen=True, slots=True, eq=False)
class Strangers:
    """N labelled events of another data folder, with codes and ids of its own.

    They are only learned from, with the tables that the training part teaches: never in tables, validation or test.
    """

    events: Events
    labels: NDArray[np.float32]  # [N, 5] 0 .. 1


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """N labelled events of U EPCs."""

    events: Events
    labels: NDArray[np.float32]  # [N, 5] 0 .. 1
    split: NDArray[np.int8]  # [U] index into SPLITS, -1 for an EPC that is left out
    masters: Masters
    max_length: int  # events of a window
    strangers: tuple[Strangers, ...] = ()
    networks: tuple[OtherNetwork, ...] = ()
    teaching: NDArray[np.bool_] | None = None  # [N] events that tables are learned from; None: the normal ones
    draws: NDArray[np.float32] | None = None  # [U] how much oftener sequences of an EPC are drawn; None: all alike
    given: NDArray[np.bool_] | None = (
        None  # [N] events of items whose labels somebody gave, to tune on; None: no tuning
    )

    def rows(self, part: str) -> NDArray[np.intp]:
        """Return the positions of the events of a part."""
        return np.flatnonzero(self.split[self.events.epc] == SPLITS.index(part))

    def take(self, part: str) -> tuple[Events, NDArray[np.float32]]:
        """Return the events of a part and their labels."""
        rows = self.rows(part)
        return self.events.take(rows), self.labels[rows]

    def reference(self, part: str) -> Reference:
        """Return the tables that the normal events of a part teach."""
        return learn(self.take(part)[0], self.normal(part), self.masters)

    def normal(self, part: str) -> NDArray[np.bool_]:
        """Return which events of a part teach tables."""
        rows = self.rows(part)
        return normal_events(self.labels[rows]) if self.teaching is None else self.teaching[rows]

    def draws_of(self, events: Events) -> NDArray[np.float32] | None:
        """Return `draws` [U] of the EPCs of ``events``, some of those of the material."""
        if self.draws is None:
            return None
        codes = {code: row for row, code in enumerate(self.events.epc_codes)}
        return self.draws[[codes[code] for code in events.epc_codes]]

    def samples(self, part: str, reference: Reference) -> list[Samples]:
        """Return the samples of a part, retrospective and causal, all its events in one request."""
        return [samples(*self.take(part), reference, causal=causal, limit=self.max_length) for causal in (False, True)]

    def teaching_strangers(self) -> list[Strangers]:
        """Return the strangers without those whose EPC code is also in validation or test: codes of one are nowhere
        learned from, also where folders have events of the same items. Those of whom nothing is left are missing.
        """
        held_out = np.array(self.events.epc_codes, dtype=np.str_)[self.split > SPLITS.index("train")]
        kept = [(each, rows_of_others(each.events, held_out)) for each in self.strangers]
        return [Strangers(each.events.take(rows), each.labels[rows]) for each, rows in kept if len(rows)]


def draw_from(labelled: Material) -> Draw:
    """Return what draws passes over all that is ever learned from: the training part, strangers, other networks."""
    events, labels = labelled.take("train")
    normal, draws = labelled.normal("train"), labelled.draws_of(events)
    limit, strangers = labelled.max_length, labelled.teaching_strangers()
    reference = labelled.reference("train")

    def draw(rng: np.random.Generator) -> tuple[Samples, Samples]:
        parts = [training_pass(events, labels, labelled.masters, rng, limit, normal, draws)]
        if strangers:
            one = strangers[rng.integers(len(strangers))]
            parts.append(pass_over_strangers(one.events, one.labels, reference, rng, limit))
        for each in labelled.networks:
            parts.append(training_pass(each.events, each.labels, each.masters, rng, limit, each.teaching(rng)))
        whole, causal = zip(*parts, strict=True)
        return concatenate(list(whole)), concatenate(list(causal))

    return draw


def load(  # noqa: PLR0913, PLR0917 - what, and how it is read
    data: Path,
    truth: Path | None,
    max_length: int,
    quarantine: Path | None = None,
    time_zone: str = SEOUL,
    dialect: Dialect | None = None,
    *,
    partial: bool = False,
) -> tuple[Dataset, Truth, Material]:
    """Return a data folder, its labels (those of the rules without ``truth``), and both as material.

    ``time_zone`` is of the places of which the folder says none, ``dialect`` of its raw files. Of a ``partial`` truth,
    labels may be NaN.

    Raises:
        DataError: they cannot be used.
    """
    world = dataset.load(data, quarantine=quarantine, time_zone=time_zone, dialect=dialect)
    if len(world.events.epc_codes) < MIN_EPCS:
        raise DataError(f"{data} has {len(world.events.epc_codes)} EPCs; training needs {MIN_EPCS} at least")
    known = load_truth(truth, world.events, partial=True) if truth and partial else labels_of(world, truth)
    material = Material(world.events, known.labels, split_epcs(world.events), world.masters, max_length)
    for part in ("train", "validation"):
        if not normal_events(material.take(part)[1]).any():
            raise DataError(
                f"{truth or data}: not one event of the {part} part is labelled as normal, so there is nothing to tell"
                " anomalies from; are 0 and 1 swapped?"
            )
    return world, known, material


def strangers_of(folder: Path, other: Dataset, truth: Path | None, home: Masters) -> Strangers:
    """Return the data ``other`` of ``folder`` with its labels; ``home``: the masters they will be looked up in.

    Raises:
        DataError: the truth cannot be used, or a location is another place at home, or in another time zone.
    """
    common, at, at_home = np.intersect1d(other.masters.location_id, home.location_id, return_indices=True)
    here, there = (
        np.stack([masters.latitude[rows], masters.longitude[rows]])
        for masters, rows in ((other.masters, at), (home, at_home))
    )
    if len(moved := np.flatnonzero((np.abs(here - there) > _SAME_PLACE_DEG).any(axis=0))):
        row = moved[0]
        raise DataError(
            f"{folder}: location {other.masters.location_id[at[row]]} is at {here[0, row]}, {here[1, row]}, but at "
            f"{there[0, row]}, {there[1, row]} in {LOCATIONS} of --data; an id must be one place in both"
        )
    for place in common.tolist():
        zone, at_home_zone = other.masters.zones.of(place), home.zones.of(place)
        if zone != at_home_zone:
            raise DataError(
                f"{folder}: location {place} is in the time zone {zone}, but in {at_home_zone} in --data;"
                f" an id must be one place in both: correct {LOCATIONS}"
            )
    return Strangers(other.events, labels_of(other, truth).labels)


def load_strangers(
    folder: Path, truth: Path | None, data: Path, home: Masters, quarantine: Path | None = None
) -> tuple[Strangers, Dataset, Path | None]:
    """Return the strangers of a folder, all of it, and its truth file: ``truth``, or what lies in it, or None.

    Raises:
        DataError: they cannot be used, or the folder is ``data``, whose items are no strangers.
    """
    if folder.resolve() == data.resolve():
        raise DataError(f"{folder}: --more-data is --data itself; name another folder, or leave it out")
    other = dataset.load(folder, quarantine=quarantine, time_zone=home.zones.default, dialect=home.dialect)
    truth = truth or truth_beside(folder)
    return strangers_of(folder, other, truth, home), other, truth
