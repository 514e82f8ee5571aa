"""The gateway process: parts, server, health, reflection, and a drain that loses no call."""

from __future__ import annotations

import asyncio
import faulthandler
import gc
import signal
import sys
from collections.abc import Awaitable, Callable

import grpc
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped]

from service.admission import Admission
from service.allocator import keep_freed_memory
from service.backends_triton import untraced
from service.console import CommandError
from service.guard import MAX_PROBES, Guard, build_guard, rate
from service.health import HealthServicer, follow_dependency, follow_model
from service.monitoring import Monitoring
from service.parts import Parts, build_parts
from service.reflection import add_reflection
from service.rpc import SERVICE, AnomalyServicer
from service.settings import Settings
from service.tracing import build_tracing

_HEALTH_SERVICE = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name

_SWITCH_S = 0.0005
"""Seconds a thread may keep the interpreter: with Python's 5 ms, health checks wait 100 ms behind large requests."""

_GC_THRESHOLD = 20_000
"""New objects between two searches for garbage cycles: a large request makes 100,000 objects that are in no cycle."""

_STOP_S, _LOGS_S = 2.0, 11.0
"""What gRPC, probes and connections, and what logs and traces get to end in, after the drain."""

_CLOSE_S = 18.0
"""Seconds after its drain in which a gateway is gone, whatever happens; `service.workers` waits a little longer."""

log = structlog.get_logger("epc_sentinel.server")


Bond = Callable[[Monitoring, Callable[[], object]], None]
"""What ties a worker to the process that minds it: told once the gateway listens, with what that process asks for, and
what ends the gateway when that process is gone."""


async def serve(settings: Settings, bond: Bond | None = None) -> None:
    """Serve until SIGTERM or SIGINT, then drain. Args: ``bond`` is given to one of several that share the port.

    Raises:
        ModelRepositoryError: the model repository cannot be used.
        CommandError: the address cannot be listened on.
    """
    sys.setswitchinterval(_SWITCH_S)
    keep_freed_memory()
    gc.set_threshold(_GC_THRESHOLD)
    stop = _stop_event()
    tracing = build_tracing(settings)
    parts = build_parts(settings, tracing.outgoing if tracing else untraced)
    monitoring = Monitoring(settings, parts, tracing, http=bond is None)
    admission = Admission(settings.max_events_per_request, settings.max_events_in_flight)
    servicer = AnomalyServicer(
        parts.analyzer,
        admission=admission,
        events_per_s=rate(settings, "events", settings.rate_limit_events_per_s),
        max_stream_age_s=settings.max_stream_age_s,
        watch=monitoring.watch,
    )
    monitoring.metrics.gauge("calls_in_flight", "gRPC calls that run now.", lambda: servicer.running)
    monitoring.metrics.gauge("events_in_flight", "Events at work or waiting for their turn.", lambda: admission.events)
    health = HealthServicer(("", SERVICE.full_name))
    guard = build_guard(settings, monitoring.watch.refused)
    server, port = _listen(settings, guard, servicer, health, shared=bond is not None)
    gc.freeze()  # what lives as long as the process is not searched again and again
    await server.start()
    probed = await _listen_for_probes(settings, health, shared=bond is not None)
    event = "listening" if bond is None else "worker listening"
    _say_listening(event, settings, parts, port, monitoring.port, probed[1] if probed else None)
    if bond is not None:
        loop = asyncio.get_running_loop()
        bond(monitoring, lambda: loop.call_soon_threadsafe(stop.set))
    watches = _watch_dependencies(settings, parts, monitoring, health)
    await stop.wait()
    log.info("draining", at_most_s=settings.drain_s)
    # The last resort, for the end of the interpreter too: all threads tell where they stand, and the process is over.
    faulthandler.dump_traceback_later(settings.drain_s + _CLOSE_S, exit=True)
    await health.drain()
    await _ended("server", _drain(server, servicer, settings.drain_s), settings.drain_s + _STOP_S)
    if probed:
        await _ended("server of probes", probed[0].stop(0), _STOP_S)
    for watch in watches:
        watch.cancel()
    await _ended("probes", asyncio.gather(*watches, return_exceptions=True), _STOP_S)
    await _ended("logs and traces", asyncio.to_thread(monitoring.close), _LOGS_S)
    await _ended("connections", parts.close(), _STOP_S)
    log.info("stopped")


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
    event: str, settings: Settings, parts: Parts, port: int, metrics_port: int | None, health_port: int | None
) -> None:
    log.info(
        event,
        host=settings.host,
        port=port,
        metrics_port=metrics_port,
        backend=settings.backend,
        model=f"{parts.model.name}/{parts.model.version}",
        tls="off" if settings.tls_cert is None else "mutual" if settings.tls_client_ca else "on",
        auth="+".join(how for how, of in (("keys", settings.auth_keys), ("jwt", settings.auth_jwks)) if of) or "off",
        **({"health_port": health_port} if health_port is not None else {}),
        **({"canary": f"{parts.canary.name}/{parts.canary.version}"} if parts.canary else {}),
    )


