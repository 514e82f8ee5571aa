"""The commands of the training side. Its packages are imported when a command is called: the gateway has none."""

# ruff: noqa: PLC0415, PLR0913, PLR0917
# Lazy imports as said above; and a command has one parameter per flag.
from __future__ import annotations

import getpass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.commands.options import (
    ConfigOption,
    DataOption,
    MoreDataOption,
    MoreTruthOption,
    NetworkOption,
    OtherNetworkOption,
    SitesZoneOption,
    TruthOption,
    more_folders,
    need_train_extra,
    setting,
)
from service.errors import CommandError
from service.events.zones import SEOUL
from service.jobs.progress import shown_progress, warn
from service.settings import load_settings

if TYPE_CHECKING:
    from training.finetuning.start import StartNetwork

app = typer.Typer()


@app.command()
def simulate(
    out: Annotated[Path, typer.Option(help="Folder for the files.")],
    epcs: Annotated[int, typer.Option(min=1, help="Number of EPCs.")] = 10_000,
    seed: Annotated[int, typer.Option(min=0, help="Seed; the same seed gives the same files.")] = 1,
    network: Annotated[
        int | None,
        typer.Option(min=0, help="Seed of a random network with places, lanes, codes and habits of its own."),
    ] = None,
) -> None:
    """Make a world of scan events with known anomalies, and the truth about them."""
    need_train_extra()
    from training.simulation.world import simulate as run

    with shown_progress() as progress:
        try:
            world = run(out, epcs, seed, progress, network)
        except ValueError as error:
            raise CommandError(str(error)) from None
    typer.echo(f"{world.events} events of {world.epcs} EPCs in {out}, {world.anomalous} of them anomalous")


@app.command()
def inspect(
    data: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of raw files and their masters.")],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE.html", help="Write the report, with plots, to this page.")
    ] = None,
    time_zone: SitesZoneOption = None,
    network: NetworkOption = None,
) -> None:
    """Report how good the data of a folder are: complete, consistent, valid, known."""
    need_train_extra()
    from service.dialect.load import load_dialect
    from training.inspection.report import inspect_folder, write_inspection

    dialect = load_dialect(network) if network else None
    write_inspection(inspect_folder(data, out, datetime.now(UTC), time_zone or SEOUL, dialect))


