"""Comparisons and retrainings on the console."""

from __future__ import annotations

from math import isnan

import typer

from training.evaluation.report import write_sheets
from training.evaluation.tables import Sheet
from training.retraining.compare import RunComparison
from training.retraining.retrain import Retrained
from training.retraining.worst_errors import WorstJourney
from training.runs.record import AuditedData, AveragingRecord

_SLICES = 12  # of the worst are shown


def write_comparison(found: RunComparison) -> None:
    """Write all that there is to say of two runs on stdout."""
    for notice in found.notices:
        typer.echo(notice)
    write_sheets(sheets(found))
    for line in verdict(found):
        typer.echo(line)


def write_retraining(found: Retrained) -> None:
    """Write what a retraining was made from, and how it compares, on stdout."""
    audited = found.run.record.lineage.audited
    assert audited is not None  # noqa: S101 - every retraining has it
    write_sheets([auditors_sheet(audited)])
    counted = ", ".join(f"{count} {word}" for word, count in audited.counted.items())
    typer.echo(
        f"{audited.said} verdicts from {audited.first_verdict} to {audited.last_verdict}: {counted} labels of"
        f" {audited.contents.events} events of {audited.contents.epcs} EPCs."
    )
    for one in audited.auditors:
        if one.set_aside:
            typer.echo(
                f"The verdicts of {one.who} are set aside: {one.contradicted} of {one.compared} contradict the"
                f" evidence, {one.expected:.1%} of those of the others."
            )
    averaging = found.run.record.averaging
    assert averaging is not None  # noqa: S101 - every retraining has it
    write_sheets([averaging_sheet(averaging)])
    write_comparison(found.comparison)


def averaging_sheet(averaging: AveragingRecord) -> Sheet:
    """Return the table of how far the weights went from the champion's."""
    return Sheet(
        "From the champion's weights to the tuned ones",
        "Reasons of the gate on the validation part of the champion's data; gain of AP on verdicts set apart for this.",
        ["share of the way", "reasons against", "gain of AP", ""],
        [
            [
                f"{one.share:.0%}",
                str(len(one.refused)),
                f"{one.gain:+.4f}",
                "gone" if one.share == averaging.share else "",
            ]
            for one in averaging.steps
        ],
    )


def auditors_sheet(audited: AuditedData) -> Sheet:
    """Return the table of the auditors."""
    return Sheet(
        "Auditors",
        "Evidence: what the others say of the same, and trees taught by them and by the truth of the earlier world.",
        ["auditor", "verdicts", "with evidence", "contradict it", "expected", ""],
        [
            [
                one.who,
                f"{one.verdicts:,}",
                f"{one.compared:,}",
                f"{one.contradicted / max(one.compared, 1):.1%}",
                f"{one.expected:.1%}",
                "set aside" if one.set_aside else "",
            ]
            for one in audited.auditors
        ],
    )


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
                "" if isnan(one.ece) else f"{one.ece:.4f} {one.ece_difference:+.4f}",
                ""
                if isnan(one.cost)
                else f"{one.cost:.2f} {one.cost_difference:+.2f} ({one.cost_low:+.2f} to {one.cost_high:+.2f})",
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
