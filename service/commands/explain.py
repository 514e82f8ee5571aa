"""``explain``: why one event of a raw scan file got its scores."""

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
    LanguageChoice,
    NetworkOption,
    TimeZoneOption,
    TokenFileOption,
    refuse_beside_target,
    setting,
)
from service.detect.names import DetectorName
from service.settings import load_settings

app = typer.Typer()


@app.command()
def explain(
    file: Annotated[Path, typer.Argument(help="Raw scan file, separated by tab, comma or semicolon.")],
    event_id: Annotated[int, typer.Option(help="The event: its event_id, or its row from 1 where the file has none.")],
    target: Annotated[str | None, typer.Option(help="HOST:PORT of a running gateway; default: in process.")] = None,
    detector: Annotated[DetectorChoice, typer.Option(help="What judges the events.")] = DetectorChoice.LSTM,
    language: Annotated[LanguageChoice, typer.Option(help="Of the reasons.")] = LanguageChoice.ENGLISH,
    as_json: Annotated[bool, typer.Option("--json", help="Print an ExplainResponse as JSON.")] = False,
    time_zone: TimeZoneOption = None,
    network: NetworkOption = None,
    backend: Annotated[str | None, setting("backend")] = None,
    model_repository: Annotated[str | None, setting("model_repository")] = None,
    model_version: Annotated[str | None, setting("model_version")] = None,
    operating_point: Annotated[str | None, setting("operating_point")] = None,
    costs: Annotated[str | None, setting("costs")] = None,
    unknown_codes: Annotated[str | None, setting("unknown_codes")] = None,
    fallback: Annotated[bool | None, setting("fallback", "--fallback/--no-fallback")] = None,
    ca_file: CaFileOption = None,
    cert_file: CertFileOption = None,
    key_file: KeyFileOption = None,
    token_file: TokenFileOption = None,
) -> None:
    """Say why an event got its scores: its journey, causes in a sentence, and what moved the score most."""
    refuse_beside_target(target, backend=backend, costs=costs, unknown_codes=unknown_codes, fallback=fallback)
    settings = load_settings(
        backend=backend,
        model_repository=model_repository,
        model_version=model_version,
        operating_point=operating_point,
        costs=costs,
        unknown_codes=unknown_codes,
        fallback=fallback,
        model_timeout_s=30,
    )
    from service.client.access import access_by_files
    from service.jobs import draw
    from service.jobs.explain import explain_event
    from service.jobs.render import write_json
    from service.runtime.process import run_to_completion

    access = access_by_files(ca_file, cert_file, key_file, token_file)
    work = explain_event(file, event_id, DetectorName(detector), language, target, settings, access, time_zone, network)
    raw, response = run_to_completion(work)
    if as_json:
        write_json(response)
    else:
        draw.write_explanation(raw, response)