@app.command()
def train(
    data: DataOption,
    out: Annotated[Path, typer.Option(help="Folder for the run.")],
    truth: TruthOption = None,
    more_data: MoreDataOption = None,
    more_truth: MoreTruthOption = None,
    other_network: OtherNetworkOption = None,
    start: Annotated[
        Path | None,
        typer.Option(
            "--from", help="Model repository or run folder to start from; --truth may then be of some events."
        ),
    ] = None,
    config: ConfigOption = None,
    architecture: Annotated[str | None, typer.Option(help="bilstm, bilstm-attention, or lstm: the baseline.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs of 80,000 drawn sequences, at most. [24]")] = None,
    patience: Annotated[
        int | None, typer.Option(help="Epochs without a better validation AP before the training stops. [12]")
    ] = None,
    hidden: Annotated[int | None, typer.Option(help="Units of the LSTM per direction. [64]")] = None,
    layers: Annotated[int | None, typer.Option(help="Layers of the LSTM. [1]")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of everything random. [7]")] = None,
    false_positive_budget: Annotated[
        float | None, typer.Option(help="Share of the normal events that may be flagged, per kind. [0.01]")
    ] = None,
    miss_cost: Annotated[
        float | None, typer.Option(help="Cost of a missed anomaly; with --false-alarm-cost instead of the budget.")
    ] = None,
    false_alarm_cost: Annotated[float | None, typer.Option(help="Cost of a false alarm.")] = None,
    time_zone: SitesZoneOption = None,
    network: NetworkOption = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an unfinished training in --out.")] = False,
    folds: Annotated[
        int, typer.Option(min=1, max=7, help="Train on as many other splits too, and compare: folds.csv.")
    ] = 1,
) -> None:
    """Train the model, calibrate it, and measure it on held-out EPCs."""
    need_train_extra()
    from service.dialect.load import load_dialect

    folders = more_folders(more_data, more_truth)
    from training.evaluation.report import write_report
    from training.fitting.config import load_config
    from training.runs.folder import RUN_FILE
    from training.train import TrainOptions
    from training.train import train as run

    settings = load_config(
        config,
        architecture=architecture,
        epochs=epochs,
        patience=patience,
        hidden=hidden,
        layers=layers,
        seed=seed,
        false_positive_budget=false_positive_budget,
        miss_cost=miss_cost,
        false_alarm_cost=false_alarm_cost,
        time_zone=time_zone,
    )
    dialect = load_dialect(network) if network else None
    options = TrainOptions(
        folders, more_truth, tuple(other_network or ()), start_from(start, truth), resume, folds, dialect
    )
    if (out / RUN_FILE).is_file():
        warn([f"{out} has a finished run: this training takes its place when it ends; another --out keeps both"])
    with shown_progress() as progress:
        finished = run(data, truth, out, settings, progress, options)
    if finished.record.tuning is not None:
        tuning = finished.record.tuning
        typer.echo(f"{tuning.labelled_events:,} labelled events to learn from: {tuning.way}, from {tuning.start}")
        typer.echo(f"{tuning.share:.0%} of the tuned weights, the rest of the start: by labelled validation items")
    write_report(finished.record.metrics)


@app.command()
def evaluate(
    run: Annotated[
        Path,
        typer.Argument(help="Folder of a training run; with --causes a model repository will do, its newest version."),
    ],
    data: Annotated[
        Path | None,
        typer.Option(help="Other data than the run's held-out part; EPCs that the training had do not count."),
    ] = None,
    truth: Annotated[
        Path | None,
        typer.Option(help="Truth table; default: that of the training, or truth.parquet or .csv of --data."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the reports and the log; default: the run's.")] = None,
    with_baselines: Annotated[
        bool, typer.Option("--baselines/--no-baselines", help="Compare with LightGBM and one-class detectors.")
    ] = True,
    miss_cost: Annotated[float, typer.Option(min=0.0, help="Cost of a missed anomaly, in false alarms.")] = 10.0,
    unknown_codes: Annotated[str | None, setting("unknown_codes")] = None,
    causes: Annotated[
        bool,
        typer.Option(
            "--causes",
            help="Measure causes, incidents and the balanced point, of a simulated --data, and nothing else.",
        ),
    ] = False,
) -> None:
    """Measure a trained model on data with known truth, beside the rules and other detectors."""
    need_train_extra()
    from training.evaluation import report
    from training.evaluation.evaluate import EvaluateOptions
    from training.evaluation.evaluate import evaluate as measure

    options = EvaluateOptions(
        baselines=with_baselines,
        miss_cost=miss_cost,
        spares_unknown=load_settings(unknown_codes=unknown_codes).unknown_codes == "spared",
    )
    if causes:
        from training.evaluation.causes import measure_causes

        with shown_progress() as progress:
            tables = measure_causes(run, data, truth, options.seed, progress, spares_unknown=options.spares_unknown)
        report.write_sheets(tables)
        return
    with shown_progress() as progress:
        found = measure(run, data, truth, options, progress)
    report.write_console(found)
    report.write_files(found, out or run)


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="Folder of a training run.")],
    out: Annotated[Path, typer.Option(help="Model repository to add the version to.")],
    version: Annotated[int | None, typer.Option(min=1, help="Number of the version; default: the next one.")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Overwrite the version if it exists.")] = False,
    sign: Annotated[Path | None, typer.Option(help="PEM file of the Ed25519 private key to sign it with.")] = None,
    lifecycle: Annotated[
        Path | None, typer.Option(help="Folder of the log of promotions, where the version becomes the challenger.")
    ] = None,
) -> None:
    """Write a trained model as a version of a Triton model repository."""
    need_train_extra()
    from service.model.signing import load_signing_key

    key = load_signing_key(sign) if sign else None  # before the long work
    from export.run import export_run

    folder = export_run(run, out, version, replace=replace, sign=key)
    if lifecycle is not None:
        from service.commands.loop.retraining import make_challenger

        make_challenger(folder, lifecycle, f"user:{getpass.getuser()}", f"exported from {run.name}")
    typer.echo(f"exported to {folder}" + (f", the challenger of {lifecycle}" if lifecycle is not None else ""))


@app.command()
def points(
    repository: Annotated[Path, typer.Argument(help="Model repository, whose newest version is taken.")],
    data: Annotated[
        list[Path],
        typer.Option(
            exists=True,
            file_okay=False,
            help="Folder of raw files with their truth, which the training had not; several.",
        ),
    ],
    version: Annotated[int | None, typer.Option(min=1, help="Number of the version; default: the next one.")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Overwrite the version if it exists.")] = False,
    sign: Annotated[Path | None, typer.Option(help="PEM file of the Ed25519 private key to sign it with.")] = None,
) -> None:
    """Find the balanced and the precise point of a version anew, on data that its training never saw."""
    need_train_extra()
    from service.model.signing import load_signing_key

    key = load_signing_key(sign) if sign else None  # before the long work
    from export.points import set_points

    with shown_progress() as progress:
        folder = set_points(repository, data, progress, version, replace=replace, sign=key)
    typer.echo(f"points set in {folder}")


def start_from(folder: Path | None, truth: Path | None) -> StartNetwork | None:
    """Return the network to start from, None if none is named.

    Raises:
        CommandError: there are no labels to learn from.
    """
    if folder is None:
        return None
    if truth is None:
        raise CommandError("train --from learns from labels: name them with --truth; without any, use adopt")
    return network_of(folder)


def network_of(folder: Path) -> StartNetwork:
    """Return the network of a run folder or of a model repository.

    Raises:
        DataError: a run folder cannot be used.
        ModelRepositoryError: a repository cannot be used.
    """
    from training.finetuning.start import StartNetwork
    from training.runs.folder import RUN_FILE, Run

    if (folder / RUN_FILE).exists():
        return StartNetwork.of_run(Run.load(folder), str(folder))
    from export.from_onnx import start_of_model
    from service.features.table import feature_spec_hash
    from service.model.repository import load

    return start_of_model(load(folder, feature_spec_hash=feature_spec_hash()))
