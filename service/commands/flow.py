"""``flow``: work in progress, throughput and cycle times of the same scans."""

# ruff: noqa: PLC0415, PLR0913, PLR0917
# Parts are imported when the command is called, --help must be quick; and a command has one parameter per flag.

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.commands.options import (
    DetectorChoice,
    LanguageChoice,
    OptionGroup,
    TimeZoneOption,
    need_train_extra,
    setting,
    spread,
)
from service.detect.names import DetectorName
from service.errors import CommandError
from service.settings import load_settings

if TYPE_CHECKING:
    from service.pb.epcsentinel.v1.flow_pb2 import FlowServicePredictResponse
    from training.flow.backtest import Backtest
    from training.flow.history import FlowHistory

app = typer.Typer()
_flow = typer.Typer(no_args_is_help=True, help="How items flow: work in progress, throughput, cycle time.")
app.add_typer(_flow, name="flow")


FlowPageOption = Annotated[Path | None, typer.Option("--html", help="Write a page about it as well, as one file.")]
LanguageOption = Annotated[LanguageChoice, typer.Option(help="Of the page.")]


@_flow.command()
def measure(
    paths: Annotated[list[Path], typer.Argument(metavar="DIR|FILE...", help="Raw scan files, or folders of them.")],
    out: Annotated[Path | None, typer.Option(help="CSV: a row per site, step, product and day.")] = None,
    begin: Annotated[datetime | None, typer.Option(help="Of the window of Little's law, UTC.")] = None,
    end: Annotated[datetime | None, typer.Option(help="Of the window of Little's law, UTC.")] = None,
    detector: Annotated[DetectorChoice, typer.Option(help="What it flags is left out.")] = DetectorChoice.LSTM,
    all_events: Annotated[bool, typer.Option("--all-events", help="Judge nothing: each scan counts.")] = False,
    html: FlowPageOption = None,
    language: LanguageOption = LanguageChoice.ENGLISH,
    time_zone: TimeZoneOption = None,
    model_repository: Annotated[str | None, setting("model_repository")] = None,
) -> None:
    """Measure work in progress, arrivals, departures, dwell and cycle time; without what is flagged."""
    settings = load_settings(model_repository=model_repository, model_timeout_s=30)
    _check_page(html)
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


@dataclass(frozen=True, slots=True)
class QuestionOptions(OptionGroup):
    """What a forecast is about."""

    site: Annotated[str | None, typer.Option(help="Number of the location.")] = None
    step: Annotated[str | None, typer.Option(help="Such as WMS.")] = None
    product: Annotated[str | None, typer.Option(help="Code of the product.")] = None
    plant: Annotated[str | None, typer.Option(help="Name of the plant.")] = None
    application: Annotated[str | None, typer.Option(help="Name of the application.")] = None
    panel_size: Annotated[str | None, typer.Option(help="Name of the panel size.")] = None
    current_wip: Annotated[float | None, typer.Option(help="Items there now. [those of the last day]")] = None
    planned_throughput: Annotated[float | None, typer.Option(help="Items per day that are to leave.")] = None
    prediction_days: Annotated[int | None, typer.Option(help="Days, 1 to 60. [30]")] = None


@_flow.command()
@spread
def predict(
    about: QuestionOptions,
    model: Annotated[str | None, typer.Option(help="Number of the flow model. [the newest]")] = None,
    html: FlowPageOption = None,
    language: LanguageOption = LanguageChoice.ENGLISH,
    model_repository: Annotated[str | None, setting("model_repository")] = None,
) -> None:
    """Forecast work in progress, throughput and cycle time of the days after a model's history, with 90 % bands."""
    settings = load_settings(model_repository=model_repository)
    repository = settings.repository if model_repository is None else settings.model_repository
    _check_page(html)
    from service.api.flow.forecasts import predict as answer_of
    from service.errors import InvalidRequest, SettingsError
    from service.flow.shelf import FlowShelf
    from service.model.signing import load_trust
    from service.pb.epcsentinel.v1 import flow_pb2 as pb

    given = {name: value for name, value in asdict(about).items() if value is not None}
    request = pb.FlowServicePredictRequest(model_id=model or "", **given)
    trust = load_trust(settings.trust) if settings.trust else None
    try:
        answer = answer_of(FlowShelf(repository, trust), request)
    except InvalidRequest as error:
        names = {"model_id": "model"}
        lines = [f"--{names.get(field, field).replace('_', '-')} {text}" for field, text in error.violations]
        raise SettingsError("\n".join(lines)) from None
    _show_forecast(answer)
    if html is not None:
        from service.web.pages.flow.files import write_flow
        from service.web.pages.flow.forecast import forecast_page

        write_flow(html, language.value, forecast=forecast_page(request, answer))


def _show_forecast(answer: FlowServicePredictResponse) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("Day", "WIP", "90 %", "Throughput", "90 %", "Cycle h", "90 %", "Plan")
    for day in answer.days:
        cells: list[str] = []
        for one in (day.wip, day.throughput, day.cycle_time_h):
            cells += [f"{one.value:,.1f}", f"{one.lower:,.1f} .. {one.upper:,.1f}"]
        table.add_row(day.day, *cells, f"{day.feasibility:.0%}" if day.HasField("feasibility") else "")
    table.title = answer.model
    console = Console(highlight=False)
    console.print(table)
    for method in answer.methods:
        console.print(
            f"{method.measure}: {method.method} answers; in the backtest its error is {method.gain:.1%} below that of"
            f" {method.baseline}"
        )
    for text in (*(one.text for one in answer.advice), *answer.warnings):
        console.print(text)


