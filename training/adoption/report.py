"""The report of an adoption: what was read, what was set aside, how strange it is, what can be trusted."""

from __future__ import annotations

from math import isnan
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from service.events.vocabulary import MODES
from training.adoption.adopt import Adoption
from training.adoption.alarms import alarms_by_kind
from training.adoption.strangeness import strangeness
from training.adoption.trust import KindTrust
from training.datasets.dataset import Dataset
from training.evaluation.tables import Sheet
from training.runs.weights import TrainedWeights

JSON, MARKDOWN = "report.json", "report.md"

_SHOWN = 10
"""Features in the table of people; the JSON file has all of them."""

_SEEN = 0.02
"""Share of the anomalies of its kind from which a fault counts as seen in the data."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RoundReport(_Part):
    """One round of judging and learning."""

    aside: int  # events that were not learned from
    moved: int  # events that changed sides


class FaultReport(_Part):
    """A known fault that was planted."""

    planted: int  # events
    recall: float  # share of them that was found
    share: float  # of the anomalies of its kind here that seem to be of this fault


class KindReport(_Part):
    """How far a kind can be trusted in one mode, at the balanced operating point."""

    alarms_per_10000: float  # findings in 10,000 events
    recall: float | None  # estimated; None: nothing could be planted
    precision: float | None  # mean score of the findings, too high where scores are; None: there are none
    faults: dict[str, FaultReport]


class FeatureReport(_Part):
    """How far one feature is from what the network knows."""

    distance: float  # of Kolmogorov and Smirnov, 0 .. 1
    outside: float  # share of the events with a value that it never saw


class AdoptionReport(_Part):
    """What is known of an adoption; ``report.json``."""

    adopted_from: str  # name and version of the weights
    events: int
    epcs: int
    quarantined_rows: int
    warnings: list[str]  # of the data
    rounds: list[RoundReport]
    aside: dict[str, int]  # events set aside by kind, in the last round
    trusted: dict[str, dict[str, KindReport]]  # by mode and kind
    features: dict[str, FeatureReport]  # the strangest first, of whole journeys


def report_of(adoption: Adoption, world: Dataset, weights: TrainedWeights) -> AdoptionReport:
    """Return the report of an adoption."""
    rounds, whole = adoption.settled.rounds, MODES[0]
    strange = strangeness(weights.histograms[whole], adoption.served[whole]) if weights.histograms else []
    alarms = {mode: alarms_by_kind(adoption.scores[mode], adoption.cuts.of(mode)) for mode in MODES}
    return AdoptionReport(
        adopted_from=weights.title,
        events=len(world.events),
        epcs=len(world.events.epc_codes),
        quarantined_rows=world.quarantined,
        warnings=list(world.warnings),
        rounds=[RoundReport(aside=one.aside, moved=one.moved) for one in rounds],
        aside=rounds[-1].by_kind,
        trusted={
            mode: {kind: _of_kind(found, alarms[mode][kind]) for kind, found in kinds.items()}
            for mode, kinds in adoption.trusted.items()
        },
        features={one.feature: FeatureReport(distance=one.distance, outside=one.outside) for one in strange},
    )


def _of_kind(found: KindTrust, alarms: float) -> KindReport:
    return KindReport(
        alarms_per_10000=alarms,
        recall=None if isnan(found.recall) else found.recall,
        precision=None if isnan(found.precision) else found.precision,
        faults={one.name: FaultReport(planted=one.planted, recall=one.recall, share=one.share) for one in found.faults},
    )


def lines_of(report: AdoptionReport) -> list[str]:
    """Return what happened, in sentences."""
    aside = report.rounds[-1].aside
    kinds = ", ".join(f"{kind} {count:,}" for kind, count in report.aside.items() if count)
    return [
        f"{report.events:,} events of {report.epcs:,} EPCs; {report.quarantined_rows:,} rows could not be used.",
        f"The tables settled in {len(report.rounds)} rounds; {aside:,} events ({aside / report.events:.1%}) were set"
        f" aside as suspicious ({kinds or 'none'}).",
    ]


def sheets_of(report: AdoptionReport) -> list[Sheet]:
    """Return the report as tables."""
    return [
        *([_kinds(report), _faults(report)] if report.trusted else []),
        *([_features(report)] * bool(report.features)),
    ]


def _kinds(report: AdoptionReport) -> Sheet:
    rows = [
        [mode, kind, f"{one.alarms_per_10000:.1f}", _share(one.recall), _share(one.precision)]
        for mode, kinds in report.trusted.items()
        for kind, one in kinds.items()
    ]
    return Sheet(
        "How far each kind can be trusted",
        "Estimated without labels: recall by planted faults, precision as the mean score of the findings, which is too"
        " high where the network is too sure of itself.",
        ["mode", "kind", "alarms in 10,000", "recall", "precision"],
        rows,
    )


def _faults(report: AdoptionReport) -> Sheet:
    whole, causal = (report.trusted[mode] for mode in MODES)
    rows = [
        [
            name,
            kind,
            str(fault.planted),
            _share(fault.recall),
            _share(causal[kind].faults[name].recall if name in causal[kind].faults else None),
            f"{fault.share:.0%}" if fault.share >= _SEEN else "-",
        ]
        for kind, one in whole.items()
        for name, fault in one.faults.items()
    ]
    return Sheet(
        "Planted faults that were found",
        "The last column: of the anomalies of the kind in these data, those that seem to be of this fault.",
        ["fault", "kind", "planted", *MODES, "seen here"],
        rows,
    )


def _features(report: AdoptionReport) -> Sheet:
    rows = [[name, f"{one.distance:.2f}", f"{one.outside:.1%}"] for name, one in list(report.features.items())[:_SHOWN]]
    return Sheet(
        "How far these data are from what the network knows",
        "By feature, the strangest first: the Kolmogorov-Smirnov distance, and how many values it never saw.",
        ["feature", "distance", "never seen"],
        rows,
    )


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def write_adoption(report: AdoptionReport, folder: Path) -> None:
    """Write ``report.json`` and ``report.md`` to a folder."""
    (folder / JSON).write_text(report.model_dump_json(indent=1) + "\n", encoding="utf-8")
    parts = [*lines_of(report), *(f"Warning: {text}" for text in report.warnings)]
    parts += [_markdown(sheet) for sheet in sheets_of(report)]
    (folder / MARKDOWN).write_text("# Adoption\n\n" + "\n\n".join(parts) + "\n", encoding="utf-8")


def _markdown(sheet: Sheet) -> str:
    lines = [f"| {' | '.join(cells)} |" for cells in (sheet.headings, ["---"] * len(sheet.headings), *sheet.rows)]
    return "\n".join([f"## {sheet.title}", "", *lines, "", sheet.note])
