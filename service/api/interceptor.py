"""The door of the server: who calls, whether he may, and whether there is room, for every call of every service."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass, field

import grpc

from service.api.call import Call
from service.api.entry import Context, Handler, ServedMethod, guarded
from service.api.limits import Rate, Slots
from service.errors import NoSuchMethod
from service.monitoring.records import Watch
from service.pb.epcsentinel.v1 import anomaly_pb2 as pb
from service.security import auth
from service.security.watched_files import Watched
from service.settings import Settings

_OURS = f"/{pb.DESCRIPTOR.package}."

_CHECKS, _CHECKS_OF_PEER = 100, 10
_WATCHES, _WATCHES_OF_PEER = 1_000, 8
"""Calls of health at a time, which are open to everybody: of all, and of one address."""

_MESSAGE_S = 5.0
"""Seconds within which the message of a call of health is there: one that never comes holds a slot no longer."""


@dataclass(frozen=True, slots=True)
class HealthSlots:
    """Room for calls of health. A Watch lasts, and takes no room from a Check."""

    checks: Slots = field(default_factory=lambda: Slots("health checks", _CHECKS, _CHECKS_OF_PEER))
    watches: Slots = field(default_factory=lambda: Slots("health watches", _WATCHES, _WATCHES_OF_PEER))


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits that hold before a request is read; that on events holds after (`service.api.servicer`)."""

    calls: Slots
    streams: Slots
    calls_per_s: Rate | None
    health: HealthSlots = field(default_factory=HealthSlots)


class EntryInterceptor(grpc.aio.ServerInterceptor):
    """Says who calls, whether he may, and whether there is room; answers with an error if not."""

    def __init__(
        self,
        verifier: Callable[[], auth.Verify] | None,
        limits: Limits,
        *,
        certificates: bool,
        watch: Watch,
    ) -> None:
        """Make the door.

        Args:
            verifier: returns what knows bearer tokens; None: nobody needs one.
            limits: what there is room for.
            certificates: callers prove themselves by TLS, and are known by it where no token is needed.
            watch: told of every call.
        """
        self._verifier = verifier
        self._limits = limits
        self._certificates = certificates
        self._watch = watch

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        """Return the method's handler behind the door; also where there is none, so that only callers learn that."""
        handler, path = await continuation(handler_call_details), str(handler_call_details.method)
        name, ours = path.rpartition("/")[2] if handler else "unknown", handler is not None and path.startswith(_OURS)
        handler = handler or grpc.unary_unary_rpc_method_handler(_unknown)
        stream = bool(handler.request_streaming or handler.response_streaming)

        def enter(context: Context, call: Call, stack: ExitStack) -> float | None:
            return self._enter(path, context, call, stack, stream=stream)

        return guarded(ServedMethod(name, handler, self._watch, ours=ours), enter)

    def _enter(self, path: str, context: Context, call: Call, stack: ExitStack, *, stream: bool) -> float | None:
        """Let the call in, have ``stack`` give back what it takes, and return how many seconds its message may take.

        Raises:
            Unauthenticated, PermissionDenied, Overloaded: it has to stay outside.
        """
        if auth.is_open(path):
            health = self._limits.health
            stack.enter_context((health.watches if stream else health.checks).taken(call.address))
            return _MESSAGE_S
        who = self._identify(context, call)
        auth.set_caller(who)
        auth.authorize(who, path)
        if self._limits.calls_per_s:
            self._limits.calls_per_s.spend(who.name, 1)
        stack.enter_context((self._limits.streams if stream else self._limits.calls).taken(who.name))
        return None

    def _identify(self, context: Context, call: Call) -> auth.Caller:
        if self._verifier is not None:
            return self._verifier()(auth.bearer_token(context.invocation_metadata() or ()))
        if self._certificates:
            return auth.named("cert", auth.certificate_name(context.auth_context()), {auth.Role.ANALYZE})
        return auth.named("anonymous", call.address, auth.EVERY_ROLE)


def build_interceptor(settings: Settings, watch: Watch) -> EntryInterceptor:
    """Return the door that the settings ask for; ``watch`` is told of every call.

    Raises:
        SettingsError: a file of keys cannot be used.
    """
    verifiers: list[Watched[auth.Verify]] = []
    if settings.auth_keys:
        verifiers.append(Watched("--auth-keys", [settings.auth_keys], auth.parse_keys))
    if settings.auth_jwks:
        from service.security.jwt_keys import jwt_parser  # noqa: PLC0415 - a gateway without JWT does without the library

        parse = jwt_parser(settings.auth_issuer or "", settings.auth_audience or "")
        verifiers.append(Watched("--auth-jwks", [settings.auth_jwks], parse))
    limits = Limits(
        calls=Slots("calls", settings.max_calls, settings.max_calls_per_caller),
        streams=Slots("streams", settings.max_streams, settings.max_streams_per_caller),
        calls_per_s=rate(settings, "calls", settings.rate_limit_calls_per_s),
    )
    verifier = (lambda: auth.first_of([watched.value for watched in verifiers])) if verifiers else None
    return EntryInterceptor(verifier, limits, certificates=settings.tls_client_ca is not None, watch=watch)


def build_probe_interceptor(watch: Watch) -> EntryInterceptor:
    """Return the door of the port that answers health alone; ``watch`` is told of every call.

    Its slots are its own: who fills those of the port that serves takes none from kubelets.
    """
    others = Slots("calls", _CHECKS)
    limits = Limits(calls=others, streams=others, calls_per_s=None)
    return EntryInterceptor(None, limits, certificates=False, watch=watch)


def rate(settings: Settings, what: str, per_s: float | None) -> Rate | None:
    """Return the limit on ``what`` per second and caller, None if there is none."""
    return None if per_s is None else Rate(what, per_s, settings.rate_limit_burst_s)


async def _unknown(_request: bytes, _context: Context) -> None:
    raise NoSuchMethod("no such method")
