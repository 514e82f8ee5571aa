"""The ``check`` command: a running gateway judges the same bundled events by every detector, and these are compared."""

from __future__ import annotations

import asyncio
import csv
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from service.client.access import Access
from service.client.gateway import GatewayClient, check_reachable
from service.console import wide_console
from service.detect.names import DetectorName, Method
from service.errors import CommandError
from service.events.vocabulary import KINDS
from service.jobs.stories import kinds_of
from service.pb.epcsentinel.v1 import anomaly_pb2 as pb
from service.rawfiles.columns import read_files

EVENTS = Path(__file__).parent / "data" / "check_events.csv"
"""Two normal journeys, and five with one planted anomaly each: what every event is planted as is its last column."""

DETECTORS = (DetectorName.RULES, DetectorName.SVM, DetectorName.LSTM, DetectorName.ENSEMBLE)

_MALFORMED = "epcFake"
"""A code that is none: every detector of every model has to find it, whatever supply chain it learned."""

_Flagged = frozenset[tuple[int, str]]  # event_id, kind


@dataclass(frozen=True, slots=True)
class CheckRow:
    """What one detector answered."""

    detector: DetectorName
    answer: pb.AnalyzeResponse | None
    took_s: float
    problem: str  # "": none

    @property
    def flagged(self) -> _Flagged:
        """The events that it flags, by kind."""
        history = self.answer.event_history if self.answer else ()
        return frozenset((one.event_id, kind) for one in history for kind, _ in kinds_of(one))


async def check(target: str, access: Access) -> list[CheckRow]:
    """Return what each detector of a gateway answers.

    Raises:
        CommandError: no gateway answers.
    """
    await asyncio.to_thread(check_reachable, target, access)
    events = read_files([EVENTS]).events
    planted = planted_events()
    client = GatewayClient(target, access)
    rows = []
    try:
        for detector in DETECTORS:
            began_s = time.perf_counter()
            try:
                [answer] = await client.analyze(events, detector)
            except CommandError as error:
                rows.append(CheckRow(detector, None, time.perf_counter() - began_s, str(error)))
                continue
            row = CheckRow(detector, answer, time.perf_counter() - began_s, "")
            rows.append(CheckRow(detector, answer, row.took_s, _problem(row, planted)))
    finally:
        await client.close()
    return rows


def planted_events() -> Mapping[int, str]:
    """Return the planted kinds by event_id."""
    with EVENTS.open(encoding="utf-8", newline="") as file:
        return {int(row["event_id"]): row["planted"] for row in csv.DictReader(file) if row["planted"]}


def show(target: str, rows: Sequence[CheckRow]) -> None:
    """Print a row per detector, how far they agree, and what is wrong.

    Raises:
        CommandError: something is wrong.
    """
    console = wide_console()
    planted = planted_events()
    columns = ("Detector", "Method", "Model", "ms", "Flagged events", *KINDS, "Planted found")
    table = Table(*columns, title=f"{len(planted)} anomalies planted in the bundled events, as {target} judges them")
    for row in rows:
        if row.answer is None:
            table.add_row(str(row.detector), "-", "-", f"{1e3 * row.took_s:.0f}")
            continue
        stats = row.answer.file_anomaly_stats
        counts = (stats.epc_fake_count, stats.epc_dup_count, stats.loc_err_count, stats.evt_order_err_count)
        found = sum((event, kind) in row.flagged for event, kind in planted.items())
        table.add_row(
            str(row.detector),
            row.answer.method,
            row.answer.model_version or "-",
            f"{1e3 * row.took_s:.0f}",
            str(len(row.answer.event_history)),
            *map(str, (*counts, stats.jump_count)),
            f"{found} of {len(planted)}",
        )
    console.print(table)
    console.print(_agreement([row for row in rows if row.answer is not None]))
    if problems := [f"{row.detector}: {row.problem}" for row in rows if row.problem]:
        raise CommandError("\n".join(problems))
    console.print("All detectors answer, and each finds the malformed code.", highlight=False)


def _problem(row: CheckRow, planted: Mapping[int, str]) -> str:
    assert row.answer is not None  # noqa: S101 - asked for an answer alone
    if row.answer.method == Method.RULES_AS_FALLBACK:
        return f"rules answered in its place: {row.answer.warning or 'no reason given'}"
    missed = [event for event, kind in planted.items() if kind == _MALFORMED and (event, kind) not in row.flagged]
    return f"events {missed} have a malformed code and are not flagged {_MALFORMED}" if missed else ""


def _agreement(rows: Sequence[CheckRow]) -> Table:
    """Return the share of findings that each two detectors have in common, of those that either has."""
    table = Table("Common findings, %", *(str(row.detector) for row in rows))
    for row in rows:
        shares = []
        for other in rows:
            either = row.flagged | other.flagged
            shares.append(f"{100 * len(row.flagged & other.flagged) / len(either):.0f}" if either else "-")
        table.add_row(str(row.detector), *shares)
    return table
