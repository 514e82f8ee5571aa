"""The same requests to the gateway and its peers: bytes made before, eight calls in flight, by gRPC or HTTP."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from service.bench.load import CONNECTIONS, Load, Request, Server, closed_loop, drive
from service.bench.run import requests_of
from service.pb.epcsentinel.v1 import anomaly_pb2 as pb
from service.rawfiles.columns import read_files
from tests.tools.peers.detector import KINDS
from tests.tools.peers.servers import HTTP
from tests.tools.peers.with_grpc import METHOD
from training.simulation.world import simulate

IN_FLIGHT = 8

_EPCS, _SEED = 20_000, 5
_REQUEST_EVENTS = 25_000
_CALL_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Bodies:
    """The same requests as messages and as JSON."""

    messages: list[Request]
    json: list[Request]

    def of(self, name: str) -> list[Request]:
        """Return those that a server of this name takes."""
        return self.json if name in HTTP else self.messages


def some_bodies(sizes: Sequence[int]) -> dict[int, Bodies]:
    """Return requests of about so many events each, of a simulated world: whole items."""
    with tempfile.TemporaryDirectory() as folder:
        simulate(Path(folder), _EPCS, _SEED, None)
        events = read_files([Path(folder) / "icn.csv"]).events
    messages = {size: requests_of(events, size)[: max(4, _REQUEST_EVENTS // size)] for size in sizes}
    return {
        size: Bodies(found, [Request(to_json(one.body), one.events) for one in found])
        for size, found in messages.items()
    }


def to_json(message: bytes) -> bytes:
    """Return a serialised AnalyzeRequest as rows of JSON, without a space."""
    rows = [
        {
            "event_id": event.event_id,
            "epc_code": event.epc_code,
            "location_id": event.location_id,
            "business_step": event.business_step,
            "event_type": event.event_type,
            "event_time": event.event_time.ToJsonString(),
            "file_id": event.file_id,
        }
        for event in pb.AnalyzeRequest.FromString(message).data
    ]
    return json.dumps({"data": rows}, separators=(",", ":")).encode()


class HttpCall:
    """POST to /analyze over one connection that stays; the least of a client that there can be."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def __call__(self, body: bytes) -> bytes:
        """Return the body of the answer.

        Raises:
            RuntimeError: the status is not 200.
        """
        head = f"POST /analyze HTTP/1.1\r\nHost: peer\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
        self._writer.write(head.encode() + b"\r\n\r\n" + body)
        status, *lines = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower().split("\r\n")
        fields = dict(line.split(": ", 1) for line in lines if line)
        answer = await self._reader.readexactly(int(fields["content-length"]))
        if " 200 " not in status:
            raise RuntimeError(f"{status}: {answer.decode()[:500]}")
        return answer


async def load(name: str, server: Server, bodies: Bodies, seconds: float) -> Load:
    """Measure a server for so long, over new connections: the processes of a port share them anew each time."""
    requests = bodies.of(name)
    if name not in HTTP:
        return await drive(server, METHOD, requests, IN_FLIGHT, seconds)
    async with AsyncExitStack() as stack:
        calls = [await _connected(stack, server) for _ in range(min(IN_FLIGHT, CONNECTIONS))]
        await asyncio.gather(*(call(requests[0].body) for call in calls))
        return await closed_loop(server, calls, requests, IN_FLIGHT, seconds)


async def _connected(stack: AsyncExitStack, server: Server) -> HttpCall:
    host, _, port = server.target.partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    stack.callback(writer.close)
    return HttpCall(reader, writer)


async def flagged(name: str, server: Server, bodies: Bodies) -> dict[int, set[str]]:
    """Return the kinds that a server flags in the first request, by event."""
    body = bodies.of(name)[0].body
    if name in HTTP:
        async with AsyncExitStack() as stack:
            call = await _connected(stack, server)
            found: list[dict[str, Any]] = json.loads(await call(body))["event_history"]
        return {finding["event_id"]: {kind for kind in KINDS if finding.get(kind)} for finding in found}
    async with grpc.aio.insecure_channel(server.target) as channel:
        answer = await channel.unary_unary(METHOD)(body, timeout=_CALL_TIMEOUT_S, wait_for_ready=True)
    findings = pb.AnalyzeResponse.FromString(answer).event_history
    return {finding.event_id: {kind for kind in KINDS if getattr(finding, kind)} for finding in findings}
