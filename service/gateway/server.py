"""The gateway process: parts, server, health, reflection, and a drain that loses no call."""

from __future__ import annotations

import asyncio
import faulthandler
import gc
from collections.abc import Awaitable, Callable

import grpc
import structlog

from service.api.admission import Admission
from service.api.feedback import FEEDBACK, FeedbackServicer
from service.api.flow.servicer import FLOW, FlowServicer
from service.api.health import HealthServicer, follow_dependency, follow_model
from service.api.interceptor import build_interceptor, build_probe_interceptor, rate
from service.api.models.servicer import MODELS, ManagedModel, ModelDesk, ModelServicer
from service.api.servicer import SERVICE, AnomalyServicer
from service.api.status import cut_off
from service.feedback.sql import open_verdicts
from service.flow.shelf import FlowShelf
from service.gateway.build import build_shared, build_version
from service.gateway.compiled import form_of_features
from service.gateway.flows import flow_desk, open_flow_register
from service.gateway.following import Follower, first_wiring, open_register
from service.gateway.lineups import Lineups
from service.gateway.listen import Service, listen, listen_for_probes
from service.gateway.loaded import LoadedVersions
from service.gateway.observers import Monitoring
from service.lifecycle.operations import Operations
from service.lifecycle.register import Register
from service.model.triton_backend import untraced
from service.monitoring.shadows import ShadowCollector
from service.monitoring.tracing import build_tracing
from service.operate.exposition import LastRoundCollector
from service.runtime.process import CLOSE_S, set_up_for_serving, stop_signals
from service.settings import Settings

_STOP_S, _LOGS_S = 2.0, 11.0
"""What gRPC, probes and connections, and what logs and traces get to end in, after the drain."""

log = structlog.get_logger("epc_sentinel.server")

Bond = Callable[[Monitoring, Callable[[], object]], None]
"""What ties a worker to the process that minds it: told once the gateway listens, with what that process asks for, and
what ends the gateway when that process is gone."""


async def serve(settings: Settings, bond: Bond | None = None) -> None:
    """Serve until SIGTERM, SIGINT or SIGHUP, then drain. Args: ``bond`` is given to one of several that share the port.

    Raises:
        ModelRepositoryError: the model repository cannot be used.
        CommandError: the address cannot be listened on.
    """
    set_up_for_serving()
    stop = _stop_event()
    tracing = build_tracing(settings)
    verdicts = open_verdicts(settings.verdicts) if settings.verdicts else None
    outgoing, shared, register = (
        tracing.outgoing if tracing else untraced,
        build_shared(settings),
        open_register(settings),
    )
    wiring = first_wiring(settings, shared, register, outgoing)
    loaded = LoadedVersions(wiring, lambda version: build_version(settings, shared, version, outgoing))
    lineups = Lineups(loaded, shadow_percent=settings.shadow_percent)
    monitoring = Monitoring(settings, wiring, tracing, verdicts, http=bond is None)
    follower = Follower(lineups, settings, register)
    _show_lineups(settings, monitoring, lineups, follower)
    admission = Admission(settings.max_events_per_request, settings.max_events_in_flight)
    servicer = AnomalyServicer(
        lineups,
        lineups,
        admission=admission,
        events_per_s=rate(settings, "events", settings.rate_limit_events_per_s),
        max_stream_age_s=settings.max_stream_age_s,
        settle_s=settings.settle_s,
        watch=monitoring.watch,
        clocks=lineups.zones if settings.event_times == "wall-clock" else None,
    )
    monitoring.metrics.gauge("calls_in_flight", "gRPC calls that run now.", lambda: servicer.running)
    monitoring.metrics.gauge("events_in_flight", "Events at work or waiting for their turn.", lambda: admission.events)
    if (memory := wiring.memory) is not None:
        monitoring.metrics.gauge("history_events", "Events in the history's index.", lambda: len(memory))
    flows = flow_desk(settings, lineups, admission, monitoring.metrics.registry, outgoing)
    desk = _desk(settings, register, follower, lineups, flows.shelf)
    interceptor = build_interceptor(settings, monitoring.watch)
    feedback = FeedbackServicer(verdicts, lambda: monitoring.promised, settings.auditor_error_rate)
    services = [
        Service(SERVICE.full_name, servicer.handler()),
        Service(FEEDBACK.full_name, feedback.handler(), described=verdicts is not None),
        Service(MODELS.full_name, ModelServicer(desk).handler(), described=desk is not None),
        Service(FLOW.full_name, FlowServicer(flows).handler()),
    ]
    health = HealthServicer(("", *(service.name for service in services if service.described)))
    server, port = listen(settings, interceptor, services, health, shared=bond is not None)
    gc.freeze()  # what lives as long as the process is not searched again and again
    await server.start()
    probed = await listen_for_probes(
        settings, build_probe_interceptor(monitoring.watch), health, shared=bond is not None
    )
    event = "listening" if bond is None else "worker listening"
    _say_listening(event, settings, lineups, port, monitoring.port, probed[1] if probed else None)
    if bond is not None:
        loop = asyncio.get_running_loop()
        bond(monitoring, lambda: loop.call_soon_threadsafe(stop.set))
    watches = _watch_dependencies(settings, lineups, monitoring, health)
    watches.append(asyncio.create_task(follower.run()))
    await stop.wait()
    log.info("draining", at_most_s=settings.drain_s)
    # The last resort, for the end of the interpreter too: all threads tell where they stand, and the process is over.
    faulthandler.dump_traceback_later(settings.drain_s + CLOSE_S, exit=True)
    await health.drain()
    await _ended("server", _drain(server, servicer, settings.drain_s), settings.drain_s + _STOP_S)
    if probed:
        await _ended("server of probes", probed[0].stop(0), _STOP_S)
    for watch in watches:
        watch.cancel()
    await _ended("probes", asyncio.gather(*watches, return_exceptions=True), _STOP_S)
    await _ended("logs and traces", asyncio.to_thread(monitoring.close), _LOGS_S)
    for operations in [one.operations for one in (desk, flows.making) if one]:
        await _ended("operations", operations.close(), _STOP_S)
    await _ended("connections", lineups.close(), _STOP_S)
    if verdicts:
        await _ended("verdicts", asyncio.to_thread(verdicts.close), _STOP_S)
    log.info("stopped")


