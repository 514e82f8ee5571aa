"""A gateway with TLS, and channels to it."""

from __future__ import annotations

from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.support.gateway import Gateway
from tests.support.secrets import Identity, authority

CA = authority()


def flags(files: Path, *, mutual: bool) -> list[str]:
    given = ["--tls-cert", str(files / "server.pem"), "--tls-key", str(files / "server-key.pem"), "--health-port", "0"]
    return [*given, "--tls-client-ca", str(files / "ca.pem")] if mutual else given


def open_channel(target: str, ca: Identity = CA, client: Identity | None = None) -> grpc.Channel:
    """Return a channel with a connection of its own, so that it does a handshake of its own."""
    pair = (client.key_pem, client.cert_pem) if client else (None, None)
    credentials = grpc.ssl_channel_credentials(ca.cert_pem, *pair)
    return grpc.secure_channel(target, credentials, [("grpc.use_local_subchannel_pool", 1)])


def wait_ready(gateway: Gateway) -> None:
    """Wait for SERVING at the port of the probes, which has no TLS."""
    port = gateway.wait_log("listening")["health_port"]
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        for status in health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=60):
            if status.status == health_pb2.HealthCheckResponse.SERVING:
                return
    raise AssertionError("the gateway is not ready")
