"""The console script ``epc-sentinel``. Parts are imported where a command needs them: --help must be quick."""

# ruff: noqa: PLC0415, PLR0913, PLR0917
# Lazy imports as said above; and a command has one parameter per flag.

from __future__ import annotations

import asyncio
import os
import sys
import traceback
from collections.abc import Coroutine
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from typer.exceptions import TyperException

from service import commands_studies, commands_training
from service.console import CommandError, SettingsError
from service.errors import SentinelError
from service.settings import Settings, load_settings

_T = TypeVar("_T")

app = typer.Typer(
    name="epc-sentinel",
    help="Finds forged, cloned, misplaced, misordered and mistimed barcode scans in a supply chain.",
    no_args_is_help=True,
    add_completion=False,
)


class DetectorChoice(StrEnum):
    """The detectors that ``analyze`` offers."""

    LSTM = "lstm"
    RULES = "rules"
    SVM = "svm"


CaFile = Annotated[Path | None, typer.Option(help="PEM file: authority of the gateway's certificate; default: no TLS.")]
CertFile = Annotated[Path | None, typer.Option(help="PEM file: own certificate, for a gateway that demands one.")]
KeyFile = Annotated[Path | None, typer.Option(help="PEM file: private key of --cert-file.")]
TokenFile = Annotated[Path | None, typer.Option(help="File with the bearer token.")]


def _flag(field: str, *names: str) -> Any:  # noqa: ANN401 - what typer takes as an option
    """Return the option of a setting; its value is checked by the settings, together with the variables."""
    setting = Settings.model_fields[field]
    default = "" if setting.default is None else f" (default: {str(setting.default).lower()})"
    return typer.Option(*names, help=f"{setting.description}{default}", show_default=False)


