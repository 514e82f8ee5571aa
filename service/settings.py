"""Settings of the gateway: flags win over EPC_SENTINEL_* variables, which win over the defaults."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from service.environment import ENV_PREFIX, is_service_link, unknown_variables
from service.errors import SettingsError, in_words
from service.events.vocabulary import KINDS, OperatingPoint

STDOUT = Path("-")
"""The audit log that is no file: standard output has nothing else, the service log is on standard error."""

PROVIDERS = {"cuda": "CUDAExecutionProvider", "cpu": "CPUExecutionProvider"}
"""What can run the embedded model: onnxruntime's names by ours."""

_HISTORY_URL = re.compile(r"(valkeys?|rediss?)://\S+")
HISTORY_URL_FORM = (
    "which is valkey://USER:PASSWORD@HOST:PORT/DATABASE; write # ? / @ : of a password as %23 %3F %2F %40 %3A"
)
_COST = re.compile(r"(?P<kind>\w+)=(?P<miss>[0-9]{1,9}(\.[0-9]{1,9})?):(?P<alarm>[0-9]{1,9}(\.[0-9]{1,9})?)")
_NO_SECRET = re.compile(r"[^:/@?#]*|(\w+:)?(//)?([\w.-]*|\[[0-9a-fA-F:.]*\])(:\d*)?(/[\w.-]*)*")
_URL = re.compile(r"(\w+:/|valkeys?:|rediss?:)[^\s'\"()]*")
_SCHEME = re.compile(r"(onnx|triton|valkeys?|rediss?|https?|tcp):/*")
_TRITON_URL = re.compile(r"triton://(?P<address>(?:[^/\s:\[\]]+|\[[0-9a-fA-F:.]+\]):[0-9]{1,5})/?")


@dataclass(frozen=True, slots=True)
class OnnxTarget:
    """Run the model in this process, from a model repository."""

    repository: Path


@dataclass(frozen=True, slots=True)
class TritonTarget:
    """Run the model on a Triton server."""

    address: str  # HOST:PORT of its gRPC endpoint


