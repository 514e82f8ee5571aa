"""What two runs are compared on: events of known truth or verdicts, judged by both, each with tables of its own."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from service.events.columns import Events
from service.events.vocabulary import MODES
from service.features.reference import Reference
from training.datasets import dataset
from training.datasets.truth import Truth, load_truth, truth_beside
from training.errors import DataError
from training.evaluation.data_under_test import OwnData, Subject
from training.evaluation.evaluate import judge
from training.evaluation.slices import Judged
from training.retraining.held_out import held_out_of
from training.runs.folder import Run
from training.samples.splits import rows_of_others


@dataclass(frozen=True, slots=True, eq=False)
class Ground:
    """N events in the order of each mode's samples, and what two runs say of them."""

    name: str
    events: Events  # as they were given
    known: Truth  # of the events as given; NaN where nobody knows
    weight: NDArray[np.float64]  # [N] of the events as given: for how many each one stands
    champion: dict[str, Judged]  # by mode
    challenger: dict[str, Judged]
    reference: Reference  # of the champion, for what the clocks of its places showed
    is_whole: bool  # all is known of all events: slices mean something
    represents: bool = True  # events as they come, or weighted so; of others only the ranks say something
    said_by_people: bool = False  # the labels are verdicts, some of them wrong

    def item(self, mode: str) -> NDArray[np.int32]:
        """Return the EPC [n] of each sample."""
        return self.events.epc[self.champion[mode].samples.index]


@dataclass(frozen=True, slots=True, eq=False)
class Contest:
    """Two runs, the one in use and the one that is to take its place."""

    champion: Run
    challenger: Run
    unseen: list[str] = field(default_factory=list)  # notices: of which run nobody knows what it learned from

    def ground(  # noqa: PLR0913 - three of them are options, given by name
        self,
        name: str,
        events: Events,
        known: Truth,
        *,
        counted: NDArray[np.intp] | None = None,
        weight: NDArray[np.float64] | None = None,
        represents: bool = True,
        said_by_people: bool = False,
    ) -> Ground:
        """Let both runs judge events in one request, of which those ``counted`` count, all those of their EPCs."""
        return Ground(
            name,
            events,
            known,
            np.ones(len(events)) if weight is None else weight,
            self._judged(self.champion, events, known, counted),
            self._judged(self.challenger, events, known, counted),
            self.champion.reference,
            is_whole=not np.isnan(known.labels).any(),
            represents=represents,
            said_by_people=said_by_people,
        )

    @staticmethod
    def _judged(run: Run, events: Events, known: Truth, counted: NDArray[np.intp] | None) -> dict[str, Judged]:
        judged = judge(replace(run, svm=None), Subject(events, known, run.reference))  # networks alone are compared
        return judged if counted is None else {mode: judged[mode].of(counted) for mode in MODES}


def contest_of(champion: Run, challenger: Run) -> tuple[Contest, set[str]]:
    """Return two runs as a contest, and the EPC codes that either of them learned from."""
    codes: set[str] = set()
    notices = []
    for name, run in (("RUN_A", champion), ("RUN_B", challenger)):
        try:
            codes |= set(OwnData.of(run, strangers=True).codes) | _audited_codes(run)
        except DataError as error:
            notices.append(f"{name} may know some of these EPCs: {error}")
    return Contest(champion, challenger, notices), codes


def _audited_codes(run: Run) -> set[str]:
    """Return the EPC codes of the audited events that a retraining learned from."""
    if (audited := run.record.lineage.audited) is None:
        return set()
    reference = run.reference
    folder = Path(audited.contents.data)
    events = dataset.load(folder, time_zone=reference.zones.default, dialect=reference.dialect).events
    return set(np.array(events.epc_codes, dtype=object)[~held_out_of(events.epc_codes)].tolist())


def read_ground(contest: Contest, taught: set[str], folder: Path, truth: Path | None) -> Ground:
    """Return a folder with its truth as ground, of which EPCs count that neither run learned from.

    Raises:
        DataError: it cannot be used, has no truth, or nothing counts.
    """
    if (known := truth or truth_beside(folder)) is None:
        raise DataError(f"{folder} has no truth.parquet or truth.csv; name the truth file with --truth")
    reference = contest.champion.reference
    world = dataset.load(folder, time_zone=reference.zones.default, dialect=reference.dialect)
    counted = rows_of_others(world.events, sorted(taught))
    if not len(counted):
        raise DataError(f"{folder}: one of the runs learned from all its EPCs; name data that neither has seen")
    return contest.ground(str(folder), world.events, load_truth(known, world.events), counted=counted)
