"""``flow measure``: what flowed."""

# ruff: noqa: PLC0415, PLR0913, PLR0917
# Parts are imported when the command is called, --help must be quick; and a command has one parameter per flag.

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from service.commands.flow.pages import FlowPageOption, LanguageOption, check_page
from service.commands.flow.repository import JudgesOption, settings_of
from service.commands.options import DetectorChoice, LanguageChoice, TimeZoneOption
from service.detect.names import DetectorName

app = typer.Typer()


@app.command()
def measure(
    paths: Annotated[list[Path], typer.Argument(metavar="DIR|FILE", help="Raw scan files, or folders of them.")],
    out: Annotated[Path | None, typer.Option(help="CSV: a row per site, step, product and day.")] = None,
    begin: Annotated[datetime | None, typer.Option(help="Of the window of Little's law, UTC.")] = None,
    end: Annotated[datetime | None, typer.Option(help="Of the window of Little's law, UTC.")] = None,
    detector: Annotated[DetectorChoice, typer.Option(help="What it flags is left out.")] = DetectorChoice.LSTM,
    all_events: Annotated[bool, typer.Option("--all-events", help="Judge nothing: each scan counts.")] = False,
    html: FlowPageOption = None,
    language: LanguageOption = LanguageChoice.ENGLISH,
    time_zone: TimeZoneOption = None,
    model_repository: JudgesOption = None,
) -> None:
    """Measure work in progress, arrivals, departures, dwell and cycle time; without what is flagged."""
    settings = settings_of(model_repository, model_timeout_s=30)
    check_page(html)
    from service.jobs import flow as job
    from service.runtime.process import run_to_completion

    judge = None if all_events else DetectorName(detector)
    measured = run_to_completion(job.measure_files(paths, judge, settings, time_zone, causes=True))
    window = job.window_of(measured.stays, begin, end)
    if out is not None:
        with out.open("w", encoding="utf-8", newline="") as file:
            job.write_csv(measured, file)
    if html is not None:
        from service.web.pages.atlas import Atlas
        from service.web.pages.flow.files import write_flow
        from service.web.pages.flow.measured import flow_page

        raw = measured.raw
        page = flow_page(
            ", ".join(path.name for path in paths), raw.events, measured.counts, measured.stalled, places=raw.places,
            atlas=Atlas.at_hand(settings.repository, None), zones=raw.zones,
        )  # fmt: skip
        write_flow(html, language.value, flow=page)
    job.write_tables(measured, window)
