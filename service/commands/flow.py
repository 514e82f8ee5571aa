"""``flow``: work in progress, throughput and cycle times of the same scans."""

# ruff: noqa: PLC0415, PLR0913, PLR0917
# Parts are imported when the command is called, --help must be quick; and a command has one parameter per flag.

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from service.commands.options import DetectorChoice, TimeZoneOption, setting
from service.detect.names import DetectorName
from service.errors import CommandError
from service.settings import load_settings

app = typer.Typer()
_flow = typer.Typer(no_args_is_help=True, help="How items flow: work in progress, throughput, cycle time.")
app.add_typer(_flow, name="flow")


@_flow.command()
def measure(
    paths: Annotated[list[Path], typer.Argument(metavar="DIR|FILE...", help="Raw scan files, or folders of them.")],
    out: Annotated[Path | None, typer.Option(help="CSV: a row per site, step, product and day.")] = None,
    begin: Annotated[datetime | None, typer.Option(help="Of the window of Little's law, UTC.")] = None,
    end: Annotated[datetime | None, typer.Option(help="Of the window of Little's law, UTC.")] = None,
    detector: Annotated[DetectorChoice, typer.Option(help="What it flags is left out.")] = DetectorChoice.LSTM,
    all_events: Annotated[bool, typer.Option("--all-events", help="Judge nothing: each scan counts.")] = False,
    time_zone: TimeZoneOption = None,
    model_repository: Annotated[str | None, setting("model_repository")] = None,
) -> None:
    """Measure work in progress, arrivals, departures, dwell and cycle time; without what is flagged."""
    settings = load_settings(model_repository=model_repository, model_timeout_s=30)
    from service.jobs import flow as job
    from service.runtime.process import run_to_completion

    judge = None if all_events else DetectorName(detector)
    measured = run_to_completion(job.measure_files(paths, judge, settings, time_zone))
    window = job.window_of(measured.stays, begin, end)
    if out is not None:
        with out.open("w", encoding="utf-8", newline="") as file:
            job.write_csv(measured, file)
    job.write_tables(measured, window)


@_flow.command()
def validate(
    wip: Annotated[float, typer.Option(help="Items in work.")],
    throughput: Annotated[float, typer.Option(help="Items per day.")],
    cycle_time: Annotated[float, typer.Option(help="Days from in to out.")],
    tolerance: Annotated[float, typer.Option(help="Share by which they may be apart.")] = 0.02,
) -> None:
    """Check a plan by Little's law: WIP = throughput x cycle time. Fails if it does not hold, and says what would."""
    from service.flow.little import check_plan

    try:
        found = check_plan(wip, throughput, cycle_time, tolerance)
    except ValueError as error:
        raise CommandError(str(error)) from error
    if not found.holds:
        raise CommandError(
            f"WIP is {found.ratio:.3f} times throughput x cycle time, more than {tolerance:.1%} off: let WIP be"
            f" {found.wip:,.1f} items, or throughput {found.throughput_per_day:,.2f} per day, or the cycle time"
            f" {found.cycle_days:,.2f} days"
        )
    typer.echo(f"Holds: WIP is {found.ratio:.3f} times throughput x cycle time.")