def _check_page(html: Path | None) -> None:
    from service.errors import SettingsError

    if html is not None and not html.parent.is_dir():
        raise SettingsError(f"--html is {str(html)!r}: no such folder as {html.parent}: make it first")
    if html is not None and find_spec("jinja2") is None:
        raise SettingsError("--html needs the extra 'web': pip install 'epc-sentinel[web]'")


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


@_flow.command()
def generate(
    out: Annotated[Path, typer.Option(help="CSV: a row per plant, application, panel size and day.")],
    plants: Annotated[str, typer.Option(help="Names, separated by commas.")] = "P1,P2",
    applications: Annotated[str, typer.Option(help="Names, separated by commas.")] = "TV,Monitor,Mobile",
    panel_sizes: Annotated[str, typer.Option(help="Names, separated by commas.")] = "32,55,65",
    historical_days: Annotated[int, typer.Option(help="Days, up to 31 December 2025.")] = 545,
    base_wip: Annotated[float, typer.Option(help="Items of a series, on average.")] = 100,
    base_throughput: Annotated[float, typer.Option(help="Items per day of a series, on average.")] = 50,
    seasonality: Annotated[float, typer.Option(help="Share by which the year moves the rate, 0 to 0.9.")] = 0.2,
    noise_level: Annotated[float, typer.Option(help="How rate and stay wander, 0 to 1.")] = 0.1,
    seed: Annotated[int, typer.Option(help="The same seed makes the same numbers.")] = 0,
) -> None:
    """Make daily flow of plants that do not exist, which obeys Little's law: to try models on."""
    from service.errors import InvalidRequest, SettingsError
    from service.flow.plants import PlantPlan, write_plants
    from service.flow.plants import generate as make

    plan = PlantPlan(
        plants=_listed(plants),
        applications=_listed(applications),
        panel_sizes=_listed(panel_sizes),
        historical_days=historical_days,
        base_wip=base_wip,
        base_throughput=base_throughput,
        seasonality=seasonality,
        noise_level=noise_level,
        seed=seed,
    )
    try:
        made = make(plan)
    except InvalidRequest as error:
        lines = [f"--{field.replace('_', '-')} {text}" for field, text in error.violations]
        raise SettingsError("\n".join(lines)) from None
    with out.open("w", encoding="utf-8", newline="") as file:
        write_plants(made, file)
    typer.echo(
        f"{out}: {len(made.names)} series of {len(made.day)} days; Little's law holds within"
        f" {made.law_error.max():.2%} over all of them."
    )


def _listed(text: str) -> list[str]:
    return [name.strip() for name in text.split(",")]


@dataclass(frozen=True, slots=True)
class HistoryOptions(OptionGroup):
    """How raw files become a history."""

    detector: Annotated[DetectorChoice, typer.Option(help="What it flags is left out.")] = DetectorChoice.LSTM
    all_events: Annotated[bool, typer.Option("--all-events", help="Judge nothing: each scan counts.")] = False
    time_zone: TimeZoneOption = None
    model_repository: Annotated[str | None, setting("model_repository")] = None


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
    trees: Annotated[int | None, typer.Option(help="Boosted trees of each measure. [150]")] = None
    train_test_split: Annotated[float | None, typer.Option(help="Share of the days before the test. [0.8]")] = None
    seed: Annotated[int | None, typer.Option(help="Seed of everything random. [7]")] = None


HistoryArgument = Annotated[
    list[Path],
    typer.Argument(
        metavar="DIR|FILE...", help="Raw scan files or folders of them, or one table of flow measure or flow generate."
    ),
]

PageOption = Annotated[Path | None, typer.Option("--html", help="Write the tables, with fan charts, to this page.")]


@_flow.command()
@spread
def train(
    paths: HistoryArgument,
    out: Annotated[Path, typer.Option(help="Folder for the run.")],
    of: HistoryOptions,
    learning: LearningOptions,
    repository: Annotated[
        Path | None, typer.Option(help="Model repository that gets the run as the next version of epc_flow.")
    ] = None,
    sign: Annotated[Path | None, typer.Option(help="PEM file of the Ed25519 private key to sign it with.")] = None,
    html: PageOption = None,
) -> None:
    """Train forecasts of work in progress, throughput and cycle time; the best by backtest answers."""
    need_train_extra()
    from service.jobs.progress import shown_progress
    from service.model.signing import load_signing_key
    from training.flow.config import flow_config

    key = load_signing_key(sign) if sign else None  # before the long work
    config = flow_config(**asdict(learning))
    history = _history(paths, of)
    from training.flow.train import train_flow

    with shown_progress() as progress:
        _, found = train_flow(history, config, out, progress, ", ".join(path.name for path in paths))
    _show(found, html)
    if repository is not None:
        from export.flow import export_flow

        typer.echo(f"exported to {export_flow(out, repository, sign=key)}")


@_flow.command()
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
    settings = load_settings(model_repository=options.model_repository, model_timeout_s=30)
    judge = None if options.all_events else DetectorName(options.detector)
    measured = run_to_completion(job.measure_files(paths, judge, settings, options.time_zone))
    try:
        series = FlowSeries.from_flow(measured.flow)
    except ValueError:
        raise CommandError("no day of the data is complete: forecasts need two months of scans") from None
    return FlowHistory(series, ItemDays.of(measured.stays, measured.epc_codes, measured.raw.zones, series))


def _show(found: Backtest, html: Path | None) -> None:
    from training.evaluation.report import write_sheets
    from training.flow.report import sheets_of

    write_sheets(sheets_of(found))
    if html is not None:
        from training.flow.page import write_backtest

        write_backtest(found, html)
