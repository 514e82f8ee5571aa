"""The commands that study data and settings with many trainings, and end in a table or a better configuration."""

# ruff: noqa: PLC0415, PLR0913, PLR0917
# Lazy imports: the gateway has none of these packages. And a command has one parameter per flag.

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from service.commands.options import (
    ConfigOption,
    DataOption,
    MoreDataOption,
    MoreTruthOption,
    TruthOption,
    more_folders,
    need_train_extra,
)
from service.commands.training import network_of
from service.jobs.progress import shown_progress

app = typer.Typer()


class StudyChoice(StrEnum):
    """The studies that ``study`` offers."""

    ROBUSTNESS = "robustness"  # flipped labels, missing scans, wrong clocks, an unseen location and product
    LENGTHS = "lengths"  # autocorrelation, and validation AP by the longest window
    FRONTIER = "frontier"  # macro AP against cost per event, by size of the network; goes on where it was stopped
    REDUNDANCY = "redundancy"  # VIF, correlation, permutation importance, t-SNE
    TRANSFER = "transfer"  # another network: as it is, adopted, tuned on few labels, trained on all
    COLDSTART = "coldstart"  # first events of an item, alone, with what its siblings did, and with the nearest journeys


@app.command()
def tune(
    data: DataOption,
    out: Annotated[Path, typer.Option(help="Folder for config.json (for train --config) and trials.csv.")],
    truth: TruthOption = None,
    more_data: MoreDataOption = None,
    more_truth: MoreTruthOption = None,
    config: ConfigOption = None,
    trials: Annotated[int, typer.Option(min=1, help="Trainings, at most; the first is with --config as it is.")] = 30,
    seconds: Annotated[float | None, typer.Option(min=0, help="Start no training after as many seconds.")] = None,
) -> None:
    """Search for better training settings: highest validation AP."""
    need_train_extra()
    folders = more_folders(more_data, more_truth)
    from dataclasses import replace

    from training.fitting.config import load_config
    from training.fitting.search import CONFIG_FILE, Budget
    from training.fitting.search import tune as run
    from training.samples import labelled_data

    settings = load_config(config)
    with shown_progress() as progress:
        progress("reading the data", 0.0)
        *_, labelled = labelled_data.load(data, truth, settings.max_length, time_zone=settings.time_zone)
        others = [labelled_data.load_strangers(folder, more_truth, data, labelled.masters)[0] for folder in folders]
        labelled = replace(labelled, strangers=tuple(others))
        study = run(labelled, out, settings, Budget(trials, seconds), progress)
    typer.echo(
        f"validation AP {study.best_value:.4f} after {len(study.trials)} trials, settings in {out / CONFIG_FILE}"
    )


@app.command()
def study(
    name: Annotated[StudyChoice, typer.Argument(help="The question to study.")],
    data: DataOption,
    out: Annotated[Path, typer.Option(help="Folder for tables and plots.")],
    truth: TruthOption = None,
    config: ConfigOption = None,
    start: Annotated[
        Path, typer.Option("--from", help="Model repository or run folder whose network transfer starts from.")
    ] = Path("model_repository"),
) -> None:
    """Study the model on your data: robustness, lengths, redundancy, cost and quality, cold start, or transfer."""
    need_train_extra()
    from export.frontier import study_frontier
    from training.evaluation.report import write_sheets
    from training.fitting.config import load_config
    from training.samples import labelled_data
    from training.studies.menu import study as run
    from training.studies.transfer import study_transfer

    settings = load_config(config)
    with shown_progress() as progress:
        progress("reading the data", 0.0)
        *_, labelled = labelled_data.load(data, truth, settings.max_length, time_zone=settings.time_zone)
        if name is StudyChoice.FRONTIER:
            sheets = study_frontier(labelled, settings, out, progress)
        elif name is StudyChoice.TRANSFER:
            sheets = study_transfer(labelled, network_of(start), settings, out, progress)
        else:
            sheets = run(name.value, labelled, settings, out, progress)
    write_sheets(sheets)
    typer.echo(f"tables and plots in {out}")
