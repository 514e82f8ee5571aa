"""What routers share: the settings, the store of findings and the way to the gateway."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, TypeVar, cast

import grpc
from fastapi import Depends
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped]
from starlette.requests import HTTPConnection

from service.client.access import Access
from service.client.retries import SERVICE
from service.findings.store import FindingsStore
from service.web.files.queue import FileQueue
from service.web.guard.sessions import Sessions
from service.web.judge import GatewayJudge
from service.web.oldpaths.requests import RequestReader
from service.web.settings import WebSettings

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of a running web service."""

    settings: WebSettings
    store: FindingsStore
    access: Access
    channel: grpc.aio.Channel
    judge: GatewayJudge
    reader: RequestReader
    files: FileQueue
    sessions: Sessions | None  # None: everybody may come in

    async def gateway_health(self, within_s: float = 2.0) -> str:
        """Return SERVING, NOT_SERVING, or UNREACHABLE if nobody answers."""
        stub = health_pb2_grpc.HealthStub(self.channel)
        try:
            answer = await stub.Check(health_pb2.HealthCheckRequest(service=SERVICE), timeout=within_s)
        except grpc.aio.AioRpcError:
            return "UNREACHABLE"
        return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))


def parts_of(connection: HTTPConnection) -> Parts:
    """Return the parts of the app that a request came to."""
    return cast("Parts", connection.app.state.parts)


async def blocking(work: Callable[[], _T]) -> _T:
    """Run a call of the store, which blocks, in a thread."""
    return await asyncio.to_thread(work)


TheParts = Annotated[Parts, Depends(parts_of)]
