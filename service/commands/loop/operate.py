"""``operate``: watches the models by what is measured, and responds as it was told to."""

# ruff: noqa: PLC0415, PLR0913, PLR0917
# Parts are imported when the command is called, --help must be quick; and a command has one parameter per flag.

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.commands.options import CaFileOption, CertFileOption, KeyFileOption, setting
from service.errors import CommandError, SettingsError
from service.operate.settings import OperateSettings, load_operate_settings
from service.settings import Settings, load_settings

if TYPE_CHECKING:
    import ssl

    from service.operate.rounds import RoundDone, Roundsman

app = typer.Typer()


_PATIENCE_S = 120.0  # for a round of another one, which waits for what it began

_ONLY_SAY = {"fallback": "off", "retraining": "suggest", "traffic": "off", "adopt_command": ""}


def _own(field: str) -> Any:  # noqa: ANN401 - what typer takes as an option
    return setting(field, of=OperateSettings)


@app.command()
def operate(
    lifecycle: Annotated[str | None, setting("lifecycle")] = None,
    repository: Annotated[Path | None, typer.Option(help="Folder of versions (default: model_repository).")] = None,
    verdicts: Annotated[str | None, setting("verdicts")] = None,
    auditor_error_rate: Annotated[str | None, setting("auditor_error_rate")] = None,
    retrain_command: Annotated[str | None, setting("retrain_command")] = None,
    trust: Annotated[str | None, setting("trust")] = None,
    registry: Annotated[str | None, setting("registry")] = None,
    once: Annotated[bool, typer.Option("--once", help="Do one round, and wait for what it began.")] = False,
    due: Annotated[
        bool, typer.Option("--due", help="Only say whether a retraining is due, yes or no, once in a cool-down.")
    ] = False,
    interval_s: Annotated[str | None, _own("interval_s")] = None,
    metrics: Annotated[str | None, _own("metrics")] = None,
    ca_file: CaFileOption = None,
    cert_file: CertFileOption = None,
    key_file: KeyFileOption = None,
    batches: Annotated[str | None, _own("batches")] = None,
    close_batches: Annotated[str | None, _own("close_batches")] = None,
    calm_rounds: Annotated[str | None, _own("calm_rounds")] = None,
    watch_above: Annotated[str | None, _own("watch_above")] = None,
    fallback: Annotated[str | None, _own("fallback")] = None,
    fallback_above: Annotated[str | None, _own("fallback_above")] = None,
    fallback_percent: Annotated[str | None, _own("fallback_percent")] = None,
    fallback_if_worse: Annotated[str | None, _own("fallback_if_worse")] = None,
    traffic: Annotated[str | None, _own("traffic")] = None,
    retraining: Annotated[str | None, _own("retraining")] = None,
    retrain_above: Annotated[str | None, _own("retrain_above")] = None,
    cooldown_s: Annotated[str | None, _own("cooldown_s")] = None,
    least_labels: Annotated[str | None, _own("least_labels")] = None,
    adopt_command: Annotated[str | None, _own("adopt_command")] = None,
    adopt_every_s: Annotated[str | None, _own("adopt_every_s")] = None,
    host: Annotated[str | None, _own("host")] = None,
    metrics_port: Annotated[str | None, _own("metrics_port")] = None,
    log_format: Annotated[str | None, _own("log_format")] = None,
    log_level: Annotated[str | None, _own("log_level")] = None,
) -> None:
    """Watch accuracy and drift, and respond. A flag is also a variable: --batches is EPC_SENTINEL_OPERATE_BATCHES."""
    given = {name: value for name, value in locals().items() if name in OperateSettings.model_fields}
    own = load_operate_settings(**given | (_ONLY_SAY if due else {}))
    if (once or due) and own.metrics_port is not None:
        raise SettingsError("--metrics-port goes not with --once or --due: the round ends before anybody asks for it")
    of_gateways = load_settings(
        lifecycle=lifecycle,
        backend=None if repository is None else f"onnx:{repository}",
        verdicts=verdicts,
        auditor_error_rate=auditor_error_rate,
        retrain_command=retrain_command,
        trust=trust,
        registry=registry,
    )
    import asyncio

    from service.monitoring import logs

    logs.configure(own.log_format, own.log_level)
    operator = _operator(of_gateways, own, _tls(ca_file, cert_file, key_file))
    with operator.turn(_PATIENCE_S if once or due else 0.0):
        found = asyncio.run(_once(operator) if once or due else _always(operator, of_gateways))
    if due:
        typer.echo("yes" if found is not None and found.is_due else "no")


def _operator(of_gateways: Settings, own: OperateSettings, tls: ssl.SSLContext | None) -> Roundsman:
    from service.feedback.sql import open_verdicts
    from service.gateway.following import open_register
    from service.lifecycle.operations import Operations
    from service.operate.observing import Lookout
    from service.operate.rounds import Roundsman
    from service.operate.steps import What

    register = open_register(of_gateways)
    if register is None:
        raise SettingsError("--lifecycle FOLDER of the log of promotions is missing: there is nothing to operate")
    operations = Operations(register.log.folder / "operations")
    verdicts = open_verdicts(of_gateways.verdicts) if of_gateways.verdicts else None
    commands = {What.RETRAIN: of_gateways.retrain_command, What.ADOPT: own.adopt_command}
    return Roundsman(Lookout(register, operations, verdicts, own, tls, of_gateways.auditor_error_rate), own, commands)


def _tls(ca_file: Path | None, cert_file: Path | None, key_file: Path | None) -> ssl.SSLContext | None:
    if ca_file is None:
        return None
    import ssl

    try:
        context = ssl.create_default_context(cafile=ca_file)
        if cert_file is not None:
            context.load_cert_chain(cert_file, key_file)
    except OSError as error:  # ssl's own among them
        raise CommandError(f"the files of --ca-file, --cert-file and --key-file cannot be used: {error}") from None
    return context


async def _once(operator: Roundsman) -> RoundDone:
    """Do one round, and wait for what it began.

    Raises:
        CommandError: that has failed.
    """
    from service.lifecycle.operations import Progressing

    found = await operator.once()
    ended = [await operator.observer.operations.wait(one) for one in found.begun]
    if failed := [one for one in ended if one.state is not Progressing.SUCCEEDED]:
        raise CommandError("; ".join(f"{one.kind} {one.state}: {one.message}" for one in failed))
    return found


async def _always(operator: Roundsman, of_gateways: Settings) -> None:
    """Do rounds until this process is asked to end; what was begun goes on."""
    import asyncio

    from service.runtime.process import stop_signals

    _show(operator, of_gateways)
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in stop_signals():
        loop.add_signal_handler(number, stop.set)
    await operator.run(stop)


def _show(operator: Roundsman, of_gateways: Settings) -> None:
    """Serve the metrics of the rounds, if they are asked for, until this process ends; raises as `listen`."""
    if operator.settings.metrics_port is None:
        return
    import structlog
    from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector

    from service.monitoring.metrics_endpoint import listen
    from service.operate.exposition import LastRoundCollector

    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    registry.register(LastRoundCollector(operator.observer.register.log.folder))
    registry.register(operator.shown)
    at = {"host": operator.settings.host, "metrics_port": operator.settings.metrics_port}
    server = listen(of_gateways.model_copy(update=at), registry)
    structlog.get_logger("epc_sentinel.operate").info("listening", metrics_port=server.server_port)