def _show_lineups(settings: Settings, monitoring: Monitoring, lineups: Lineups, follower: Follower) -> None:
    lineups.versions.show_by(monitoring.show)
    lineups.shadow.tell(monitoring.judged_twice)
    monitoring.metrics.counter(
        "model_swaps", "Switches to another version of the model.", lambda: lineups.versions.swaps
    )
    monitoring.metrics.gauge(
        "model_behind",
        "1 while another version is in use than the log of promotions says, or no usable model is there.",
        lambda: float(follower.is_behind),
    )
    monitoring.metrics.gauge(
        "emergency_fallback",
        "1 while the log gives the network's files to the rules because it has failed.",
        lambda: float(follower.standing.emergency),
    )
    if settings.lifecycle:
        monitoring.metrics.registry.register(LastRoundCollector(settings.lifecycle))
    if settings.shadow_percent:
        shadow = lineups.shadow
        monitoring.metrics.registry.register(ShadowCollector(lambda: shadow.compared))
        monitoring.metrics.counter("shadow_shed", "Requests that no challenger judged, for load.", lambda: shadow.shed)
        monitoring.metrics.counter(
            "shadow_failed", "Requests that a challenger could not judge.", lambda: shadow.failed
        )
    monitoring.metrics.gauge(
        "without_model",
        "1 while rules judge because there is no usable model.",
        lambda: float(lineups.champion.lstm is None),
    )


def _desk(
    settings: Settings, register: Register | None, follower: Follower, lineups: Lineups, shelf: FlowShelf
) -> ModelDesk | None:
    """Return what ModelService asks, None if it is not offered."""
    flow = open_flow_register(settings)
    if register is None or flow is None or not settings.model_service:
        return None
    return ModelDesk(
        ManagedModel(register, follower.look, lineups.versions.numbers),
        ManagedModel(flow, loaded=shelf.loaded),
        Operations(register.log.folder / "operations"),
        settings.retrain_command,
        settings.validate_command,
    )


async def _ended(what: str, work: Awaitable[object], limit_s: float) -> None:
    """Wait for the end of ``work``, ``limit_s`` seconds at most: whatever it waits for, the gateway goes on.

    It is not cancelled, which some work survives: `asyncio.wait_for` of Python 3.11 loses cancellations.
    """
    task = asyncio.ensure_future(work)
    await asyncio.wait([task], timeout=limit_s)
    if task.done():
        await task
    else:
        log.error("no end in time", what=what, limit_s=limit_s)


def _say_listening(  # noqa: PLR0913, PLR0917 - all that the line says
    event: str, settings: Settings, lineups: Lineups, port: int, metrics_port: int | None, health_port: int | None
) -> None:
    wiring = lineups.champion
    log.info(
        event,
        host=settings.host,
        port=port,
        metrics_port=metrics_port,
        backend=settings.backend,
        model=wiring.name,
        features=form_of_features(),
        tls="off" if settings.tls_cert is None else "mutual" if settings.tls_client_ca else "on",
        auth="+".join(how for how, of in (("keys", settings.auth_keys), ("jwt", settings.auth_jwks)) if of) or "off",
        **({"health_port": health_port} if health_port is not None else {}),
        **({"canary": wiring.canary.name} if wiring.canary else {}),
    )


def _watch_dependencies(
    settings: Settings, lineups: Lineups, monitoring: Monitoring, health: HealthServicer
) -> list[asyncio.Task[None]]:
    """Return the tasks that probe the models and the history's server."""
    interval_s = settings.probe_interval_s
    wiring = lineups.champion
    probe = monitoring.metrics.watched("model", lineups.probe)
    watches = [asyncio.create_task(follow_model(health, probe, fallback=settings.fallback, interval_s=interval_s))]
    others: dict[str, Callable[[], Awaitable[None]]] = {}
    if wiring.canary is not None:
        others["canary"] = wiring.canary.backend.probe
    others["svm"] = lineups.probe_svm
    if wiring.store is not None:
        others["history"] = wiring.store.ping
    for name, ask in others.items():
        follow = follow_dependency(name, monitoring.metrics.watched(name, ask), interval_s=interval_s)
        watches.append(asyncio.create_task(follow))
    return watches


def _stop_event() -> asyncio.Event:
    """Return an event that a signal to stop sets."""
    stop = asyncio.Event()
    for number in stop_signals():
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


async def _drain(server: grpc.aio.Server, servicer: AnomalyServicer, drain_s: float) -> None:
    """Refuse new calls at once, and return when the running ones are done, or cut off after ``drain_s`` seconds."""

    def say_so() -> None:
        cut_off()
        if servicer.running:
            log.warning("drain time is over", cut_off=servicer.running)

    loop = asyncio.get_running_loop()
    late = loop.call_later(drain_s, say_so)
    loop.call_soon(servicer.drain)  # after stop() has closed the door: no stream may come back in by it
    # Once only: a second stop() to hurry the first one crashes the process when both finish together (grpcio 1.81).
    await server.stop(drain_s)
    late.cancel()
