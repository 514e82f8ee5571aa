"""``audit``, ``label`` and ``accuracy``: what people say of events, and how good the detectors are by that."""

# ruff: noqa: PLC0415 - parts are imported when the command is called, --help must be quick

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.commands.help import WholeHelp
from service.commands.options import AccessOptions, spread

if TYPE_CHECKING:
    from service.client.feedback import FeedbackClient

app = typer.Typer()
audit = typer.Typer(cls=WholeHelp, help="Ask people about the audit sample: export a sheet, import it filled in.")
app.add_typer(audit, name="audit")

KeeperOption = Annotated[str, typer.Option(help="HOST:PORT of a gateway that keeps verdicts (serve --verdicts).")]
PersonOption = Annotated[str, typer.Option(help="Who says it.")]


@audit.command("export")
@spread
def export_sheet(
    *,
    out: Annotated[Path | None, typer.Option(help="CSV file to write; default: standard output.")] = None,
    who: Annotated[str, typer.Option(help="Leave out what this person has labelled; default: what anybody has.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Events, at most.")] = 1_000,
    target: KeeperOption = "127.0.0.1:50051",
    access: AccessOptions,
) -> None:
    """Write the events that wait for a verdict as CSV, with a column for each kind, and nothing of what was found."""
    from service.errors import CommandError
    from service.jobs.feedback import write_sheet

    with _client(target, access) as client:
        sample = client.sample(who, limit)
    if out is None:
        write_sheet(sample.events, sys.stdout)
        return
    try:
        with out.open("w", encoding="utf-8-sig", newline="") as file:  # what spreadsheets take for UTF-8
            write_sheet(sample.events, file)
    except OSError as error:
        raise CommandError(f"cannot write {out}: {error.strerror}; name another file with --out") from None
    typer.echo(f"{len(sample.events)} of {sample.waiting} events that wait for a verdict are in {out}")


@audit.command("import")
@spread
def import_sheet(
    sheet: Annotated[Path, typer.Argument(help="CSV file of audit export, filled in: 1, 0 or ? for each kind.")],
    who: PersonOption,
    *,
    target: KeeperOption = "127.0.0.1:50051",
    access: AccessOptions,
) -> None:
    """Send the verdicts of a sheet; sent again, none is there twice."""
    from service.jobs.feedback import read_sheet

    labels = read_sheet(sheet, who)
    with _client(target, access) as client:
        typer.echo(f"{client.label(labels)} of {len(labels)} verdicts are new")


@app.command()
@spread
def label(
    labels: Annotated[Path, typer.Argument(help="CSV file: event_id, file_id, kind, verdict; who, note, labelled_at.")],
    who: PersonOption,
    *,
    target: KeeperOption = "127.0.0.1:50051",
    access: AccessOptions,
) -> None:
    """Send verdicts on events, a row each; sent again, none is there twice."""
    from service.jobs.feedback import read_labels

    read = read_labels(labels, who)
    with _client(target, access) as client:
        typer.echo(f"{client.label(read)} of {len(read)} verdicts are new")


@app.command()
@spread
def accuracy(
    *,
    batches: Annotated[int, typer.Option(min=1, help="Over so many of the latest files that have labels.")] = 50,
    model_version: Annotated[str, typer.Option(help="Of this version alone, such as epc_lstm/1.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print an AccuracyResponse as JSON.")] = False,
    target: KeeperOption = "127.0.0.1:50051",
    access: AccessOptions,
) -> None:
    """Print how good the detectors are, by what people said of the audit sample."""
    from google.protobuf.json_format import MessageToJson

    from service.jobs.feedback import write_accuracy

    with _client(target, access) as client:
        found = client.accuracy(batches, model_version)
    if as_json:
        typer.echo(MessageToJson(found))
    else:
        write_accuracy(found)


def _client(target: str, access: AccessOptions) -> FeedbackClient:
    from service.client.feedback import FeedbackClient

    return FeedbackClient(target, access.access())
