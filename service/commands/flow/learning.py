"""``flow train``, ``flow backtest``: which forecasts are good, and a version of the model of them."""

# ruff: noqa: PLC0415, PLR0913, PLR0917
# Parts are imported when the command is called, --help must be quick; and a command has one parameter per flag.

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.commands.flow.repository import JudgesOption, settings_of
from service.commands.options import DetectorChoice, OptionGroup, TimeZoneOption, need_train_extra, setting, spread
from service.detect.names import DetectorName
from service.errors import CommandError, SettingsError
from service.settings import load_settings

if TYPE_CHECKING:
    from service.gateway.flows import FlowRegister
    from training.flow.backtest import Backtest
    from training.flow.champion import Champion
    from training.flow.history import FlowHistory

app = typer.Typer()


@dataclass(frozen=True, slots=True)
class HistoryOptions(OptionGroup):
    """How raw files become a history."""

    detector: Annotated[DetectorChoice, typer.Option(help="What it flags is left out.")] = DetectorChoice.LSTM
    all_events: Annotated[bool, typer.Option("--all-events", help="Judge nothing: each scan counts.")] = False
    time_zone: TimeZoneOption = None
    model_repository: JudgesOption = None


@dataclass(frozen=True, slots=True)
class LearningOptions(OptionGroup):
    """Settings of `FlowConfig`, which has what is not given."""

    lstm_units_1: Annotated[int | None, typer.Option(help="Units of the first LSTM layer. [64]")] = None
    lstm_units_2: Annotated[int | None, typer.Option(help="Units of the second. [32]")] = None
    dropout_rate: Annotated[float | None, typer.Option(help="Share of the units left out in training. [0.2]")] = None
    sequence_length: Annotated[int | None, typer.Option(help="Days that the network sees. [10]")] = None
    epochs: Annotated[int | None, typer.Option(help="Epochs, at most. [50]")] = None
    batch_size: Annotated[int | None, typer.Option(help="Rows of a step. [32]")] = None
    learning_rate: Annotated[float | None, typer.Option(help="Of Adam. [0.001]")] = None
    patience: Annotated[int | None, typer.Option(help="Epochs without a better loss before it stops. [8]")] = None
    trees: Annotated[int | None, typer.Option(help="Boosted trees of each measure. [150]")] = None
    train_test_split: Annotated[float | None, typer.Option(help="Share of the days before the test. [0.8]")] = None
    seed: Annotated[int | None, typer.Option(help="Seed of everything random. [7]")] = None


HistoryArgument = Annotated[
    list[Path],
    typer.Argument(
        metavar="DIR|FILE", help="Raw scan files or folders of them, or one table of flow measure or flow generate."
    ),
]

PageOption = Annotated[Path | None, typer.Option("--html", help="Write the tables, with fan charts, to this page.")]


@app.command()
@spread
def train(
    paths: HistoryArgument,
    out: Annotated[Path, typer.Option(help="Folder for the run.")],
    of: HistoryOptions,
    learning: LearningOptions,
    repository: Annotated[
        Path | None, typer.Option(help="Model repository that gets the run as the next version of epc_flow.")
    ] = None,
    lifecycle: Annotated[
        Path | None,
        typer.Option(help="Folder of the log of promotions: the version becomes the champion if it passes the gate."),
    ] = None,
    trust: Annotated[str | None, setting("trust")] = None,
    sign: Annotated[Path | None, typer.Option(help="PEM file of the Ed25519 private key to sign it with.")] = None,
    html: PageOption = None,
) -> None:
    """Train forecasts of work in progress, throughput and cycle time; the best by backtest answers."""
    need_train_extra()
    from service.jobs.progress import shown_progress
    from service.model.signing import load_signing_key
    from training.flow.config import flow_config

    if lifecycle is not None and repository is None:
        raise SettingsError("--lifecycle needs --repository: the log is one of versions there")
    key = load_signing_key(sign) if sign else None  # before the long work
    config = flow_config(**asdict(learning))
    register = None if repository is None or lifecycle is None else _register(repository, lifecycle, trust)
    champion = None if register is None else _champion(register)
    history = _history(paths, of)
    from training.flow.train import train_flow

    with shown_progress() as progress:
        source = ", ".join(path.name for path in paths)
        _, found = train_flow(history, config, out, progress, source, champion)
    _show(found, html)
    if repository is not None:
        from export.flow import export_flow

        made = export_flow(out, repository, sign=key)
        typer.echo(f"exported to {made}")
        if register is not None:
            _promote(register, int(made.name))


def _register(repository: Path, lifecycle: Path, trust: str | None) -> FlowRegister:
    from service.gateway.flows import open_flow_register

    settings = load_settings(backend=f"onnx:{repository}", lifecycle=str(lifecycle), trust=trust)
    register = open_flow_register(settings)
    assert register is not None  # noqa: S101 - a folder is named
    return register


def _champion(register: FlowRegister) -> Champion | None:
    """Return the version that answers now, None before the first promotion or if it cannot be used any more."""
    from service.errors import ModelRepositoryError
    from service.flow.forecast.forecaster import FlowForecaster
    from training.flow.champion import Champion

    version = register.standing().champion
    if version is None:
        return None
    try:
        return Champion(FlowForecaster.load(register.repository, version, register.trust), register.digest(version))
    except ModelRepositoryError as error:
        typer.echo(f"the champion cannot be used, so the baselines alone decide: {error}", err=True)
        return None


def _promote(register: FlowRegister, version: int) -> None:
    """Make a version the champion; raises NotInThisState if it does not pass the gate: it stays without answering."""
    import getpass

    standing = register.promote(version, who=f"user:{getpass.getuser()}", why="trained, and passed the gate")
    typer.echo(f"epc_flow/{version} is the champion now (entry {standing.number} of the log)")


@app.command()
@spread
def backtest(paths: HistoryArgument, of: HistoryOptions, learning: LearningOptions, html: PageOption = None) -> None:
    """Compare all methods on the past: what would have answered, and how good it would have been."""
    need_train_extra()
    from service.jobs.progress import shown_progress
    from training.flow.config import flow_config

    config = flow_config(**asdict(learning))
    history = _history(paths, of)
    from training.flow.backtest import backtest as run

    with shown_progress() as progress:
        found = run(history, config, progress)
    _show(found, html)


def _history(paths: list[Path], options: HistoryOptions) -> FlowHistory:
    """Return what raw files, or one table of daily flow, tell.

    Raises:
        CommandError, SentinelError: they cannot be used.
    """
    from service.flow.series import FlowSeries
    from service.jobs import flow as job
    from service.runtime.process import run_to_completion
    from training.flow.history import FlowHistory
    from training.flow.items import ItemDays
    from training.flow.table import is_flow_table, read_table

    if len(paths) == 1 and is_flow_table(paths[0]):
        return FlowHistory(read_table(paths[0]))
    settings = settings_of(options.model_repository, model_timeout_s=30)
    judge = None if options.all_events else DetectorName(options.detector)
    measured = run_to_completion(job.measure_files(paths, judge, settings, options.time_zone))
    try:
        series = FlowSeries.from_flow(measured.flow)
    except ValueError:  # more days than are possible are refused before
        raise CommandError("no day of the data is complete: forecasts need two months of scans") from None
    return FlowHistory(series, ItemDays.of(measured.stays, measured.epc_codes, measured.raw.zones, series))


def _show(found: Backtest, html: Path | None) -> None:
    from training.evaluation.report import write_sheets
    from training.flow.report import sheets_of

    write_sheets(sheets_of(found))
    if html is not None:
        from training.flow.page import write_backtest

        write_backtest(found, html)