class Settings(BaseSettings):
    """Every setting of ``serve``; the descriptions are the help texts of the flags and the hints of error messages."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, extra="forbid", frozen=True)

    host: str = Field(
        "127.0.0.1", min_length=1, description="address to listen on, 0.0.0.0 for all interfaces, :: for IPv6 too"
    )
    port: int = Field(50051, ge=0, le=65535, description="TCP port to listen on, 1 to 65535, or 0 for any free one")
    backend: str = Field(
        "onnx:model_repository", description="where the model runs: onnx:REPOSITORY in process, or triton://HOST:PORT"
    )
    model_repository: Path = Field(
        Path("model_repository"),
        description="folder of the models: they run in process, or with a backend that is a triton, there, and their"
        " manifests are read here",
    )
    model_version: int | None = Field(None, ge=1, description="version of the model, a whole number; default: newest")
    triton_control: Literal["none", "explicit"] = Field(
        "none",
        description="who says what a Triton loads: none (itself), or explicit (this gateway: each version under a name"
        " of its own, on a server with --model-control-mode=explicit)",
    )
    triton_config: str = Field(
        "",
        pattern=r"^[A-Za-z0-9_-]*$",
        description="file of configs/ that says how a Triton runs versions it is told to load; default: config.pbtxt",
    )
    canary_model_version: int | None = Field(
        None, ge=1, description="version of the model that judges a share of the files beside --model-version"
    )
    canary_percent: float = Field(10.0, ge=0, le=100, description="share of the files of the canary model, 0 to 100")
    operating_point: OperatingPoint = Field(
        OperatingPoint.BALANCED,
        description="how sure findings are when a request does not say: precise (few false alarms), balanced (best F1)"
        " or sensitive (few misses)",
    )
    costs: str = Field(
        "",
        description="cost of a miss and of a false alarm by kind, such as epcFake=10:1,jump=2:1; these kinds are"
        " flagged where that costs less, in the place of the operating point, when a request does not say",
    )
    unknown_codes: Literal["spared", "flagged"] = Field(
        "spared",
        description="what codes of unknown products are where most codes are so, in somebody else's network: spared, no"
        " epcFake for that alone, or flagged",
    )
    event_times: Literal["instant", "wall-clock"] = Field(
        "instant",
        description="what event_time is: instant, or wall-clock for callers who send the local time of the site as UTC",
    )
    fallback: bool = Field(True, description="let the rules answer when the model cannot: true or false")
    max_events_per_request: int = Field(50_000, ge=1, description="the most events of one request, from 1")
    max_events_in_flight: int = Field(
        400_000, ge=1, description="the most events of all calls at one time, from 1; calls with more are refused"
    )
    max_message_bytes: int = Field(
        32 * 1024 * 1024, ge=1024, le=2**31 - 1, description="the largest request in bytes, 1024 to 2147483647"
    )
    drain_s: float = Field(10.0, ge=0, le=3600, description="seconds that running calls get on SIGTERM, 0 to 3600")
    model_timeout_s: float = Field(
        1.5, gt=0, le=30, description="seconds that a model server gets for an inference call before rules answer"
    )
    probe_interval_s: float = Field(3.0, gt=0, le=3600, description="seconds between probes of the model, up to 3600")
    log_format: Literal["console", "json"] = Field("console", description="console or json")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="debug, info, warning or error")
    history: str = Field(
        "memory",
        description="where earlier events are kept: memory, none (streams know what they brought themselves),"
        " or valkey://, valkeys://, redis:// or rediss://",
    )
    history_ttl_s: float = Field(
        60 * 86_400.0, ge=1, le=10 * 366 * 86_400, description="seconds that a lot is remembered after its last event"
    )
    history_max_events: int = Field(
        1_000_000, ge=1_000, description="the most events that this process remembers, from 1000; 750 bytes each"
    )
    history_timeout_s: float = Field(
        0.1, gt=0, le=60, description="seconds that an answer waits for a history server before it goes on without"
    )
    history_analyze: bool = Field(
        False, description="let Analyze and AnalyzeFiles use the history when a request does not say: true or false"
    )
    settle_s: float = Field(
        0.0,
        ge=0,
        le=86_400,
        description="seconds after which an answer of a stream is followed by a revised, final one; 0: the first answer"
        " is final, up to 86400",
    )
    metrics_port: int | None = Field(
        None, ge=0, le=65535, description="TCP port of HTTP /metrics and /drift, 0 for any free one; default: off"
    )
    metrics_tls: bool = Field(
        False,
        description="serve metrics with TLS, too, by the same certificate and authority of clients: true or false",
    )
    drift_window: int = Field(200, ge=20, le=100_000, description="live events of a drift test, 20 to 100000")
    drift_reference: int = Field(
        1_000, ge=20, description="events of the model's reference that count in a drift test, at most, from 20"
    )
    audit_log: Path | None = Field(
        None, description="file that gets a JSON line per analysis, - for standard output; default: none"
    )
    audit_max_bytes: int = Field(
        100 * 1024 * 1024, ge=1024, description="bytes of an audit log before it is put aside, from 1024"
    )
    lifecycle: Path | None = Field(
        None,
        description="folder of the log of promotions: the gateway serves the champion that it names, and follows it;"
        " default: none, --model-version is served",
    )
    registry: str = Field(
        "folder",
        pattern=r"^(folder|mlflow:https?://\S+)$",
        description="who else shows the states of versions: folder (nobody), or mlflow:URL, whose aliases show and move"
        " them",
    )
    traffic: str = Field(
        "",
        description="shares of the files in percent, such as lstm@challenger=10,rules=20, until the log of --lifecycle"
        " says others; the rest is the champion's",
    )
    traffic_key: Path | None = Field(
        None, description="file of a secret, by which files belong to shares; default: anybody can work it out"
    )
    shadow_percent: float = Field(
        0.0, ge=0, le=100, description="share of the files that the challenger judges too, unseen, to be compared"
    )
    model_service: bool = Field(
        False, description="serve ModelService to callers with the role admin, of --lifecycle: true or false"
    )
    retrain_command: str = Field(
        "",
        description="command that Retrain of ModelService runs, such as epc-sentinel retrain RUN --data DIR --verdicts"
        " FILE --out RUNS/{now}, with {now}, {champion} and {repository}; default: none",
    )
    validate_command: str = Field(
        "epc-sentinel models validate {version} --repository {repository}",
        min_length=1,
        description="command that Validate of ModelService runs, with {version}, {champion} and {repository}",
    )
    flow: Path | None = Field(
        None,
        description="folder of generated data and trainings of flow: FlowService makes data and models, for callers"
        " with the role admin; default: it measures, forecasts and checks alone",
    )
    flow_train_command: str = Field(
        "epc-sentinel flow train {data} --out {folder}/runs/{now} --repository {repository} {options}",
        description="command that Train of FlowService runs, with {data}, {options} (flags of the settings that the"
        " request gives, and --lifecycle and --trust where the gateway has them), {folder}, {repository} and {now};"
        " empty: none",
    )
    flow_data: Path | None = Field(
        None,
        description="file or folder that Train of FlowService learns from where a request names no data; default: what"
        " was generated last",
    )
    trust: Path | None = Field(
        None, description="PEM file of Ed25519 public keys, one of which must have signed the model; default: none must"
    )
    detection_log: Path | None = Field(
        None, description="folder that gets judged events and their scores as Parquet files; default: none"
    )
    detection_log_max_bytes: int = Field(
        1024**3, ge=1024, description="bytes of a detection log, of which the oldest files go, from 1024"
    )
    verdicts: str | None = Field(
        None,
        description="where people's verdicts and the audit sample are kept: a folder, or postgresql://USER:PASSWORD@HOST/"
        "DATABASE for several gateways; default: none",
    )
    audit_share: float = Field(
        0.01,
        ge=0,
        le=1,
        description="share of the judged events that people are asked about, the audit sample of verdicts and detection"
        " log, 0 to 1",
    )
    auditor_error_rate: float = Field(
        0.0,
        ge=0,
        le=0.4,
        description="share of the verdicts that are wrong, 0 to 0.4, by which accuracy is measured; the"
        " words of a person who is shown to err oftener weigh less",
    )
    audit_key: Path | None = Field(
        None,
        description="file with the secret by which the audit sample is chosen, the same for all gateways; default: a"
        " key that everybody knows",
    )
    tracing: str | None = Field(
        None,
        pattern=r"^https?://[^/\s]+:[0-9]{1,5}/?$",
        description="http://HOST:PORT of an OpenTelemetry collector (OTLP over gRPC) that gets traces; default: none",
    )
    tracing_share: float = Field(
        1.0, ge=0, le=1, description="share of the requests that are traced if their callers do not say, 0 to 1"
    )
    tls_cert: Path | None = Field(None, description="PEM file of the server's certificate and its chain: serves TLS")
    tls_key: Path | None = Field(None, description="PEM file of the private key of --tls-cert, without a password")
    tls_client_ca: Path | None = Field(
        None, description="PEM file of the authorities whose client certificates are demanded (mutual TLS)"
    )
    health_port: int | None = Field(
        None, ge=0, le=65535, description="TCP port that answers health alone, without TLS, for probes; 0 for any"
    )
    auth_keys: Path | None = Field(
        None,
        description="TOML file of hashed keys, a table for each: name, sha256, roles; callers need a bearer token",
    )
    auth_jwks: Path | None = Field(None, description="JWKS file of public keys: bearer tokens may be JWT")
    auth_issuer: str | None = Field(None, min_length=1, description="iss of the JWT that are accepted")
    auth_audience: str | None = Field(None, min_length=1, description="aud of the JWT that are accepted")
    rate_limit_calls_per_s: float | None = Field(
        None, gt=0, description="the most calls per second of one caller; default: no limit"
    )
    rate_limit_events_per_s: float | None = Field(
        None, gt=0, description="the most events per second of one caller; default: no limit"
    )
    rate_limit_burst_s: float = Field(
        2.0, gt=0, le=3600, description="seconds of the rates that a caller can save up, up to 3600"
    )
    max_calls: int = Field(1_000, ge=1, description="the most unary calls at a time, from 1")
    max_calls_per_caller: int | None = Field(
        None, ge=1, description="the most unary calls of one caller at a time; default: no limit"
    )
    max_streams: int = Field(1_000, ge=1, description="the most streams at a time, from 1")
    max_streams_per_caller: int | None = Field(
        None, ge=1, description="the most streams of one caller at a time; default: no limit"
    )
    max_stream_age_s: float = Field(
        86_400.0, gt=0, description="seconds after which a stream ends and is to be opened anew"
    )
    max_connection_age_s: float = Field(
        300.0,
        gt=0,
        le=1e6,
        description="seconds after which a connection takes no new call, so that its client looks who else is there;"
        " running calls and streams go on, up to 1000000",
    )
    onnx_threads: int = Field(2, ge=1, le=256, description="threads of the embedded model, 1 to 256")
    onnx_providers: str = Field(
        "cpu",
        description="providers of onnxruntime for the embedded model, of which the first that works here runs it: cpu,"
        " or cuda,cpu; where none works, cpu does",
    )
    workers: int = Field(
        1, ge=1, le=256, description="processes that share the port, 1 to 256: for one machine with many cores"
    )

    @field_validator("backend")
    @classmethod
    def _check_backend(cls, value: str) -> str:
        _parse_backend(value)
        return value

    @model_validator(mode="before")
    @classmethod
    def _run_what_is_named(cls, given: dict[str, Any]) -> dict[str, Any]:
        """Who names a repository and no backend means its models, and would not see that the bundled ones judge."""
        if "model_repository" in given and "backend" not in given:
            return {**given, "backend": f"onnx:{given['model_repository']}"}
        return given

    @field_validator("history")
    @classmethod
    def _check_history(cls, value: str) -> str:
        if value not in ("memory", "none") and not _HISTORY_URL.match(value):
            raise ValueError("neither memory, none nor the URL of a server such as valkey://HOST:PORT")
        if "://" in value and not _is_url(value):
            raise ValueError(f"no usable URL, {HISTORY_URL_FORM}")
        return value

    @field_validator("costs")
    @classmethod
    def _check_costs(cls, value: str) -> str:
        parse_costs(value)
        return value

    @field_validator("onnx_providers")
    @classmethod
    def _check_providers(cls, value: str) -> str:
        parse_providers(value)
        return value

    @property
    def asked_point(self) -> OperatingPoint | None:
        """The operating point that a flag or a variable names, None if it is the default."""
        return self.operating_point if "operating_point" in self.model_fields_set else None

    @property
    def target(self) -> OnnxTarget | TritonTarget:
        """Where the model runs."""
        return _parse_backend(self.backend)

    @property
    def repository(self) -> Path:
        """The model repository whose manifest the gateway works by."""
        return self.target.repository if isinstance(self.target, OnnxTarget) else self.model_repository


def load_settings(**flags: Any) -> Settings:  # noqa: ANN401 - values of any type, checked right here
    """Return the settings; flags that are None are not given.

    Raises:
        SettingsError: one line per bad value: which flag or variable, what is wrong, what it takes; and one per
            variable that is no setting.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    unknown = unknown_variables(os.environ, Settings.model_fields)
    try:
        settings = Settings(**given)
    except ValidationError as error:
        lines = [_explain(problem["loc"], problem["msg"], given) for problem in error.errors()]
        raise SettingsError("\n".join([*lines, *unknown])) from None
    if unknown:
        raise SettingsError("\n".join(unknown))
    _check_together(settings)
    return settings


