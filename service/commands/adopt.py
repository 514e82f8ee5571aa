"""The command that makes a trained network know another supply chain, without labels."""

# ruff: noqa: PLC0415, PLR0913, PLR0917
# Lazy imports: the packages of the training side are imported when the command is called, the gateway has none.
from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from service.commands.options import NetworkOption, SitesZoneOption, need_train_extra
from service.errors import SettingsError
from service.events.zones import SEOUL
from service.jobs.progress import shown_progress

app = typer.Typer()


@app.command()
def adopt(
    data: Annotated[Path, typer.Option(help="Folder of raw CSV files and locations.csv; transitions.csv if there is.")],
    out: Annotated[Path, typer.Option(help="Model repository to write; one that exists gets its next version.")],
    source: Annotated[
        Path, typer.Option("--from", help="Model repository whose weights are taken; not with --update.")
    ] = Path("model_repository"),
    alarms_per_10000: Annotated[
        float | None,
        typer.Option(
            min=0.1, max=5_000, help="Findings wanted in 10,000 events. Default: cuts within a budget, see docs."
        ),
    ] = None,
    keep_cuts: Annotated[
        bool, typer.Option("--keep-cuts", help="Keep the cuts of --from, whatever they flag in these data.")
    ] = False,
    audit: Annotated[
        int, typer.Option(min=0, max=10_000, help="Write so many journeys that are most worth a human look.")
    ] = 0,
    update: Annotated[
        bool, typer.Option("--update", help="Add the data to the tables of --out, an adoption of earlier weeks.")
    ] = False,
    forget_days: Annotated[
        float, typer.Option(min=1, help="With --update: the age at which lots and counts are forgotten.")
    ] = 365,
    report: Annotated[
        Path | None, typer.Option(help="Folder for report, audit and rows that cannot be used; default: OUT-report.")
    ] = None,
    time_zone: SitesZoneOption = None,
    network: NetworkOption = None,
    sign: Annotated[Path | None, typer.Option(help="PEM file of the Ed25519 private key to sign it with.")] = None,
) -> None:
    """Learn from raw files without labels what is normal in them, and write a model that judges by that."""
    if keep_cuts and alarms_per_10000 is not None:
        raise SettingsError("--keep-cuts and --alarms-per-10000 exclude each other: give one of them")
    need_train_extra()
    from service.dialect.load import load_dialect
    from service.model.signing import load_signing_key

    key = load_signing_key(sign) if sign else None  # before the long work
    from export.adopted import AdoptJob, adopt_folder
    from training.adoption.report import lines_of, sheets_of
    from training.adoption.settings import AdoptSettings
    from training.evaluation.report import write_sheets

    beside = report or out.with_name(f"{out.name}-report")
    job = AdoptJob(data, out if update else source, out, beside, audit, update, forget_days, key)
    settings = AdoptSettings(
        alarms_per_10000=alarms_per_10000,
        keep_cuts=keep_cuts,
        time_zone=time_zone or SEOUL,
        dialect=load_dialect(network) if network else None,
    )
    with shown_progress() as progress:
        version, found = adopt_folder(job, settings, progress)
    for line in lines_of(found):
        typer.echo(line)
    write_sheets(sheets_of(found))
    typer.echo(f"adopted to {version}; the report is in {beside}")
