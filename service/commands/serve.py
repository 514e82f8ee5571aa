"""``serve``: the gRPC gateway."""

# ruff: noqa: PLC0415, PLR0913, PLR0917
# Parts are imported when the command is called, --help must be quick; and a command has one parameter per flag.

from __future__ import annotations

from typing import Annotated

import typer

from service.commands.options import setting
from service.settings import load_settings

app = typer.Typer()


@app.command()
def serve(
    host: Annotated[str | None, setting("host")] = None,
    port: Annotated[str | None, setting("port")] = None,
    backend: Annotated[str | None, setting("backend")] = None,
    model_repository: Annotated[str | None, setting("model_repository")] = None,
    model_version: Annotated[str | None, setting("model_version")] = None,
    triton_control: Annotated[str | None, setting("triton_control")] = None,
    triton_config: Annotated[str | None, setting("triton_config")] = None,
    canary_model_version: Annotated[str | None, setting("canary_model_version")] = None,
    canary_percent: Annotated[str | None, setting("canary_percent")] = None,
    operating_point: Annotated[str | None, setting("operating_point")] = None,
    costs: Annotated[str | None, setting("costs")] = None,
    unknown_codes: Annotated[str | None, setting("unknown_codes")] = None,
    event_times: Annotated[str | None, setting("event_times")] = None,
    fallback: Annotated[bool | None, setting("fallback", "--fallback/--no-fallback")] = None,
    max_events_per_request: Annotated[str | None, setting("max_events_per_request")] = None,
    max_events_in_flight: Annotated[str | None, setting("max_events_in_flight")] = None,
    max_message_bytes: Annotated[str | None, setting("max_message_bytes")] = None,
    drain_s: Annotated[str | None, setting("drain_s")] = None,
    model_timeout_s: Annotated[str | None, setting("model_timeout_s")] = None,
    probe_interval_s: Annotated[str | None, setting("probe_interval_s")] = None,
    log_format: Annotated[str | None, setting("log_format")] = None,
    log_level: Annotated[str | None, setting("log_level")] = None,
    onnx_threads: Annotated[str | None, setting("onnx_threads")] = None,
    onnx_providers: Annotated[str | None, setting("onnx_providers")] = None,
    history: Annotated[str | None, setting("history")] = None,
    history_ttl_s: Annotated[str | None, setting("history_ttl_s")] = None,
    history_max_events: Annotated[str | None, setting("history_max_events")] = None,
    history_timeout_s: Annotated[str | None, setting("history_timeout_s")] = None,
    history_analyze: Annotated[
        bool | None, setting("history_analyze", "--history-analyze/--no-history-analyze")
    ] = None,
    settle_s: Annotated[str | None, setting("settle_s")] = None,
    metrics_port: Annotated[str | None, setting("metrics_port")] = None,
    metrics_tls: Annotated[bool | None, setting("metrics_tls", "--metrics-tls/--no-metrics-tls")] = None,
    drift_window: Annotated[str | None, setting("drift_window")] = None,
    drift_reference: Annotated[str | None, setting("drift_reference")] = None,
    audit_log: Annotated[str | None, setting("audit_log")] = None,
    audit_max_bytes: Annotated[str | None, setting("audit_max_bytes")] = None,
    detection_log: Annotated[str | None, setting("detection_log")] = None,
    detection_log_max_bytes: Annotated[str | None, setting("detection_log_max_bytes")] = None,
    verdicts: Annotated[str | None, setting("verdicts")] = None,
    audit_share: Annotated[str | None, setting("audit_share")] = None,
    auditor_error_rate: Annotated[str | None, setting("auditor_error_rate")] = None,
    audit_key: Annotated[str | None, setting("audit_key")] = None,
    tracing: Annotated[str | None, setting("tracing")] = None,
    tracing_share: Annotated[str | None, setting("tracing_share")] = None,
    lifecycle: Annotated[str | None, setting("lifecycle")] = None,
    registry: Annotated[str | None, setting("registry")] = None,
    traffic: Annotated[str | None, setting("traffic")] = None,
    traffic_key: Annotated[str | None, setting("traffic_key")] = None,
    shadow_percent: Annotated[str | None, setting("shadow_percent")] = None,
    model_service: Annotated[bool | None, setting("model_service", "--model-service/--no-model-service")] = None,
    retrain_command: Annotated[str | None, setting("retrain_command")] = None,
    validate_command: Annotated[str | None, setting("validate_command")] = None,
    flow: Annotated[str | None, setting("flow")] = None,
    flow_train_command: Annotated[str | None, setting("flow_train_command")] = None,
    flow_data: Annotated[str | None, setting("flow_data")] = None,
    trust: Annotated[str | None, setting("trust")] = None,
    tls_cert: Annotated[str | None, setting("tls_cert")] = None,
    tls_key: Annotated[str | None, setting("tls_key")] = None,
    tls_client_ca: Annotated[str | None, setting("tls_client_ca")] = None,
    health_port: Annotated[str | None, setting("health_port")] = None,
    auth_keys: Annotated[str | None, setting("auth_keys")] = None,
    auth_jwks: Annotated[str | None, setting("auth_jwks")] = None,
    auth_issuer: Annotated[str | None, setting("auth_issuer")] = None,
    auth_audience: Annotated[str | None, setting("auth_audience")] = None,
    rate_limit_calls_per_s: Annotated[str | None, setting("rate_limit_calls_per_s")] = None,
    rate_limit_events_per_s: Annotated[str | None, setting("rate_limit_events_per_s")] = None,
    rate_limit_burst_s: Annotated[str | None, setting("rate_limit_burst_s")] = None,
    max_calls: Annotated[str | None, setting("max_calls")] = None,
    max_calls_per_caller: Annotated[str | None, setting("max_calls_per_caller")] = None,
    max_streams: Annotated[str | None, setting("max_streams")] = None,
    max_streams_per_caller: Annotated[str | None, setting("max_streams_per_caller")] = None,
    max_stream_age_s: Annotated[str | None, setting("max_stream_age_s")] = None,
    max_connection_age_s: Annotated[str | None, setting("max_connection_age_s")] = None,
    workers: Annotated[str | None, setting("workers")] = None,
) -> None:
    """Serve the gRPC gateway. Every flag is also a variable: --log-format json is EPC_SENTINEL_LOG_FORMAT=json."""
    settings = load_settings(**locals())
    from service.gateway.compiled import say_if_uncompiled
    from service.monitoring import logs

    logs.configure(settings.log_format, settings.log_level)
    say_if_uncompiled()
    if settings.workers > 1:
        from service.gateway.supervisor import serve_by_workers

        serve_by_workers(settings)
    else:
        from service.gateway import server
        from service.runtime.process import run_to_completion

        run_to_completion(server.serve(settings))
