"""Two runs on the same events: differences, slices, refusals and the worst errors, measured and as text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from service.progress import Progress
from training.evaluation.tables import Sheet
from training.retraining import by_slice, paired
from training.retraining.by_slice import SliceChange
from training.retraining.gate import refusals, untold
from training.retraining.ground import Ground, contest_of, read_ground
from training.retraining.paired import RESAMPLES, Comparison
from training.retraining.worst_errors import WorstJourney, worst_journeys
from training.runs.folder import Run

WORST = 5
_SLICES = 12  # of the worst are shown


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
    return RunComparison([*notices, *untold(compared)], compared, changes, refusals(compared, changes), worst)


def sheets(found: RunComparison) -> list[Sheet]:
    """Return the tables of a comparison."""
    kinds = Sheet(
        "RUN_B against RUN_A",
        "Differences are RUN_B less RUN_A, with 95 % intervals over resampled EPCs; cost of 1,000 events: a miss 10.",
        ["ground", "mode", "kind", "anomalies", "AP", "AP difference", "calibration error", "cost"],
        [
            [
                one.ground,
                one.mode,
                one.kind,
                f"{one.anomalies:,}",
                f"{one.ap:.4f}",
                f"{one.difference:+.4f} ({one.low:+.4f} to {one.high:+.4f})",
                f"{one.ece:.4f} {one.ece_difference:+.4f}",
                f"{one.cost:.2f} {one.cost_difference:+.2f} ({one.cost_low:+.2f} to {one.cost_high:+.2f})",
            ]
            for one in found.compared
        ],
    )
    fallen = Sheet(
        "Slices that change most for the worse",
        "Recall at 1 % false alarms; of noise, the share of the normal events that is not flagged.",
        ["ground", "mode", "slice", "kind", "events", "RUN_A", "RUN_B", "difference"],
        [
            [
                *(one.ground, one.mode, one.name, one.kind, f"{one.events:,}"),
                *(f"{one.champion:.3f}", f"{one.challenger:.3f}", f"{one.change:+.3f}"),
            ]
            for one in found.changes[:_SLICES]
        ],
    )
    return [kinds, *([fallen] if found.changes else []), *map(_journey_sheet, found.worst)]


def _journey_sheet(journey: WorstJourney) -> Sheet:
    title = (
        f"{journey.epc_code}: {journey.kind} of event {journey.event_id} is off by {journey.error:.2f}"
        f" (RUN_A: {journey.champion_error:.2f})"
    )
    rows = [
        [str(one.event_id), str(one.place), one.event_type, one.local_time, one.truth, one.champion, one.challenger]
        for one in journey.lines
    ]
    return Sheet(title, "", ["event", "place", "type", "local time", "truth", "RUN_A", "RUN_B"], rows)


def verdict(found: RunComparison) -> list[str]:
    """Return what follows of it, line by line."""
    if found.passes:
        return ["RUN_B passes the gate: it is no worse than RUN_A."]
    return [f"RUN_B does not pass the gate: {len(found.refused)} reasons.", *(f"- {line}" for line in found.refused)]