_NEEDS = {
    "registry": ("lifecycle",),
    "model_service": ("lifecycle",),
    "shadow_percent": ("lifecycle",),
    "traffic": ("lifecycle",),
    "flow_data": ("flow",),
    "tls_cert": ("tls_key",),
    "tls_key": ("tls_cert",),
    "tls_client_ca": ("tls_cert",),
    "metrics_tls": ("tls_cert",),
    "auth_jwks": ("auth_issuer", "auth_audience"),
    "auth_issuer": ("auth_jwks",),
    "auth_audience": ("auth_jwks",),
}


def _check_together(settings: Settings) -> None:
    if settings.lifecycle is not None and settings.canary_model_version is not None:
        raise SettingsError(
            "--canary-model-version goes not with --lifecycle, whose log says which versions judge: give the challenger"
            " its share with 'epc-sentinel models traffic'"
        )
    runs = settings.target.repository if isinstance(settings.target, OnnxTarget) else None
    if (
        runs
        and "model_repository" in settings.model_fields_set
        and runs.resolve() != settings.model_repository.resolve()
    ):
        raise SettingsError(
            f"--model-repository is '{settings.model_repository}', and --backend onnx:{runs} runs the models of another"
            " one: leave out one of the two"
        )
    for name, others in _NEEDS.items():
        for other in others:
            if getattr(settings, name) not in (None, False, "", 0.0, "folder") and getattr(settings, other) is None:
                raise SettingsError(f"{flag_name(name)} needs {flag_name(other)}: {_description(other)}")


