"""``analyze``: raw scan files in, findings out."""

# ruff: noqa: PLC0415, PLR0913, PLR0917
# Parts are imported when the command is called, --help must be quick; and a command has one parameter per flag.

from __future__ import annotations

from importlib.util import find_spec
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
from service.errors import SettingsError
from service.settings import load_settings

app = typer.Typer()

_TOLD_IN_FULL = 60
"""Items of the page that have effects, those that the largest incidents begin with: a second of work."""


@app.command()
def analyze(
    files: Annotated[list[Path], typer.Argument(metavar="DIR|FILE", help="Raw scan files, or folders of them.")],
    target: Annotated[str | None, typer.Option(help="HOST:PORT of a running gateway; default: in process.")] = None,
    detector: Annotated[DetectorChoice, typer.Option(help="What judges the events.")] = DetectorChoice.LSTM,
    explain: Annotated[
        bool,
        typer.Option("--explain", help="Add cause and reason to --json and --csv; incidents have them."),
    ] = False,
    events: Annotated[bool, typer.Option("--events", help="List the flagged events, in place of incidents.")] = False,
    language: Annotated[LanguageChoice, typer.Option(help="Of the reasons.")] = LanguageChoice.ENGLISH,
    as_json: Annotated[bool, typer.Option("--json", help="Print an AnalyzeFilesResponse as JSON.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print a row per flagged event and kind.")] = False,
    html: Annotated[
        Path | None, typer.Option(help="Write a page about it as well: one file for a browser. Implies --explain.")
    ] = None,
    time_zone: TimeZoneOption = None,
    network: NetworkOption = None,
    backend: Annotated[str | None, setting("backend")] = None,
    model_repository: Annotated[str | None, setting("model_repository")] = None,
    model_version: Annotated[str | None, setting("model_version")] = None,
    operating_point: Annotated[str | None, setting("operating_point")] = None,
    costs: Annotated[str | None, setting("costs")] = None,
    unknown_codes: Annotated[str | None, setting("unknown_codes")] = None,
    fallback: Annotated[bool | None, setting("fallback", "--fallback/--no-fallback")] = None,
    max_events_per_request: Annotated[str | None, setting("max_events_per_request")] = None,
    ca_file: CaFileOption = None,
    cert_file: CertFileOption = None,
    key_file: KeyFileOption = None,
    token_file: TokenFileOption = None,
    cluster: Annotated[
        str | None, typer.Option(help="tcp://HOST:PORT of a Dask scheduler whose workers judge.")
    ] = None,
) -> None:
    """Find anomalies in raw scan files: a table on screen, or JSON or CSV."""
    if as_json and as_csv:
        raise SettingsError("--json and --csv exclude each other: give one of them")
    refuse_beside_target(target, backend=backend, costs=costs, unknown_codes=unknown_codes, fallback=fallback)
    if target and cluster:
        raise SettingsError("--target and --cluster exclude each other: one of them judges")
    if explain and cluster:
        raise SettingsError("--explain and --cluster exclude each other: the workers of a cluster give no reasons")
    explain = explain or html is not None
    if html and cluster:
        raise SettingsError("--html and --cluster exclude each other: the workers of a cluster give no reasons")
    if html and not html.parent.is_dir():
        raise SettingsError(f"--html is {str(html)!r}: no such folder as {html.parent}: make it first")
    if html and find_spec("jinja2") is None:
        raise SettingsError("--html needs the extra 'web': pip install 'epc-sentinel[web]'")
    settings = load_settings(
        backend=backend,
        model_repository=model_repository,
        model_version=model_version,
        operating_point=operating_point,
        costs=costs,
        unknown_codes=unknown_codes,
        fallback=fallback,
        max_events_per_request=max_events_per_request,
        model_timeout_s=30,  # nobody waits as a caller does: better late than by rules
    )
    from service.client.access import access_by_files
    from service.jobs import render
    from service.jobs.analyze import analyze_files
    from service.jobs.explain import explain_incidents
    from service.jobs.progress import warn
    from service.runtime.process import run_to_completion

    access = access_by_files(ca_file, cert_file, key_file, token_file)
    in_full = as_json or as_csv
    told = language.value if not cluster and (explain if in_full else html or not events) else None
    shown = None if in_full else render.MAX_TABLE_ROWS
    judge, of_effects = DetectorName(detector), _TOLD_IN_FULL if html else 0
    work = analyze_files(
        files,
        judge,
        target,
        settings,
        access,
        cluster,
        told,
        time_zone,
        network,
        of_incidents=shown,
        effects_of=of_effects,
    )
    raw, response, explained = run_to_completion(work)
    if html:
        from service.web.pages.atlas import Atlas
        from service.web.pages.one_file import write_one_file

        asked = (raw.events, response, judge, language.value, target, settings, access, network)
        explained = explained or run_to_completion(explain_incidents(*asked, of_incidents=of_effects))
        atlas = Atlas.at_hand(settings.repository, settings.model_version)
        write_one_file(html, raw, response, explained, atlas, language.value)
    if as_json:
        render.write_json(response)
    elif as_csv:
        render.write_csv(raw, response)
        warn(dict.fromkeys(answer.warning for answer in response.files if answer.warning))
    else:
        render.write_tables(raw, response, by_event=events or told is None)
