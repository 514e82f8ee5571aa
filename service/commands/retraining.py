"""The commands of the loop: what people said of findings becomes a new model, if it is no worse than the one in use."""

# ruff: noqa: PLC0415, PLR0913, PLR0917
# Lazy imports: the gateway has none of these packages. And a command has one parameter per flag.

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from service.commands.options import need_train_extra
from service.jobs.progress import shown_progress

app = typer.Typer()


@app.command()
def compare(
    run_a: Annotated[Path, typer.Argument(help="Folder of the run in use.")],
    run_b: Annotated[Path, typer.Argument(help="Folder of the run that is to take its place.")],
    data: Annotated[
        Path, typer.Option(help="Folder of raw files whose truth is known; EPCs of either training do not count.")
    ],
    truth: Annotated[Path | None, typer.Option(help="Truth table; default: truth.parquet or .csv of --data.")] = None,
    resamples: Annotated[int, typer.Option(min=100, help="Resamples of the EPCs, for the intervals.")] = 1_000,
    out: Annotated[Path | None, typer.Option(metavar="FILE.json", help="Write all of it to this file, too.")] = None,
) -> None:
    """Compare two runs on the same events, and say whether the second may take the place of the first."""
    need_train_extra()
    from training.evaluation.report import write_sheets
    from training.retraining.compare import compare_runs, sheets, verdict

    with shown_progress() as progress:
        found = compare_runs(run_a, run_b, data, truth, progress, resamples)
    for notice in found.notices:
        typer.echo(notice)
    write_sheets(sheets(found))
    for line in verdict(found):
        typer.echo(line)
    if out is not None:
        out.write_text(json.dumps(found.to_json(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
