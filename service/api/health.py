"""grpc.health.v1: readiness follows the model, by a golden probe that runs all the time; liveness does not."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped]

from service.errors import NoUsableModel, SentinelError

LIVENESS = "liveness"
"""What kubelets ask before they restart a gateway, which brings no model server back."""

_Status = health_pb2.HealthCheckResponse
_SOON_S = 1.0
"""Seconds between probes of what is down: back is to be noticed soon."""

_LEVEL = {"ready": logging.INFO, "degraded": logging.WARNING, "not ready": logging.WARNING}
_Context = grpc.aio.ServicerContext[Any, Any]

log = structlog.get_logger("epc_sentinel.health")


class HealthServicer(health_pb2_grpc.HealthServicer):  # type: ignore[misc]
    """One status for the server and its services, and that of `LIVENESS`.

    The one of grpcio-health-checking keeps watchers for ever, which holds up a drain until its time is over.
    """

    def __init__(self, services: tuple[str, ...]) -> None:
        """Start NOT_SERVING: nothing is known of the model yet. Args: ``services`` the names to answer for."""
        self._services = services
        self._serving = False
        self._draining = False
        self._changed = asyncio.Condition()

    async def set_serving(self, serving: bool) -> None:
        """Say SERVING or NOT_SERVING; a server that drains stays NOT_SERVING."""
        async with self._changed:
            self._serving = serving and not self._draining
            self._changed.notify_all()

    async def drain(self) -> None:
        """Say NOT_SERVING for good, and let the watchers go."""
        self._draining = True
        await self.set_serving(False)

    async def Check(self, request: Any, context: _Context) -> Any:  # noqa: ANN401, N802 - the stubs have no types
        """Answer the status, NOT_FOUND for a service that is not here."""
        if (status := self._status(request.service)) is _Status.SERVICE_UNKNOWN:
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such service")
        return _Status(status=status)

    async def Watch(self, request: Any, context: _Context) -> None:  # noqa: ANN401, N802 - as above
        """Tell the status, and every change of it, until the server drains."""
        told = None
        while True:
            status = self._status(request.service)
            if status != told:
                await context.write(_Status(status=status))
                told = status
                continue  # it may have changed meanwhile, for the last time
            if self._draining:
                return
            async with self._changed:
                while not self._draining and self._status(request.service) == told:
                    await self._changed.wait()

    def _status(self, service: str) -> Any:  # noqa: ANN401 - as above
        if service == LIVENESS:
            return _Status.NOT_SERVING if self._draining else _Status.SERVING
        if service not in self._services:
            return _Status.SERVICE_UNKNOWN
        return _Status.SERVING if self._serving else _Status.NOT_SERVING


async def follow_model(
    health: HealthServicer, probe: Callable[[], Awaitable[None]], *, fallback: bool, interval_s: float
) -> None:
    """Probe for ever. A model that is down at first, or dies later, is back as soon as a probe succeeds.

    Args:
        health: told what the probes find.
        probe: raises SentinelError if the model cannot answer.
        fallback: rules answer then, so that the gateway stays SERVING, and says in the log that it is degraded. Not
            so where there never was a usable model: then it is NOT_SERVING, and rules judge what comes all the same.
        interval_s: seconds between probes.
    """
    before = ""
    while True:
        state, reason = await _ask(probe, fallback=fallback)
        if state != before:
            log.log(_LEVEL[state], state, **({"reason": reason} if reason else {}))
        before = state
        await health.set_serving(state != "not ready")
        await asyncio.sleep(interval_s if state == "ready" else min(interval_s, _SOON_S))


async def _ask(probe: Callable[[], Awaitable[None]], *, fallback: bool) -> tuple[str, str]:
    """Return (state, reason): "ready", or "degraded" or "not ready" and why."""
    try:
        await probe()
    except NoUsableModel as error:  # rules judge what comes, and a rollout does not go on with it
        return "not ready", str(error)
    except SentinelError as error:
        reason = str(error)
    except Exception as error:  # a bug in the probe must not end the watch over the model
        log.error("the probe failed", exc_info=error)
        reason = "internal error"
    else:
        return "ready", ""
    return ("degraded" if fallback else "not ready"), reason


async def follow_dependency(name: str, ping: Callable[[], Awaitable[None]], *, interval_s: float) -> None:
    """Ask "history", "svm" or "canary" for ever, and log when answers go without it, and when they have it again.

    The gateway stays SERVING: it judges without history, by rules instead of the SVMs, or by the model in use instead
    of its canary, and says so in the answers.
    """
    before = f"{name} ready"
    while True:
        try:
            await ping()
        except SentinelError as error:
            state, reason = f"{name} degraded", str(error)
        except Exception as error:  # a bug in the client must not end the watch over the server
            log.error("a ping failed", dependency=name, exc_info=error)
            state, reason = f"{name} degraded", "internal error"
        else:
            state, reason = f"{name} ready", ""
        if state != before:
            log.log(logging.WARNING if reason else logging.INFO, state, **({"reason": reason} if reason else {}))
        before = state
        await asyncio.sleep(min(interval_s, _SOON_S) if reason else interval_s)
