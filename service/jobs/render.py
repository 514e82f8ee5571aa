"""The answer of ``analyze`` on stdout: a table for people, JSON in the contract's shape, or CSV."""

from __future__ import annotations

import csv
import sys
from datetime import UTC, datetime, timedelta

import numpy as np
from google.protobuf.json_format import MessageToJson
from rich.table import Table
from rich.text import Text

from service.console import how_many, wide_console
from service.events.vocabulary import KINDS
from service.jobs.positions import positions
from service.jobs.stories import FIELDS, causes_of, kinds_of, stories
from service.pb.epcsentinel.v1 import anomaly_pb2 as pb
from service.rawfiles.cells import no_formula
from service.rawfiles.columns import RawEvents

MAX_TABLE_ROWS = 500

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def write_json(response: pb.AnalyzeFilesResponse | pb.ExplainResponse) -> None:
    """Write an answer as proto-JSON, in ASCII where the terminal has no other letters."""
    is_ascii = not sys.stdout.encoding.lower().startswith("utf")
    sys.stdout.write(MessageToJson(response, ensure_ascii=is_ascii) + "\n")


def write_csv(raw: RawEvents, response: pb.AnalyzeFilesResponse) -> None:
    """Write one row per flagged event and kind, with cause and reason where there are some.

    A code that a spreadsheet would run gets an apostrophe before it.
    """
    writer = csv.writer(sys.stdout, lineterminator="\n")
    told = any(cause for answer in response.files for found in answer.event_history for _, cause, _ in causes_of(found))
    writer.writerow(("file_id", "event_id", "epc_code", "kind", "score", *(("cause", "reason") if told else ())))
    at = list(_positions(raw, response).values())  # in the order of the findings, each is of another event
    codes = iter(raw.events.sent_codes(np.array(at, dtype=np.intp)))
    for answer in response.files:
        for finding in answer.event_history:
            code = next(codes)
            for (kind, score), (_, *why) in zip(kinds_of(finding), causes_of(finding), strict=True):
                row = (answer.file_id, finding.event_id, no_formula(code), kind, score)
                writer.writerow((*row, *(map(no_formula, why) if told else ())))


def write_tables(raw: RawEvents, response: pb.AnalyzeFilesResponse, *, by_event: bool) -> None:
    """Write incidents, or ``by_event`` the flagged events, and a summary per file; one line if nothing is found."""
    console = wide_console()
    events = raw.events
    told = f"{how_many(len(events), 'event')} of {how_many(len(events.epc_codes), 'EPC')}"
    # What findings are worth is said before them.
    for warning in dict.fromkeys(answer.warning for answer in response.files if answer.warning):
        console.print(Text(f"Warning: {warning}", style="yellow"))
    found = sum(len(answer.event_history) for answer in response.files)
    if found:
        if by_event:
            console.print(_findings_table(raw, response))
            if found > MAX_TABLE_ROWS:
                console.print(f"{found - MAX_TABLE_ROWS} more flagged events: use --csv or --json to see all")
        else:
            console.print(_incidents_table(raw, response))
        console.print(_summary_table(raw, response))
        console.print(f"{found} of {told} flagged.", highlight=False)
    else:
        console.print(f"No findings in {told}.", highlight=False)
    for judged_by in dict.fromkeys((answer.method, answer.model_version) for answer in response.files):
        console.print("Judged by " + " ".join(filter(None, judged_by)) + ".", highlight=False)


def _findings_table(raw: RawEvents, response: pb.AnalyzeFilesResponse) -> Table:
    table = Table("Event", "EPC", "Place", "Local time", "Kinds with scores", title="Findings")
    events, local_us, position = raw.events, raw.local_us, _positions(raw, response)
    findings = [finding for answer in response.files for finding in answer.event_history]
    for finding in findings[:MAX_TABLE_ROWS]:
        at = position[finding.event_id]
        location_id = int(events.location_id[at])
        table.add_row(
            str(finding.event_id),
            Text(printable(events.sent_codes(np.array([at]))[0])),
            Text(printable(raw.places.get(location_id) or f"location {location_id}")),
            time_text(int(local_us[at])),
            ", ".join(f"{kind} {score:.1f}" for kind, score in kinds_of(finding)),
        )
    return table


def _incidents_table(raw: RawEvents, response: pb.AnalyzeFilesResponse) -> Table:
    columns = ("Kind", "Cause", "Items", "Events", "First event", "Place", "Local time", "Why (of the first)")
    table = Table(*columns, title="Incidents")
    events, local_us = raw.events, raw.local_us
    shown = stories(events, response)
    for story in shown[:MAX_TABLE_ROWS]:
        place = int(events.location_id[story.first])
        table.add_row(
            story.kind,
            story.cause,
            str(story.items),
            str(len(story.events)),
            str(int(events.event_id[story.first])),
            Text(printable(raw.places.get(place) or f"location {place}")),
            time_text(int(local_us[story.first])),
            Text(printable(story.reason, 400)),
        )
    rest = len(shown) - MAX_TABLE_ROWS
    table.caption = how_many(len(shown), "incident") + (f", {rest} more: --csv has all findings" if rest > 0 else "")
    return table


def _summary_table(raw: RawEvents, response: pb.AnalyzeFilesResponse) -> Table:
    table = Table("File", "Events", "Flagged", *KINDS, title="Flagged events per file")
    for answer in response.files:
        stats = answer.file_anomaly_stats
        table.add_row(
            Text(printable(raw.sources.get(answer.file_id, f"file_id {answer.file_id}"))),
            str(int((raw.events.file_id == answer.file_id).sum())),
            str(len(answer.event_history)),
            *(str(getattr(stats, f"{FIELDS[kind]}_count")) for kind in KINDS),
        )
    return table


def _positions(raw: RawEvents, response: pb.AnalyzeFilesResponse) -> dict[int, int]:
    """Return where the events of the findings are, by event_id."""
    return positions(raw.events, [found.event_id for answer in response.files for found in answer.event_history])


def time_text(time_us: int) -> str:
    """Return a time in microseconds since 1970 as text, to the second."""
    return (_EPOCH + timedelta(microseconds=time_us)).strftime("%Y-%m-%d %H:%M:%S")


def printable(text: str, length: int = 60) -> str:
    """Return the text with what could steer a terminal written as escapes, cut to a readable ``length``."""
    shown = text if text.isprintable() else text.encode("unicode_escape").decode("ascii")
    return shown if len(shown) <= length else f"{shown[: length - 3]}..."
