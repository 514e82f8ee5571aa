"""``flow predict``, ``flow validate``, ``flow generate``: what will flow, whether a plan can be, and data to try."""

# ruff: noqa: PLC0415, PLR0913, PLR0917
# Parts are imported when the command is called, --help must be quick; and a command has one parameter per flag.

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.commands.flow.pages import FlowPageOption, LanguageOption, check_page
from service.commands.flow.repository import JudgesOption, settings_of
from service.commands.options import LanguageChoice, OptionGroup, setting, spread
from service.errors import CommandError

if TYPE_CHECKING:
    from service.pb.epcsentinel.v1.flow_pb2 import FlowServicePredictResponse

app = typer.Typer()


@dataclass(frozen=True, slots=True)
class QuestionOptions(OptionGroup):
    """What a forecast is about."""

    site: Annotated[str | None, typer.Option(help="Number of the location.")] = None
    step: Annotated[str | None, typer.Option(help="Such as WMS.")] = None
    product: Annotated[str | None, typer.Option(help="Code of the product.")] = None
    plant: Annotated[str | None, typer.Option(help="Name of the plant.")] = None
    application: Annotated[str | None, typer.Option(help="Name of the application.")] = None
    panel_size: Annotated[str | None, typer.Option(help="Name of the panel size.")] = None
    current_wip: Annotated[float | None, typer.Option(help="Items there now (default: those of the last day).")] = None
    planned_throughput: Annotated[float | None, typer.Option(help="Items per day that are to leave.")] = None
    prediction_days: Annotated[int | None, typer.Option(help="Days, 1 to 60. [30]")] = None


@app.command()
@spread
def predict(
    about: QuestionOptions,
    model: Annotated[
        str | None, typer.Option(help="Number of the flow model (default: the champion, else the newest).")
    ] = None,
    html: FlowPageOption = None,
    language: LanguageOption = LanguageChoice.ENGLISH,
    model_repository: JudgesOption = None,
    lifecycle: Annotated[str | None, setting("lifecycle")] = None,
) -> None:
    """Forecast work in progress, throughput and cycle time of the days after a model's history, with 90 % bands."""
    settings = settings_of(model_repository, lifecycle=lifecycle)
    check_page(html)
    from service.api.flow.forecasts import USUAL_DAYS
    from service.api.flow.forecasts import predict as answer_of
    from service.errors import InvalidRequest, NoSuchModel, NotInThisState, SettingsError
    from service.flow.forecast.question import FlowQuestion
    from service.gateway.flows import open_shelf
    from service.pb.epcsentinel.v1 import flow_pb2 as pb

    given = {name: value for name, value in asdict(about).items() if value is not None}
    try:
        FlowQuestion(
            current_wip=about.current_wip,
            planned_throughput=about.planned_throughput,
            days=USUAL_DAYS if about.prediction_days is None else about.prediction_days,
        ).check()  # 0 days, or more than the message holds, would be something else there
        request = pb.FlowServicePredictRequest(model_id=model or "", **given)
        answer = answer_of(open_shelf(settings), request)
    except InvalidRequest as error:
        names = {"model_id": "model", "days": "prediction_days"}
        lines = [f"--{names.get(field, field).replace('_', '-')} {text}" for field, text in error.violations]
        raise SettingsError("\n".join(lines)) from None
    except (NoSuchModel, NotInThisState) as error:
        raise CommandError(f"{settings.repository}: {str(error).removeprefix('model_id: ')}") from None
    _show_forecast(answer)
    if html is not None:
        from service.web.pages.flow.files import write_flow
        from service.web.pages.flow.forecast import forecast_page

        write_flow(html, language.value, forecast=forecast_page(request, answer))


def _show_forecast(answer: FlowServicePredictResponse) -> None:
    from rich.table import Table

    from service.console import wide_console

    table = Table("Day", "WIP", "90 %", "Throughput", "90 %", "Cycle h", "90 %", "Plan")
    for day in answer.days:
        cells: list[str] = []
        for one in (day.wip, day.throughput, day.cycle_time_h):
            cells += [f"{one.value:,.1f}", f"{one.lower:,.1f} .. {one.upper:,.1f}"]
        table.add_row(day.day, *cells, f"{day.feasibility:.0%}" if day.HasField("feasibility") else "")
    table.title = answer.model
    console = wide_console(highlight=False)
    console.print(table)
    for method in answer.methods:
        held = f"; the 90 % intervals held {method.coverage:.0%} there" if method.HasField("coverage") else ""
        gain = f"{abs(method.gain):.1%} {'above' if method.gain < 0 else 'below'}"
        console.print(
            f"{method.measure}: {method.method} answers; in the backtest its error is {gain} that of"
            f" {method.baseline}{held}"
        )
    for text in (*(one.text for one in answer.advice), *answer.warnings):
        console.print(text)


@app.command()
def validate(
    wip: Annotated[float, typer.Option(help="Items in work.")],
    throughput: Annotated[float, typer.Option(help="Items per day.")],
    cycle_time: Annotated[float, typer.Option(help="Days from in to out.")],
    tolerance: Annotated[float, typer.Option(help="Share by which they may be apart.")] = 0.02,
) -> None:
    """Check a plan by Little's law: WIP = throughput x cycle time. Fails if it does not hold, and says what would."""
    from service.api.flow.forecasts import validate as answer_of
    from service.errors import InvalidRequest, SettingsError
    from service.pb.epcsentinel.v1 import flow_pb2 as pb

    plan = {"wip": wip, "throughput": throughput, "cycle_time_days": cycle_time}
    try:
        found = answer_of(pb.FlowServiceValidateRequest(**plan, tolerance=tolerance))
    except InvalidRequest as error:
        names = {"cycle_time_days": "cycle-time"}
        raise SettingsError(
            "\n".join(f"--{names.get(field, field)} {text}" for field, text in error.violations)
        ) from None
    if not found.holds:
        raise CommandError(
            f"WIP is {found.ratio:.3f} times throughput x cycle time, more than {tolerance:.1%} off: let WIP be"
            f" {found.wip:,.1f} items, or throughput {found.throughput:,.2f} per day, or the cycle time"
            f" {found.cycle_time_days:,.2f} days"
        )
    typer.echo(f"Holds: WIP is {found.ratio:.3f} times throughput x cycle time.")


@app.command()
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
