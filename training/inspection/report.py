"""The ``inspect`` command: how good the data of a folder are, on the console and as one page of HTML."""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from jinja2 import Environment
from rich.table import Table
from rich.text import Text

from service.console import wide_console
from service.dialect.dialect import Dialect
from service.events.zones import SEOUL
from training.datasets.dataset import QUARANTINE, write_quarantine
from training.inspection import checks
from training.inspection.folder import Section, World
from training.inspection.plots import correlations, plots, strongest

_TEMPLATE = Path(__file__).parents[1] / "data" / "inspection.html"


@dataclass(frozen=True, slots=True, eq=False)
class Inspection:
    """What was found in a folder."""

    title: str
    summary: str
    warnings: tuple[str, ...]
    sections: list[Section]
    plots: dict[str, bytes]  # SVG by title


def inspect_folder(
    folder: Path, out: Path | None, now: datetime, time_zone: str = SEOUL, dialect: Dialect | None = None
) -> Inspection:
    """Inspect a data folder; with ``out`` also write the page, and beside it the rows that cannot be used.

    Raises:
        DataError: the folder cannot be used, see `training.datasets.dataset.load`.
    """
    world = World.of(folder, now, time_zone, dialect)
    table = correlations(world)
    sections = [
        *(check(world) for check in (checks.files, checks.completeness, checks.set_aside, checks.times)),
        *(check(world) for check in (checks.code_validity, checks.names, checks.journey_lengths, checks.places)),
        strongest(table),
    ]
    rows, every, epcs = len(world.rows), len(world.raw.rows), len(world.data.events.epc_codes)
    found = Inspection(
        title=f"Data quality of {folder}",
        summary=f"{rows:,} events of {epcs:,} EPCs in {len(world.raw.files)} files; {every - rows:,} rows set aside."
        f" {every:,} rows read in {world.seconds:.1f} s ({every / world.seconds:,.0f} rows/s).",
        warnings=tuple(map(_printable, world.data.warnings)),
        sections=[_printed(section) for section in sections],
        plots=plots(world, table) if out else {},
    )
    if out:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(_html(found), encoding="utf-8")
        write_quarantine(world.raw, out.with_name(QUARANTINE))
    return found


def write_inspection(found: Inspection) -> None:
    """Write the tables on stdout."""
    console = wide_console()
    for section in found.sections:
        if section.rows:
            table = Table(title=section.title, caption=section.note, title_justify="left", caption_justify="left")
            for name in section.columns:
                table.add_column(name, overflow="fold")
            for row in section.rows:
                table.add_row(*map(Text, row))
            console.print(table)
    for warning in found.warnings:
        console.print(Text(f"Warning: {warning}", style="yellow"))
    console.print(found.summary, highlight=False)


def _html(found: Inspection) -> str:
    template = Environment(autoescape=True).from_string(_TEMPLATE.read_text(encoding="utf-8"))
    images = {title: base64.b64encode(svg).decode() for title, svg in found.plots.items()}
    return template.render(found=found, images=images)


def _printed(section: Section) -> Section:
    return replace(section, rows=[tuple(map(_printable, row)) for row in section.rows])


def _printable(text: str) -> str:
    """Return text in which what would steer a terminal is an escape."""
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)
