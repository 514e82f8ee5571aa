"""The commands of the training side. Its packages are imported when a command is called: the gateway has none."""

# ruff: noqa: PLC0415, PLR0913, PLR0917
# Lazy imports as said above; and a command has one parameter per flag.

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from service.console import CommandError, need_train_extra, stages

app = typer.Typer()

_BENCH_EPCS, _BENCH_SEED = 20_000, 9
Data = Annotated[Path, typer.Option(help="Folder of raw CSV files, locations.csv and transitions.csv.")]
Truth = Annotated[Path | None, typer.Option(help="Truth table (csv or parquet); default: the rules label.")]
MoreData = Annotated[
    Path | None, typer.Option(help="Another labelled folder, only learned from: a later period, another site.")
]
MoreTruth = Annotated[
    Path | None, typer.Option(help="Truth table of --more-data; default: its truth.parquet or .csv, or the rules.")
]
Config = Annotated[Path | None, typer.Option(help="JSON file of training settings; flags win over it.")]


@app.command()
def simulate(
    out: Annotated[Path, typer.Option(help="Folder for the files.")],
    epcs: Annotated[int, typer.Option(min=1, help="Number of EPCs.")] = 10_000,
    seed: Annotated[int, typer.Option(min=0, help="Seed; the same seed gives the same files.")] = 1,
) -> None:
    """Make a world of scan events with known anomalies, and the truth about them."""
    need_train_extra()
    from training.simulate import simulate as run

    with stages() as stage:
        try:
            world = run(out, epcs, seed, stage)
        except ValueError as error:
            raise CommandError(str(error)) from None
    typer.echo(f"{world.events} events of {world.epcs} EPCs in {out}, {world.anomalous} of them anomalous")


@app.command()
def inspect(
    data: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of raw files and their masters.")],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE.html", help="Write the report, with plots, to this page.")
    ] = None,
) -> None:
    """Report how good the data of a folder are: complete, consistent, valid, known."""
    need_train_extra()
    from training.inspection import inspect_folder, write_inspection

    write_inspection(inspect_folder(data, out, datetime.now(UTC)))


def check_more(data: Path | None, truth: Path | None) -> None:
    """Raise BadParameter if there is a truth without the data that it is of."""
    if truth is not None and data is None:
        raise typer.BadParameter("--more-truth is of --more-data, which is missing; name its folder")


@app.command()
def train(
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder for the run.")],
    truth: Truth = None,
    more_data: MoreData = None,
    more_truth: MoreTruth = None,
    config: Config = None,
    architecture: Annotated[str | None, typer.Option(help="bilstm, bilstm-attention, or lstm: the baseline.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs of 80,000 drawn sequences, at most. [24]")] = None,
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
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an unfinished training in --out.")] = False,
    folds: Annotated[
        int, typer.Option(min=1, max=7, help="Train on as many other splits too, and compare: folds.csv.")
    ] = 1,
) -> None:
    """Train the model, calibrate it, and measure it on held-out EPCs."""
    need_train_extra()
    check_more(more_data, more_truth)
    from training.config import load_config
    from training.report import write_report
    from training.train import Options
    from training.train import train as run

    settings = load_config(
        config,
        architecture=architecture,
        epochs=epochs,
        hidden=hidden,
        layers=layers,
        seed=seed,
        false_positive_budget=false_positive_budget,
        miss_cost=miss_cost,
        false_alarm_cost=false_alarm_cost,
    )
    with stages() as stage:
        finished = run(data, truth, out, settings, stage, Options(more_data, more_truth, resume, folds))
    write_report(finished.record["metrics"])


@app.command()
def evaluate(
    run: Annotated[Path, typer.Argument(help="Folder of a training run.")],
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
) -> None:
    """Measure a trained model on data with known truth, beside the rules and other detectors."""
    need_train_extra()
    from training import report
    from training.evaluate import Options
    from training.evaluate import evaluate as measure

    with stages() as stage:
        found = measure(run, data, truth, Options(baselines=with_baselines, miss_cost=miss_cost), stage)
    report.write_console(found)
    report.write_files(found, out or run)


@app.command()
def export(
    run: Annotated[Path, typer.Argument(help="Folder of a training run.")],
    out: Annotated[Path, typer.Option(help="Model repository to add the version to.")],
    version: Annotated[int | None, typer.Option(min=1, help="Number of the version; default: the next one.")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Overwrite the version if it exists.")] = False,
    sign: Annotated[Path | None, typer.Option(help="PEM file of the Ed25519 private key to sign it with.")] = None,
) -> None:
    """Write a trained model as a version of a Triton model repository."""
    need_train_extra()
    from service.signing import load_signing_key

    key = load_signing_key(sign) if sign else None  # before the long work
    from export.run import export_run

    folder = export_run(run, out, version, replace=replace, sign=key)
    typer.echo(f"exported to {folder}")


@app.command()
def bench(
    data: Annotated[
        Path | None, typer.Option(help="Raw scan file to make the requests of; default: a simulated one.")
    ] = None,
    triton: Annotated[str | None, typer.Option(help="Measure a gateway on this triton://HOST:PORT too.")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="How often everything is measured; medians are shown.")] = 3,
    seconds: Annotated[float, typer.Option(min=0.1, help="Seconds of load per round, size and concurrency.")] = 2.0,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all numbers to this file too.")] = None,
) -> None:
    """Measure the gateway under load, beside the limits of this machine."""
    import json

    import uvloop  # the loop of the gateway: what the load costs is taken off the same cores

    from service import bench as benchmark
    from service.bench_tables import write_tables
    from service.rawcsv import read_files
    from service.settings import load_settings

    with stages() as stage, TemporaryDirectory() as folder:
        if data is None:
            need_train_extra()
            from training.simulate import simulate as make_world

            make_world(Path(folder), _BENCH_EPCS, _BENCH_SEED)
        events = read_files([data or Path(folder) / "icn.csv"]).events
        plan = benchmark.Plan(rounds, seconds, triton)
        report = uvloop.run(benchmark.run(events, load_settings(), plan, stage))
    write_tables(report)
    if json_file:
        json_file.write_text(json.dumps(report.to_json(), indent=1) + "\n", encoding="utf-8")