@app.callback()
def _all_commands(debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of failures.")] = False) -> None:
    """Read by `main`, which handles failures of all commands."""
    del debug


@app.command()
def serve(
    host: Annotated[str | None, _flag("host")] = None,
    port: Annotated[str | None, _flag("port")] = None,
    backend: Annotated[str | None, _flag("backend")] = None,
    model_repository: Annotated[str | None, _flag("model_repository")] = None,
    model_version: Annotated[str | None, _flag("model_version")] = None,
    canary_model_version: Annotated[str | None, _flag("canary_model_version")] = None,
    canary_percent: Annotated[str | None, _flag("canary_percent")] = None,
    fallback: Annotated[bool | None, _flag("fallback", "--fallback/--no-fallback")] = None,
    max_events_per_request: Annotated[str | None, _flag("max_events_per_request")] = None,
    max_events_in_flight: Annotated[str | None, _flag("max_events_in_flight")] = None,
    max_message_bytes: Annotated[str | None, _flag("max_message_bytes")] = None,
    drain_s: Annotated[str | None, _flag("drain_s")] = None,
    probe_interval_s: Annotated[str | None, _flag("probe_interval_s")] = None,
    log_format: Annotated[str | None, _flag("log_format")] = None,
    log_level: Annotated[str | None, _flag("log_level")] = None,
    onnx_threads: Annotated[str | None, _flag("onnx_threads")] = None,
    history: Annotated[str | None, _flag("history")] = None,
    history_ttl_s: Annotated[str | None, _flag("history_ttl_s")] = None,
    history_max_events: Annotated[str | None, _flag("history_max_events")] = None,
    history_timeout_s: Annotated[str | None, _flag("history_timeout_s")] = None,
    history_analyze: Annotated[bool | None, _flag("history_analyze", "--history-analyze/--no-history-analyze")] = None,
    metrics_port: Annotated[str | None, _flag("metrics_port")] = None,
    metrics_tls: Annotated[bool | None, _flag("metrics_tls", "--metrics-tls/--no-metrics-tls")] = None,
    drift_window: Annotated[str | None, _flag("drift_window")] = None,
    drift_reference: Annotated[str | None, _flag("drift_reference")] = None,
    audit_log: Annotated[str | None, _flag("audit_log")] = None,
    audit_max_bytes: Annotated[str | None, _flag("audit_max_bytes")] = None,
    detection_log: Annotated[str | None, _flag("detection_log")] = None,
    detection_log_max_bytes: Annotated[str | None, _flag("detection_log_max_bytes")] = None,
    tracing: Annotated[str | None, _flag("tracing")] = None,
    tracing_share: Annotated[str | None, _flag("tracing_share")] = None,
    trust: Annotated[str | None, _flag("trust")] = None,
    tls_cert: Annotated[str | None, _flag("tls_cert")] = None,
    tls_key: Annotated[str | None, _flag("tls_key")] = None,
    tls_client_ca: Annotated[str | None, _flag("tls_client_ca")] = None,
    health_port: Annotated[str | None, _flag("health_port")] = None,
    auth_keys: Annotated[str | None, _flag("auth_keys")] = None,
    auth_jwks: Annotated[str | None, _flag("auth_jwks")] = None,
    auth_issuer: Annotated[str | None, _flag("auth_issuer")] = None,
    auth_audience: Annotated[str | None, _flag("auth_audience")] = None,
    rate_limit_calls_per_s: Annotated[str | None, _flag("rate_limit_calls_per_s")] = None,
    rate_limit_events_per_s: Annotated[str | None, _flag("rate_limit_events_per_s")] = None,
    rate_limit_burst_s: Annotated[str | None, _flag("rate_limit_burst_s")] = None,
    max_calls: Annotated[str | None, _flag("max_calls")] = None,
    max_calls_per_caller: Annotated[str | None, _flag("max_calls_per_caller")] = None,
    max_streams: Annotated[str | None, _flag("max_streams")] = None,
    max_streams_per_caller: Annotated[str | None, _flag("max_streams_per_caller")] = None,
    max_stream_age_s: Annotated[str | None, _flag("max_stream_age_s")] = None,
    workers: Annotated[str | None, _flag("workers")] = None,
) -> None:
    """Serve the gRPC gateway. Every flag is also a variable: --log-format json is EPC_SENTINEL_LOG_FORMAT=json."""
    settings = load_settings(**locals())
    from service import logs

    logs.configure(settings.log_format, settings.log_level)
    if settings.workers > 1:
        from service.workers import serve_by_workers

        serve_by_workers(settings)
    else:
        from service import server

        _run(server.serve(settings))


@app.command()
def analyze(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Raw scan files, tab or comma separated.")],
    target: Annotated[str | None, typer.Option(help="HOST:PORT of a running gateway; default: in process.")] = None,
    detector: Annotated[DetectorChoice, typer.Option(help="What judges the events.")] = DetectorChoice.LSTM,
    as_json: Annotated[bool, typer.Option("--json", help="Print an AnalyzeFilesResponse as JSON.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print a row per flagged event and kind.")] = False,
    backend: Annotated[str | None, _flag("backend")] = None,
    model_repository: Annotated[str | None, _flag("model_repository")] = None,
    model_version: Annotated[str | None, _flag("model_version")] = None,
    fallback: Annotated[bool | None, _flag("fallback", "--fallback/--no-fallback")] = None,
    max_events_per_request: Annotated[str | None, _flag("max_events_per_request")] = None,
    ca_file: CaFile = None,
    cert_file: CertFile = None,
    key_file: KeyFile = None,
    token_file: TokenFile = None,
    cluster: Annotated[
        str | None, typer.Option(help="tcp://HOST:PORT of a Dask scheduler whose workers judge.")
    ] = None,
) -> None:
    """Find anomalies in raw scan files: a table on screen, or JSON or CSV."""
    if as_json and as_csv:
        raise SettingsError("--json and --csv exclude each other: give one of them")
    if target and backend:
        raise SettingsError("--target and --backend exclude each other: a running gateway has its own backend")
    if target and cluster:
        raise SettingsError("--target and --cluster exclude each other: one of them judges")
    settings = load_settings(
        backend=backend,
        model_repository=model_repository,
        model_version=model_version,
        fallback=fallback,
        max_events_per_request=max_events_per_request,
    )
    from service import render
    from service.access import access_by_files
    from service.analyze import analyze_files

    access = access_by_files(ca_file, cert_file, key_file, token_file)
    raw, response = _run(analyze_files(files, detector.value, target, settings, access, cluster))
    if as_json:
        render.write_json(response)
    elif as_csv:
        render.write_csv(raw, response)
    else:
        render.write_tables(raw, response)


@app.command()
def replay(
    paths: Annotated[list[Path], typer.Argument(metavar="DIR|FILE...", help="Raw scan files, or folders of them.")],
    target: Annotated[str, typer.Option(help="HOST:PORT of the gateway.")] = "127.0.0.1:50051",
    speed: Annotated[float, typer.Option(min=0, help="Times real time; 0 is as fast as possible.")] = 0,
    batch: Annotated[int, typer.Option(min=1, help="Events of a request, at most.")] = 50,
    streams: Annotated[int, typer.Option(min=1, max=256, help="Parallel streams; an EPC stays in one.")] = 1,
    limit_s: Annotated[float | None, typer.Option(min=0, help="Stop after so many seconds.")] = None,
    give_up_s: Annotated[float, typer.Option(min=0, help="Seconds to try again without any answer.")] = 60,
    detector: Annotated[DetectorChoice, typer.Option(help="What judges the events.")] = DetectorChoice.LSTM,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON, and nothing else.")] = False,
    ca_file: CaFile = None,
    cert_file: CertFile = None,
    key_file: KeyFile = None,
    token_file: TokenFile = None,
) -> None:
    """Play raw scan files as a live stream, in the order of time, and print findings as they come."""
    from service.access import access_by_files
    from service.replay import Plan
    from service.replay import replay as run

    access = access_by_files(ca_file, cert_file, key_file, token_file)
    run(paths, Plan(target, detector.value, speed, batch, streams, limit_s, give_up_s, access), as_json=as_json)


@app.command()
def verify(
    repository: Annotated[Path, typer.Argument(help="Folder of a Triton model repository.")],
    trust: Annotated[Path | None, _flag("trust")] = None,
) -> None:
    """Check that a model repository holds what was exported and signed, and nothing else, before Triton loads it."""
    from service.signing import load_trust
    from service.verify import verify as run

    found = run(repository, load_trust(trust) if trust else None)
    signed = f"signed by a key of {trust}" if trust else "signatures not asked for"
    typer.echo(f"{', '.join(found)} in {repository}: as exported; {signed}")


app.add_typer(commands_training.app)
app.add_typer(commands_studies.app)


def _run(work: Coroutine[Any, Any, _T]) -> _T:
    """Run to completion, on uvloop where it exists: it is the cheapest loop for grpc.aio."""
    if find_spec("uvloop") is None:
        return asyncio.run(work)
    import uvloop

    return uvloop.run(work)


def main() -> None:
    """Run a command. Whatever fails, the user gets one line and an exit code, and a traceback only with --debug."""
    # gRPC's C core writes lines of its own to stderr, amid JSON logs; what it reports there it also raises.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    # onnxruntime 1.29 and newer report home about every model unless told not to.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    try:
        code = app(standalone_mode=False)
    except (KeyboardInterrupt, typer.Abort):
        code = 130
    except BrokenPipeError:
        # The reader of stdout went away (| head). Nothing can be said there any more, not even at exit.
        sys.stdout = None
        code = 0
    except Exception as error:
        code = _fail(error)
    sys.exit(code)


def _fail(error: Exception) -> int:
    if "--debug" in sys.argv:
        traceback.print_exc()
    if isinstance(error, TyperException):
        message = error.format_message()  # empty where the help was printed instead
        text, code = f"{message} (see epc-sentinel COMMAND --help)" if message else "", error.exit_code
    elif isinstance(error, CommandError):
        text, code = str(error), error.exit_code
    elif isinstance(error, SentinelError):
        text, code = str(error), 1
    else:
        text, code = f"unexpected {type(error).__name__}: {error} (epc-sentinel --debug COMMAND shows where)", 1
    for line in text.splitlines():
        print(f"error: {line}", file=sys.stderr)
    return code


if __name__ == "__main__":
    main()
