"""Readiness follows the model: a golden probe runs all the time, and grpc.health.v1 says what it found."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from grpc_health.v1 import health_pb2  # type: ignore[import-untyped]
from grpc_health.v1.health import aio as health_aio  # type: ignore[import-untyped]

from service.errors import SentinelError

_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING

log = structlog.get_logger("epc_sentinel.health")


class Readiness:
    """Keeps the health of the server and of its services at what the last probe of the model found."""

    def __init__(
        self,
        servicer: health_aio.HealthServicer,
        services: tuple[str, ...],
        probe: Callable[[], Awaitable[None]],
        *,
        fallback: bool,
        interval_s: float,
    ) -> None:
        """Args: ``probe`` raises SentinelError if the model cannot answer; with ``fallback`` rules serve then."""
        self._servicer = servicer
        self._services = services
        self._probe = probe
        self._fallback = fallback
        self._interval_s = interval_s
        self._state = ""

    async def start(self) -> None:
        """Say NOT_SERVING: nothing is known of the model yet."""
        await self._say(_NOT_SERVING)

    async def watch(self) -> None:
        """Probe for ever. A model that is down at first, or dies later, is back as soon as a probe succeeds."""
        while True:
            try:
                await self._probe()
            except SentinelError as error:
                await self._enter("degraded" if self._fallback else "not ready", str(error))
            except Exception as error:
                log.error("probe failed unexpectedly", exc_info=error)
                await self._enter("degraded" if self._fallback else "not ready", "internal error")
            else:
                await self._enter("ready", "")
            await asyncio.sleep(self._interval_s)

    async def drain(self) -> None:
        """Say NOT_SERVING for good."""
        await self._servicer.enter_graceful_shutdown()

    async def _enter(self, state: str, reason: str) -> None:
        if state != self._state:
            if state == "ready":
                log.info("ready")
            else:
                log.warning(state, reason=reason, answers_by="rules" if self._fallback else "nobody")
            self._state = state
        await self._say(_NOT_SERVING if state == "not ready" else _SERVING)

    async def _say(self, status: health_pb2.HealthCheckResponse.ServingStatus.ValueType) -> None:
        for service in self._services:
            await self._servicer.set(service, status)
