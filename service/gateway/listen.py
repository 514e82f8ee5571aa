"""The ports of a gateway: the one that serves, and one that answers health alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped]

from service.api.health import HealthServicer
from service.api.interceptor import EntryInterceptor
from service.api.reflection import add_reflection
from service.errors import CommandError
from service.settings import Settings, place

MAX_METADATA_BYTES = 32 * 1024
"""Metadata of a call, its token included; 32 bytes more for each key, as HTTP/2 counts."""

_GRACE_S = 60.0
"""Seconds beyond the greatest age of a stream that a connection gets to end in: longer is a call nobody waits for."""

_MAX_MS = 2**31 - 1
"""For gRPC that is for ever."""

KEEPALIVE = (
    # Finds dead peers, and allows clients to keep idle connections alive through load balancers.
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 1),
    # Clients ping every 10 s at most (Java allows no less); half of that, because packets come early and late. A caller
    # who pings more often is cut off with "Too many pings".
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
)
"""Options of every server here. gRPC takes a name that it does not know without a word: `tests.system` checks them."""

_HEALTH_SERVICE = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name


class Service(NamedTuple):
    """A service of the server."""

    name: str  # in full
    handler: grpc.GenericRpcHandler
    described: bool = True  # reflection tells of it


def listen(
    settings: Settings,
    interceptor: EntryInterceptor,
    services: Sequence[Service],
    health: HealthServicer,
    *,
    shared: bool,
) -> tuple[grpc.aio.Server, int]:
    """Return (the server, its port), bound and not started; ``shared``: other processes listen on it too."""
    server = grpc.aio.server(
        interceptors=[interceptor],
        options=[
            ("grpc.max_receive_message_length", settings.max_message_bytes),
            ("grpc.max_send_message_length", -1),
            # With SO_REUSEPORT a second gateway on the same port would start, and quietly share the calls.
            ("grpc.so_reuseport", int(shared)),
            # Probing grows the window of a stream to 4 MiB, which a caller that never reads would make us hold; without
            # it 64 KiB of requests wait, and larger messages still get the room that they announce.
            ("grpc.http2.bdp_probe", 0),
            *KEEPALIVE,
            # Clients ask for addresses only when a connection ends: without an age none would ever see a new gateway.
            ("grpc.max_connection_age_ms", _ms(settings.max_connection_age_s)),
            # What runs then is not cut off: a stream ends by itself, with a word, at its own greatest age.
            ("grpc.max_connection_age_grace_ms", _ms(settings.max_stream_age_s + _GRACE_S)),
            # gRPC inflates a compressed message before it looks at its size: half a megabyte becomes half a gigabyte.
            ("grpc.compression_enabled_algorithms_bitset", 1),
            # Two minutes otherwise: connections that never finish their handshake would pile up.
            ("grpc.server_handshake_timeout_ms", 20_000),
            # One limit: between two, gRPC refuses by chance. Tokens with many roles have 8 to 17 kB.
            ("grpc.max_metadata_size", MAX_METADATA_BYTES),
            ("grpc.absolute_max_metadata_size", MAX_METADATA_BYTES),
        ],
    )
    server.add_generic_rpc_handlers(tuple(service.handler for service in services))
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    add_reflection(server, (*(service.name for service in services if service.described), _HEALTH_SERVICE))
    credentials = None
    if settings.tls_cert and settings.tls_key:
        from service.security.tls import server_credentials  # noqa: PLC0415 - a gateway without TLS does without the library

        credentials = server_credentials(settings.tls_cert, settings.tls_key, settings.tls_client_ca)
    return server, _bind(server, settings.host, settings.port, credentials)


def _ms(seconds: float) -> int:
    return min(int(seconds * 1e3), _MAX_MS)


def _bind(server: grpc.aio.Server, host: str, port: int, credentials: grpc.ServerCredentials | None = None) -> int:
    """Return the port that the server listens on."""
    address = place(host, port)
    try:
        bound = server.add_secure_port(address, credentials) if credentials else server.add_insecure_port(address)
    except RuntimeError:
        bound = 0
    if bound == 0:
        raise CommandError(
            f"cannot listen on {address}: in use, or not an address of this machine;"
            " choose others with --host and --port"
        )
    return bound


async def listen_for_probes(
    settings: Settings, interceptor: EntryInterceptor, health: HealthServicer, *, shared: bool
) -> tuple[grpc.aio.Server, int] | None:
    """Return (a started server of health alone, its port) if one is wanted: kubelets cannot speak TLS to gRPC."""
    if settings.health_port is None:
        return None
    options = [("grpc.so_reuseport", int(shared)), *KEEPALIVE]
    server = grpc.aio.server(interceptors=[interceptor], options=options)
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    port = _bind(server, settings.host, settings.health_port)
    await server.start()
    return server, port
