"""The report of an adoption: what was read, what was set aside, how strange it is, what can be trusted."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from service.events.vocabulary import KINDS, MODES
from training.adoption.adopt import Adoption
from training.adoption.alarms import alarms_by_kind
from training.adoption.weights import TrainedWeights
from training.datasets.dataset import Dataset

JSON, MARKDOWN = "report.json", "report.md"


class AdoptionReport(BaseModel):
    """What is known of an adoption; ``report.json``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    adopted_from: str  # name and version of the weights
    events: int
    epcs: int
    quarantined_rows: int
    warnings: list[str]  # of the data
    rounds: list[dict[str, int]]  # aside, moved
    aside: dict[str, int]  # events set aside by kind, in the last round
    alarms_per_10000: dict[str, dict[str, float]]  # mode -> kind -> findings in 10,000 events, balanced


def report_of(adoption: Adoption, world: Dataset, network: TrainedWeights) -> AdoptionReport:
    """Return the report of an adoption."""
    rounds = adoption.settled.rounds
    return AdoptionReport(
        adopted_from=network.title,
        events=len(world.events),
        epcs=len(world.events.epc_codes),
        quarantined_rows=world.quarantined,
        warnings=list(world.warnings),
        rounds=[{"aside": one.aside, "moved": one.moved} for one in rounds],
        aside=rounds[-1].by_kind,
        alarms_per_10000={mode: alarms_by_kind(adoption.scores[mode], adoption.cuts.of(mode)) for mode in MODES},
    )


def lines_of(report: AdoptionReport) -> list[str]:
    """Return the report in lines of Markdown."""
    aside = report.rounds[-1]["aside"]
    kinds = ", ".join(f"{kind} {report.aside[kind]:,}" for kind in KINDS if report.aside[kind])
    return [
        f"{report.events:,} events of {report.epcs:,} EPCs; {report.quarantined_rows:,} rows could not be used.",
        f"The tables settled in {len(report.rounds)} rounds; {aside:,} events ({aside / report.events:.1%}) were set"
        f" aside as suspicious ({kinds or 'none'}).",
        *(f"Warning: {text}" for text in report.warnings),
    ]


def write_report(report: AdoptionReport, folder: Path) -> None:
    """Write ``report.json`` and ``report.md`` to a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / JSON).write_text(report.model_dump_json(indent=1) + "\n", encoding="utf-8")
    (folder / MARKDOWN).write_text("\n\n".join(lines_of(report)) + "\n", encoding="utf-8")
