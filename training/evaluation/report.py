"""Evaluations on the console, as CSV and HTML, and in the performance log."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
from rich.table import Table
from rich.text import Text

from service.console import wide_console
from service.events.vocabulary import MODES
from service.rawfiles.cells import no_formula
from training.evaluation.evaluate import Evaluation
from training.evaluation.html_report import write_html
from training.evaluation.inside import all_sheets
from training.evaluation.slices import ALL, COLUMNS, Row
from training.evaluation.tables import Numbers, Sheet, by_kind
from training.metrics.ranking import MACRO, METRICS
from training.runs.record import SplitMetrics

CSV, HTML, LOG = "metrics.csv", "report.html", "performance_log.jsonl"
_LOGGED = (*METRICS, "ece", "precision", "recall", "f1")


def write_report(measured: SplitMetrics) -> None:
    """Write the numbers that a training measured on its test split on stdout, a table per mode."""
    rows = [
        Row(mode, detector, ALL, kind, metric, math.nan if value is None else value)
        for mode in MODES
        for detector, kinds in measured.of(mode).items()
        for kind, metrics in kinds.items()
        for metric, value in metrics.items()
    ]
    numbers = Numbers(pd.DataFrame(rows, columns=list(COLUMNS)))
    console = wide_console()
    for mode in MODES:
        console.print(_table(by_kind(numbers, mode)))
    console.print(f"{measured.events} events of the test split", highlight=False)


def write_sheets(tables: list[Sheet]) -> None:
    """Write tables on stdout."""
    console = wide_console()
    for sheet in tables:
        console.print(_table(sheet))


def write_console(evaluation: Evaluation) -> None:
    """Write all tables of an evaluation on stdout, what a reader must know first."""
    console = wide_console()
    for notice in evaluation.notices:
        console.print(Text(notice, style="bold yellow"))
    write_sheets(all_sheets(evaluation.table))
    console.print(Text(describe(evaluation)))


def describe(evaluation: Evaluation) -> str:
    """Return one line on what was evaluated."""
    source = evaluation.source
    return (
        f"{source['events']} events of {source['epcs']} EPCs: {source['part']} of {source['data']}, "
        f"labelled by {source['truth'] or 'the rules'}; run {evaluation.folder}"
    )


def write_files(evaluation: Evaluation, folder: Path) -> None:
    """Write the CSV file and the HTML report, and append to the performance log of ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    write_csv(evaluation, folder / CSV)
    write_html(evaluation, describe(evaluation), folder / HTML)
    append_log(evaluation, folder / LOG)


def write_csv(evaluation: Evaluation, path: Path) -> None:
    """Write every number as a row; the column "labels" says of each what it was measured against."""
    table = evaluation.table.assign(labels=_labels(evaluation))
    table["slice"] = table["slice"].map(no_formula)  # names of variants are those of a truth file
    table.to_csv(path, index=False)


def append_log(evaluation: Evaluation, path: Path) -> None:
    """Append one line of JSON to the performance log, which is never rewritten."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(log_entry(evaluation), ensure_ascii=False) + "\n")


def log_entry(evaluation: Evaluation) -> dict[str, Any]:
    """Return when and what was measured, and the means over the kinds, with intervals, by mode and detector."""
    table = evaluation.table
    chosen = table[(table["slice"] == ALL) & (table["kind"] == MACRO) & table["metric"].isin(_LOGGED)]
    numbers: dict[str, Any] = {}
    for row in chosen.to_dict("records"):
        value, low, high = (None if math.isnan(row[name]) else round(row[name], 6) for name in ("value", "low", "high"))
        entry = value if low is None else [value, low, high]
        numbers.setdefault(row["mode"], {}).setdefault(row["detector"], {})[row["metric"]] = entry
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "run": str(evaluation.folder),
        "trained_at": evaluation.run.record.created_at,
        "labels": _labels(evaluation),
        "notices": evaluation.notices,
        **evaluation.source,
        "metrics": numbers,
    }


def _labels(evaluation: Evaluation) -> str:
    return "truth" if evaluation.source["truth"] else "rules (agreement, not accuracy)"


def _table(sheet: Sheet) -> Table:
    table = Table(title=sheet.title, caption=sheet.note, title_justify="left", caption_justify="left")
    for number, heading in enumerate(sheet.headings):
        table.add_column(Text(heading), justify="left" if number == 0 else "right", overflow="fold")
    for row in sheet.rows:
        table.add_row(*map(Text, row))
    return table
