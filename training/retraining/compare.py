"""Two runs on the same events: differences, slices, refusals and the worst errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from service.progress import Progress
from training.retraining import by_slice, paired
from training.retraining.by_slice import SliceChange
from training.retraining.gate import refusals, untold
from training.retraining.ground import Ground, contest_of, read_ground
from training.retraining.paired import LEAST_ANOMALIES, RESAMPLES, Comparison
from training.retraining.worst_errors import WorstJourney, worst_journeys
from training.runs.folder import Run

WORST = 5
"""Journeys of a ground that are listed."""


@dataclass(frozen=True, slots=True)
class RunComparison:
    """All that there is to say of two runs."""

    notices: list[str]
    compared: list[Comparison]
    changes: list[SliceChange]
    refused: list[str]  # why RUN_B may not take the place of RUN_A; nothing: it may
    worst: list[WorstJourney] = field(default_factory=list)

    @property
    def passes(self) -> bool:
        """Whether RUN_B may take the place of RUN_A."""
        return not self.refused

    def to_json(self) -> dict[str, object]:
        """Return it as plain values."""
        return {**asdict(self), "passes": self.passes}


def compare_runs(  # noqa: PLR0913, PLR0917
    champion: Path,
    challenger: Path,
    data: Path,
    truth: Path | None,
    progress: Progress,
    resamples: int = RESAMPLES,
) -> RunComparison:
    """Compare two run folders on a data folder whose truth is known, on EPCs that neither learned from.

    Raises:
        DataError: runs or data cannot be used.
    """
    progress("reading the runs", 0.0)
    contest, taught = contest_of(Run.load(champion), Run.load(challenger))
    progress("judging by both", 0.2)
    ground = read_ground(contest, taught, data, truth)
    progress("comparing", 0.6)
    found = compare_on([ground], contest.unseen, resamples)
    progress("done", 1.0)
    return found


def compare_on(grounds: Sequence[Ground], notices: Sequence[str], resamples: int = RESAMPLES) -> RunComparison:
    """Compare two runs that have judged the grounds."""
    compared = [one for ground in grounds for one in paired.compare(ground, resamples=resamples)]
    changes = sorted((one for ground in grounds for one in by_slice.changes(ground)), key=lambda one: one.change)
    worst = [one for ground in grounds for one in worst_journeys(ground, "retrospective", WORST)]
    refused = [*refusals(compared, changes), *_unheard(grounds, compared)]
    return RunComparison([*notices, *untold(compared)], compared, changes, refused, worst)


def _unheard(grounds: Sequence[Ground], compared: Sequence[Comparison]) -> list[str]:
    """Return of which grounds people said too little: a challenger that they are to judge would pass unseen."""
    heard = {one.ground for one in compared if one.anomalies >= LEAST_ANOMALIES}
    return [
        f"{ground.name}: nothing is told: fewer than {LEAST_ANOMALIES} known anomalies of every kind, label more"
        for ground in grounds
        if ground.said_by_people and ground.name not in heard
    ]
