"""``replay``: raw scan files as a live stream."""

# ruff: noqa: PLC0415, PLR0913, PLR0917
# Parts are imported when the command is called, --help must be quick; and a command has one parameter per flag.

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from service.commands.options import (
    CaFileOption,
    CertFileOption,
    DetectorChoice,
    KeyFileOption,
    NetworkOption,
    TimeZoneOption,
    TokenFileOption,
    setting,
)
from service.detect.names import DetectorName
from service.events.vocabulary import OperatingPoint
from service.settings import load_settings

app = typer.Typer()


@app.command()
def replay(
    paths: Annotated[list[Path], typer.Argument(metavar="DIR|FILE", help="Raw scan files, or folders of them.")],
    target: Annotated[str, typer.Option(help="HOST:PORT of the gateway.")] = "127.0.0.1:50051",
    speed: Annotated[float, typer.Option(min=0, help="Times real time; 0 is as fast as possible.")] = 0,
    batch: Annotated[int, typer.Option(min=1, help="Events of a request, at most.")] = 50,
    streams: Annotated[int, typer.Option(min=1, max=256, help="Parallel streams; an EPC stays in one.")] = 1,
    limit_s: Annotated[float | None, typer.Option(min=0, help="Stop after so many seconds.")] = None,
    give_up_s: Annotated[float, typer.Option(min=0, help="Seconds to try again without any answer.")] = 60,
    detector: Annotated[DetectorChoice, typer.Option(help="What judges the events.")] = DetectorChoice.LSTM,
    operating_point: Annotated[
        OperatingPoint | None, typer.Option(help="How sure findings are; default: as the gateway is set.")
    ] = None,
    time_zone: TimeZoneOption = None,
    network: NetworkOption = None,
    model_repository: Annotated[str | None, setting("model_repository")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON, and nothing else.")] = False,
    ca_file: CaFileOption = None,
    cert_file: CertFileOption = None,
    key_file: KeyFileOption = None,
    token_file: TokenFileOption = None,
) -> None:
    """Play raw scan files as a live stream, in the order of time, and print findings as they come."""
    from service.client.access import access_by_files
    from service.jobs.replay import ReplayPlan
    from service.jobs.replay import replay as run
    from service.jobs.zones import site_dialect, site_zones

    access = access_by_files(ca_file, cert_file, key_file, token_file)
    settings = load_settings(model_repository=model_repository)
    zones, dialect = site_zones(time_zone, settings), site_dialect(network, settings)
    plan = ReplayPlan(
        target,
        DetectorName(detector),
        speed,
        batch,
        streams,
        limit_s,
        give_up_s,
        access,
        operating_point,
        zones,
        dialect,
    )
    run(paths, plan, as_json=as_json)
