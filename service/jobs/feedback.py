"""Verdicts as sheets: the audit sample goes out as CSV to be filled in, and what people filled in comes back."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

from rich.table import Table

from service.console import wide_console
from service.errors import CommandError
from service.events.vocabulary import KINDS
from service.pb.epcsentinel.v1 import feedback_pb2 as fb
from service.rawfiles.cells import no_formula

_EVENT = ("event_id", "file_id", "epc_code", "location_id", "business_step", "event_type", "event_time")
SHEET = (*_EVENT, *KINDS, "note")
"""Columns of a sheet of the audit sample; whoever fills it in writes into those of the kinds, and notes."""

ROWS = ("event_id", "file_id", "kind", "verdict")
"""Columns that a list of labels has; who, note, labelled_at, label_id and epc_code may be there too."""

_VERDICTS: Mapping[str, fb.LabelVerdict.ValueType] = {
    **dict.fromkeys(("confirmed", "1", "yes", "true", "y"), fb.LABEL_VERDICT_CONFIRMED),
    **dict.fromkeys(("rejected", "0", "no", "false", "n"), fb.LABEL_VERDICT_REJECTED),
    **dict.fromkeys(("unsure", "?"), fb.LABEL_VERDICT_UNSURE),
    **dict.fromkeys(("withdrawn", "undo"), fb.LABEL_VERDICT_WITHDRAWN),
}


def write_sheet(events: Iterable[fb.SampledScan], out: TextIO) -> None:
    """Write events of the audit sample, a row each, with a column to fill in for each kind."""
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(SHEET)
    for event in events:
        time = event.event_time.ToDatetime(UTC).isoformat().replace("+00:00", "Z")
        texts = map(no_formula, (event.epc_code, str(event.location_id), event.business_step, event.event_type))
        writer.writerow((event.event_id, event.file_id, *texts, time, *("" for _ in KINDS), ""))


def read_sheet(path: Path, who: str) -> list[fb.EventLabel]:
    """Return the labels that somebody has written into a sheet of the audit sample; what is empty says nothing.

    Raises:
        CommandError: it is no such sheet, or something in it is no verdict.
    """
    return [
        fb.EventLabel(
            event_id=_number(row, "event_id", place),
            file_id=_number(row, "file_id", place),
            kind=kind,
            verdict=_verdict(row[kind], kind, place),
            who=who,
            note=row.get("note") or "",
        )
        for place, row in _rows(path, (*_EVENT[:2], *KINDS))
        for kind in KINDS
        if (row[kind] or "").strip()
    ]


def read_labels(path: Path, who: str) -> list[fb.EventLabel]:
    """Return the labels of a list, a row each. Args: ``who`` says those of rows that do not tell.

    Raises:
        CommandError: it is no such list, or something in it is no verdict.
    """
    labels = []
    for place, row in _rows(path, ROWS):
        label = fb.EventLabel(
            label_id=row.get("label_id") or "",
            event_id=_number(row, "event_id", place),
            file_id=_number(row, "file_id", place),
            kind=row["kind"] or "",
            verdict=_verdict(row["verdict"], "verdict", place),
            who=row.get("who") or who,
            note=row.get("note") or "",
            epc_code=row.get("epc_code") or "",
        )
        if at := row.get("labelled_at"):
            try:
                label.labelled_at.FromDatetime(datetime.fromisoformat(at).astimezone(UTC))
            except (ValueError, OverflowError):
                raise CommandError(
                    f"{place}: labelled_at is {at[:40]!r}: write a time as 2025-07-01T10:34:17Z"
                ) from None
        labels.append(label)
    return labels


def write_accuracy(found: fb.AccuracyResponse) -> None:
    """Write how good the detectors are as a table: of a hundred, with intervals; and who judges unlike the others."""
    table = Table("judged by", "mode", "kind", "files", "labels", "confirmed", "AP", "at release", "AUC", "precision",
                  "recall", "false alarms", "expected precision")  # fmt: skip
    for one in found.kinds:
        table.add_row(
            one.model_version or one.method, one.mode, one.kind, *map(str, (one.batches, one.labels, one.confirmed)),
            _cell(one, "average_precision"),
            f"{one.baseline_average_precision:.1%}" if one.HasField("baseline_average_precision") else "",
            *(_cell(one, name) for name in ("auc", "precision", "recall", "false_positive_rate", "expected_precision")),
        )  # fmt: skip
    console = wide_console()
    if not table.row_count:
        console.print("Nothing is in the audit sample yet.")
        return
    console.print(table)
    console.print("Of the labelled part of the audit sample, each event by its probability; 95 % intervals.")
    console.print("The expected precision is no measurement: what the scores of the findings promise.")
    for who in found.auditors:
        if who.at_odds:
            console.print(
                f"{who.who!r} is at odds with the others, and weighs little or nothing: confirms"
                f" {who.confirms_of_normal:.0%} of what is normal, rejects {who.rejects_of_anomalous:.0%} of what is"
                f" anomalous, by {who.compared:,} verdicts.",
                markup=False,
                highlight=False,
            )


def _cell(one: fb.KindAccuracy, name: str) -> str:
    if not one.HasField(name):  # type: ignore[arg-type]
        return ""
    estimate: fb.Estimate = getattr(one, name)
    digits = 2 if name == "false_positive_rate" else 1
    return f"{estimate.value:.{digits}%} ({100 * estimate.low:.{digits}f}-{100 * estimate.high:.{digits}f})"


def _rows(path: Path, needed: Iterable[str]) -> Iterator[tuple[str, dict[str, str | None]]]:
    """Yield (place for messages, row) of a CSV file with a header."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no UTF-8"
        raise CommandError(f"cannot read {path}: {reason}; save it as CSV, UTF-8") from None
    dialect = "\t" if "\t" in text.partition("\n")[0] else ";" if ";" in text.partition("\n")[0] else ","
    reader = csv.DictReader(io.StringIO(text), delimiter=dialect)
    if missing := [name for name in needed if name not in _header(reader, path)]:
        raise CommandError(f"{path} has no column {', '.join(missing)}: keep the header as it was exported")
    try:
        for number, row in enumerate(reader, 2):
            yield f"{path}:{number}", row
    except csv.Error as error:
        raise CommandError(f"{path}:{reader.line_num + 1}: {error}; save it as CSV, UTF-8") from None


def _header(reader: csv.DictReader[str], path: Path) -> Sequence[str]:
    try:
        return reader.fieldnames or ()
    except csv.Error as error:
        raise CommandError(f"{path}:1: {error}; save it as CSV, UTF-8") from None


def _number(row: Mapping[str, str | None], name: str, place: str) -> int:
    text = row[name] or ""
    try:
        number = int(text)
    except ValueError:
        number = 2**63
    if not -(2**63) <= number < 2**63:
        raise CommandError(f"{place}: {name} is {text[:40]!r}: a whole number as it was exported")
    return number


def _verdict(text: str | None, name: str, place: str) -> fb.LabelVerdict.ValueType:
    found = _VERDICTS.get((text or "").strip().lower())
    if found is None:
        raise CommandError(
            f"{place}: {name} is {(text or '')[:40]!r}: write 1 or confirmed, 0 or rejected, ? or unsure"
        )
    return found