def _description(name: str) -> str:
    return Settings.model_fields[name].description or name


def _explain(location: tuple[int | str, ...], message: str, given: dict[str, Any]) -> str:
    name = str(location[0]) if location else ""
    if name not in Settings.model_fields:
        return f"unknown setting {name}: {message}"
    variable = ENV_PREFIX + name.upper()
    source, value = (flag_name(name), given[name]) if name in given else (variable, os.environ.get(variable, ""))
    line = f"{source} is {without_password(str(value))!r}: {in_words(message)}. Meaning: {_description(name)}"
    if name not in given and is_service_link(variable, value):
        # A Kubernetes Service of the name "epc-sentinel" injects EPC_SENTINEL_PORT=tcp://.. into every pod.
        line += ". This value comes from Kubernetes: set enableServiceLinks: false in the pod"
    return line


def without_password(value: str) -> str:
    """Return a value as it may be shown: of what could hold a password, a misspelt URL too, only how it begins."""
    if _NO_SECRET.fullmatch(value):
        return value
    scheme = _SCHEME.match(value)
    return f"{scheme[0] if scheme else ''}..."


def without_urls(text: str) -> str:
    """Return a text of somebody else's making, with no more of its URLs than may be shown."""
    return _URL.sub(lambda found: without_password(found[0]), text)


