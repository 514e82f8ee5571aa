"""The answer of ``analyze`` on stdout: a table for people, JSON in the contract's shape, or CSV."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
from google.protobuf.json_format import MessageToJson
from rich.console import Console
from rich.table import Table
from rich.text import Text

from service.events.vocabulary import KINDS
from service.pb.epcsentinel.v1 import anomaly_pb2 as pb
from service.rawfiles.cells import no_formula
from service.rawfiles.columns import RawEvents

MAX_TABLE_ROWS = 500

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIELDS = dict(zip(KINDS, ("epc_fake", "epc_dup", "loc_err", "evt_order_err", "jump"), strict=True))
_WIDE = 160  # columns where the output is no terminal: a code must not be cut in a log or a pipe


def write_json(response: pb.AnalyzeFilesResponse) -> None:
    """Write the AnalyzeFilesResponse as proto-JSON, in ASCII where the terminal has no other letters."""
    is_ascii = not sys.stdout.encoding.lower().startswith("utf")
    sys.stdout.write(MessageToJson(response, ensure_ascii=is_ascii) + "\n")


def write_csv(raw: RawEvents, response: pb.AnalyzeFilesResponse) -> None:
    """Write one row per flagged event and kind; a code that a spreadsheet would run gets an apostrophe before it."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(("file_id", "event_id", "epc_code", "kind", "score"))
    position = _positions(raw)
    for answer in response.files:
        for finding in answer.event_history:
            [code] = raw.events.sent_codes(np.array([position[finding.event_id]]))
            for kind, score in kinds_of(finding):
                writer.writerow((answer.file_id, finding.event_id, no_formula(code), kind, score))


def write_tables(raw: RawEvents, response: pb.AnalyzeFilesResponse) -> None:
    """Write the findings and a summary per file, or one line if nothing was found."""
    console = Console() if sys.stdout.isatty() else Console(width=_WIDE)
    events = raw.events
    found = sum(len(answer.event_history) for answer in response.files)
    if found:
        console.print(_findings_table(raw, response))
        if found > MAX_TABLE_ROWS:
            console.print(f"{found - MAX_TABLE_ROWS} more flagged events: use --csv or --json to see all")
        console.print(_summary_table(raw, response))
        console.print(f"{found} of {len(events)} events of {len(events.epc_codes)} EPCs flagged.", highlight=False)
    else:
        console.print(f"No findings in {len(events)} events of {len(events.epc_codes)} EPCs.", highlight=False)
    for judged_by in dict.fromkeys((answer.method, answer.model_version) for answer in response.files):
        console.print("Judged by " + " ".join(filter(None, judged_by)) + ".", highlight=False)
    for warning in dict.fromkeys(answer.warning for answer in response.files if answer.warning):
        console.print(Text(f"Warning: {warning}", style="yellow"))


def _findings_table(raw: RawEvents, response: pb.AnalyzeFilesResponse) -> Table:
    table = Table("Event", "EPC", "Place", "Time (UTC)", "Kinds with scores", title="Findings")
    events, position = raw.events, _positions(raw)
    findings = [finding for answer in response.files for finding in answer.event_history]
    for finding in findings[:MAX_TABLE_ROWS]:
        at = position[finding.event_id]
        location_id = int(events.location_id[at])
        table.add_row(
            str(finding.event_id),
            Text(printable(events.sent_codes(np.array([at]))[0])),
            Text(printable(raw.places.get(location_id) or f"location {location_id}")),
            time_text(int(events.time_us[at])),
            ", ".join(f"{kind} {score:.1f}" for kind, score in kinds_of(finding)),
        )
    return table


def _summary_table(raw: RawEvents, response: pb.AnalyzeFilesResponse) -> Table:
    table = Table("File", "Events", "Flagged", *KINDS, title="Flagged events per file")
    for answer in response.files:
        stats = answer.file_anomaly_stats
        table.add_row(
            Text(printable(raw.sources.get(answer.file_id, f"file_id {answer.file_id}"))),
            str(int((raw.events.file_id == answer.file_id).sum())),
            str(len(answer.event_history)),
            *(str(getattr(stats, f"{_FIELDS[kind]}_count")) for kind in KINDS),
        )
    return table


def kinds_of(finding: pb.EventFinding) -> Iterator[tuple[str, float]]:
    """Yield the flagged kinds and their scores (0 to 100)."""
    for kind, name in _FIELDS.items():
        if getattr(finding, name):
            yield kind, getattr(finding, f"{name}_score")


def _positions(raw: RawEvents) -> dict[int, int]:
    return {event_id: at for at, event_id in enumerate(raw.events.event_id.tolist())}


def time_text(time_us: int) -> str:
    """Return a time in microseconds since 1970 as text, to the second."""
    return (_EPOCH + timedelta(microseconds=time_us)).strftime("%Y-%m-%d %H:%M:%S")


def printable(text: str) -> str:
    """Return the text with what could steer a terminal written as escapes, cut to a readable length."""
    shown = text if text.isprintable() else text.encode("unicode_escape").decode("ascii")
    return shown if len(shown) <= 60 else f"{shown[:57]}..."
