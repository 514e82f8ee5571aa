"""``web``: HTTP for old callers and for people, in front of a gateway."""

# ruff: noqa: PLC0415, PLR0913, PLR0917
# Parts are imported when the command is called, --help must be quick; and a command has one parameter per flag.

from __future__ import annotations

from importlib.util import find_spec
from typing import Annotated, Any

import typer

from service.commands.options import setting
from service.errors import CommandError
from service.web.settings import WebSettings, load_web_settings

app = typer.Typer()


def _setting(field: str, *names: str) -> Any:  # noqa: ANN401 - what typer takes as an option
    return setting(field, *names, of=WebSettings)


@app.command()
def web(
    target: Annotated[str | None, _setting("target")] = None,
    host: Annotated[str | None, _setting("host")] = None,
    port: Annotated[str | None, _setting("port")] = None,
    store: Annotated[str | None, _setting("store")] = None,
    store_max_bytes: Annotated[str | None, _setting("store_max_bytes")] = None,
    store_max_days: Annotated[str | None, _setting("store_max_days")] = None,
    max_body_bytes: Annotated[str | None, _setting("max_body_bytes")] = None,
    uploads: Annotated[str | None, _setting("uploads")] = None,
    max_file_bytes: Annotated[str | None, _setting("max_file_bytes")] = None,
    piece_events: Annotated[str | None, _setting("piece_events")] = None,
    aliases: Annotated[str | None, _setting("aliases")] = None,
    locations: Annotated[str | None, _setting("locations")] = None,
    model_repository: Annotated[str | None, _setting("model_repository")] = None,
    metrics: Annotated[str | None, _setting("metrics")] = None,
    time_zone: Annotated[str | None, _setting("time_zone")] = None,
    log_format: Annotated[str | None, _setting("log_format")] = None,
    log_level: Annotated[str | None, _setting("log_level")] = None,
    auth_keys: Annotated[str | None, _setting("auth_keys")] = None,
    session_key: Annotated[str | None, _setting("session_key")] = None,
    tls_cert: Annotated[str | None, _setting("tls_cert")] = None,
    tls_key: Annotated[str | None, _setting("tls_key")] = None,
    ca_file: Annotated[str | None, _setting("ca_file")] = None,
    cert_file: Annotated[str | None, _setting("cert_file")] = None,
    key_file: Annotated[str | None, _setting("key_file")] = None,
    token_file: Annotated[str | None, _setting("token_file")] = None,
) -> None:
    """Serve the old HTTP paths, uploads and pages. A flag is also a variable: --port is EPC_SENTINEL_WEB_PORT."""
    settings = load_web_settings(**locals())
    if missing := [name for name in ("fastapi", "uvicorn", "jinja2", "duckdb") if find_spec(name) is None]:
        raise CommandError(f'this command needs {", ".join(missing)}: pip install "epc-sentinel[web]"')
    from service.monitoring import logs
    from service.web.serve import serve

    logs.configure(settings.log_format, settings.log_level)
    serve(settings)
