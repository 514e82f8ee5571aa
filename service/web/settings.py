"""Settings of ``epc-sentinel web``: flags win over EPC_SENTINEL_WEB_* variables, which win over the defaults."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from service.environment import WEB_PREFIX, unknown_variables
from service.errors import SettingsError, in_words
from service.events.zones import SEOUL, is_zone
from service.settings import flag_name, without_password


class WebSettings(BaseSettings):
    """Every setting of ``web``; the descriptions are the help texts of the flags and the hints of error messages."""

    model_config = SettingsConfigDict(env_prefix=WEB_PREFIX, extra="forbid", frozen=True)

    target: str = Field("127.0.0.1:50051", min_length=1, description="HOST:PORT of the gateway that judges")
    host: str = Field("127.0.0.1", min_length=1, description="address to listen on, 0.0.0.0 for all interfaces")
    port: int = Field(8000, ge=0, le=65535, description="TCP port to listen on, 1 to 65535, or 0 for any free one")
    store: str = Field(
        "findings",
        min_length=1,
        description="where findings are kept: a folder, or postgresql://USER:PASSWORD@HOST:PORT/DATABASE for several"
        " replicas",
    )
    store_max_bytes: int = Field(
        10 * 2**30, ge=2**20, description="bytes of all findings before the oldest days go, from 1048576"
    )
    store_max_days: int = Field(400, ge=1, le=36_500, description="days that findings are kept, 1 to 36500")
    max_body_bytes: int = Field(
        32 * 2**20, ge=1024, le=2**31 - 1, description="bytes of a JSON request, 1024 to 2147483647"
    )
    uploads: Path = Field(
        Path("uploads"), description="folder of files that are being analysed; after a restart the work goes on there"
    )
    max_file_bytes: int = Field(
        2**30, ge=1024, le=2**40, description="bytes of an uploaded file, packed and unpacked, 1024 to 1099511627776"
    )
    piece_events: int = Field(
        50_000, ge=1, le=50_000, description="events of a file that the gateway judges at once, 1 to 50000"
    )
    aliases: Path | None = Field(
        None, description="TOML file: words of old callers and what they mean; default: the bundled table"
    )
    locations: Path | None = Field(
        None, description="CSV file with location_id and scan_location: names of places; default: the bundled master"
    )
    model_repository: Path = Field(
        Path("model_repository"),
        description="folder of the gateway's model: pages show its places and usual times; without it they do not",
    )
    metrics: str | None = Field(
        None, description="http://HOST:PORT/metrics of the gateway, which the page of its health reads"
    )
    time_zone: str = Field(SEOUL, description="zone of times without one: what the clocks of the sites show")
    log_format: Literal["console", "json"] = Field("console", description="console or json")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="debug, info, warning or error")
    auth_keys: Path | None = Field(
        None,
        description="TOML file of hashed keys as the gateway's: callers send a bearer token, people log in; default:"
        " everybody may come in",
    )
    session_key: Path | None = Field(
        None, description="file of 32 random bytes or more that signs sessions, the same for all replicas"
    )
    tls_cert: Path | None = Field(None, description="PEM file of the server's certificate and its chain: serves HTTPS")
    tls_key: Path | None = Field(None, description="PEM file of the private key of --tls-cert, without a password")
    ca_file: Path | None = Field(None, description="PEM file: authority of the gateway's certificate; default: no TLS")
    cert_file: Path | None = Field(None, description="PEM file: own certificate, for a gateway that demands one")
    key_file: Path | None = Field(None, description="PEM file: private key of --cert-file")
    token_file: Path | None = Field(None, description="file with the bearer token for the gateway")

    @field_validator("metrics")
    @classmethod
    def _check_metrics(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            raise ValueError("no address; it takes one such as http://127.0.0.1:9464/metrics")
        return value

    @field_validator("time_zone")
    @classmethod
    def _check_zone(cls, value: str) -> str:
        if not is_zone(value):
            raise ValueError(f"no time zone; it takes one such as {SEOUL}")
        return value


def load_web_settings(**flags: Any) -> WebSettings:  # noqa: ANN401 - values of any type, checked right here
    """Return the settings; flags that are None are not given.

    Raises:
        SettingsError: one line per bad value, and one per variable that is no setting.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    unknown = unknown_variables(os.environ, WebSettings.model_fields, WEB_PREFIX, "web")
    try:
        settings = WebSettings(**given)
    except ValidationError as error:
        lines = [_explain(str(problem["loc"][0]), problem["msg"], given) for problem in error.errors()]
        raise SettingsError("\n".join([*lines, *unknown])) from None
    if unknown:
        raise SettingsError("\n".join(unknown))
    for name, other in _TOGETHER:
        if getattr(settings, name) is not None and getattr(settings, other) is None:
            about = WebSettings.model_fields[other].description
            raise SettingsError(f"{flag_name(name)} needs {flag_name(other)}: {about}")
    return settings


_TOGETHER = (("tls_cert", "tls_key"), ("tls_key", "tls_cert"), ("session_key", "auth_keys"))


def _explain(name: str, message: str, given: dict[str, Any]) -> str:
    variable = WEB_PREFIX + name.upper()
    source, value = (flag_name(name), given[name]) if name in given else (variable, os.environ.get(variable, ""))
    about = WebSettings.model_fields[name].description
    return f"{source} is {without_password(str(value))!r}: {in_words(message)}. Meaning: {about}"