def _is_url(value: str) -> bool:
    """Return whether the server of a history is named; a password with a # or a ? ends the address too early."""
    try:
        parts = urlsplit(value)
        return bool(parts.hostname) and parts.port != 0 and not parts.fragment and "@" not in parts.path + parts.query
    except ValueError:  # its text shows what it took for the port: the password
        return False


def place(host: str, port: int) -> str:
    """Return HOST:PORT, an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def parse_costs(text: str) -> dict[str, tuple[float, float]]:
    """Return (cost of a miss, cost of a false alarm) by kind; raises ValueError that says what is wrong."""
    costs: dict[str, tuple[float, float]] = {}
    for part in filter(None, text.split(",")):
        found = _COST.fullmatch(part.strip())
        if found is None:
            raise ValueError(f"{part.strip()!r} is not of the form KIND=MISS:ALARM with two positive numbers")
        kind, (miss, alarm) = found["kind"], map(float, (found["miss"], found["alarm"]))
        if kind not in KINDS:
            raise ValueError(f"{kind!r} is no kind, which are {', '.join(KINDS)}")
        if kind in costs:
            raise ValueError(f"{kind} is named twice")
        if not (miss > 0 and alarm > 0):
            raise ValueError(f"the costs of {kind} must be above 0")
        costs[kind] = miss, alarm
    return costs


def parse_providers(text: str) -> tuple[str, ...]:
    """Return onnxruntime's names of providers, in the order given; raises ValueError that says what is wrong."""
    names = [part.strip() for part in text.split(",")]
    for name in names:
        if name not in PROVIDERS:
            raise ValueError(f"{name!r} is no provider, which are {', '.join(PROVIDERS)}")
        if names.count(name) > 1:
            raise ValueError(f"{name} is named twice")
    if "cpu" in names[:-1]:
        raise ValueError("cpu always works, so nothing after it would be tried: name it last")
    return tuple(PROVIDERS[name] for name in names)


def flag_name(field: str) -> str:
    """Return the command line flag of a setting."""
    return "--" + field.replace("_", "-")


def _parse_backend(text: str) -> OnnxTarget | TritonTarget:
    scheme, _, rest = text.partition(":")
    if scheme == "onnx" and rest:
        return OnnxTarget(Path(rest))
    match = _TRITON_URL.fullmatch(text)
    if match is None:
        raise ValueError("neither onnx:REPOSITORY nor triton://HOST:PORT")
    return TritonTarget(match["address"])