def _watch_dependencies(
    settings: Settings, parts: Parts, monitoring: Monitoring, health: HealthServicer
) -> list[asyncio.Task[None]]:
    """Return the tasks that probe the models and the history's server."""
    interval_s = settings.probe_interval_s
    probe = monitoring.metrics.watched("model", parts.probe)
    watches = [asyncio.create_task(follow_model(health, probe, fallback=settings.fallback, interval_s=interval_s))]
    others: dict[str, Callable[[], Awaitable[None]]] = {}
    if parts.svm is not None:
        others["svm"] = parts.probe_svm
    if parts.store is not None:
        others["history"] = parts.store.ping
    for name, ask in others.items():
        follow = follow_dependency(name, monitoring.metrics.watched(name, ask), interval_s=interval_s)
        watches.append(asyncio.create_task(follow))
    return watches


def _stop_event() -> asyncio.Event:
    """Return an event that SIGTERM and SIGINT set."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


def _listen(
    settings: Settings, guard: Guard, servicer: AnomalyServicer, health: HealthServicer, *, shared: bool
) -> tuple[grpc.aio.Server, int]:
    """Return (the server, its port), bound and not started; ``shared``: other processes listen on it too."""
    server = grpc.aio.server(
        interceptors=[guard],
        options=[
            ("grpc.max_receive_message_length", settings.max_message_bytes),
            ("grpc.max_send_message_length", -1),
            # With SO_REUSEPORT a second gateway on the same port would start, and quietly share the calls.
            ("grpc.so_reuseport", int(shared)),
            # Probing grows the window of a stream to 4 MiB, which a caller that never reads would make us hold; without
            # it 64 KiB of requests wait, and larger messages still get the room that they announce.
            ("grpc.http2.bdp_probe", 0),
            # Finds dead peers, and allows clients to keep idle connections alive through load balancers.
            ("grpc.keepalive_time_ms", 60_000),
            ("grpc.keepalive_timeout_ms", 20_000),
            ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
            ("grpc.keepalive_permit_without_calls", 1),
            # gRPC inflates a compressed message before it looks at its size: half a megabyte becomes half a gigabyte.
            ("grpc.compression_enabled_algorithms_bitset", 1),
            # Two minutes otherwise: connections that never finish their handshake would pile up.
            ("grpc.server_handshake_timeout_ms", 20_000),
        ],
    )
    server.add_generic_rpc_handlers((servicer.handler(),))
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    add_reflection(server, (SERVICE.full_name, _HEALTH_SERVICE))
    credentials = None
    if settings.tls_cert and settings.tls_key:
        from service.tls import server_credentials  # noqa: PLC0415 - a gateway without TLS does without the library

        credentials = server_credentials(settings.tls_cert, settings.tls_key, settings.tls_client_ca)
    return server, _bind(server, settings.host, settings.port, credentials)


def _bind(server: grpc.aio.Server, host: str, port: int, credentials: grpc.ServerCredentials | None = None) -> int:
    """Return the port that the server listens on."""
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        bound = server.add_secure_port(address, credentials) if credentials else server.add_insecure_port(address)
    except RuntimeError:
        bound = 0
    if bound == 0:
        raise CommandError(
            f"cannot listen on {host}:{port}: in use, or not an address of this machine;"
            " choose others with --host and --port"
        )
    return bound


async def _listen_for_probes(
    settings: Settings, health: HealthServicer, *, shared: bool
) -> tuple[grpc.aio.Server, int] | None:
    """Return (a started server of health alone, its port) if one is wanted: kubelets cannot speak TLS to gRPC."""
    if settings.health_port is None:
        return None
    server = grpc.aio.server(options=[("grpc.so_reuseport", int(shared))], maximum_concurrent_rpcs=MAX_PROBES)
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    port = _bind(server, settings.host, settings.health_port)
    await server.start()
    return server, port


async def _drain(server: grpc.aio.Server, servicer: AnomalyServicer, drain_s: float) -> None:
    """Refuse new calls at once, and return when the running ones are done, or cut off after ``drain_s`` seconds."""

    def say_so() -> None:
        if servicer.running:
            log.warning("drain time is over", cut_off=servicer.running)

    loop = asyncio.get_running_loop()
    late = loop.call_later(drain_s, say_so)
    loop.call_soon(servicer.drain)  # after stop() has closed the door: no stream may come back in by it
    # Once only: a second stop() to hurry the first one crashes the process when both finish together (grpcio 1.81).
    await server.stop(drain_s)
    late.cancel()
