"""Which failures of a gateway pass, so that the same is sent again: by gRPC for calls, by our client for streams."""

from __future__ import annotations

import json

import grpc

from service.client.access import Options
from service.pb.epcsentinel.v1 import anomaly_pb2 as pb

SERVICE = pb.DESCRIPTOR.services_by_name["AnomalyService"].full_name

PASSING = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.CANCELLED})
"""Gateway away, gateway full. CANCELLED is what gRPC makes of a call that meets a server which begins to stop, before
anybody has looked at it: one call per restart at 300 calls a second. A call that the caller cancels himself is over."""

_KEPT_BYTES = 64 * 2**20
"""What gRPC keeps of calls to send it again, 256 KiB if nobody says so; a larger request gets one attempt."""


def retried() -> Options:
    """Return options of a channel whose calls go to all gateways in turn, wait for one, and are sent again.

    That is what docs/java.md asks of every client: attempts are few, and none is spent while no gateway is there.
    """
    policy = {
        "maxAttempts": 5,
        "initialBackoff": "0.5s",
        "maxBackoff": "5s",
        "backoffMultiplier": 2,
        "retryableStatusCodes": sorted(code.name for code in PASSING),
    }
    method = {"name": [{"service": SERVICE}], "waitForReady": True, "retryPolicy": policy}
    config = {"loadBalancingConfig": [{"round_robin": {}}], "methodConfig": [method]}
    return [
        ("grpc.service_config", json.dumps(config)),
        ("grpc.per_rpc_retry_buffer_size", _KEPT_BYTES),
        ("grpc.max_reconnect_backoff_ms", 1000),
    ]
