"""What surrounds every handler of the server, the one border of every call: entry before anything is read, one line in
the log, and no error that shows internals.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, TypeAlias

import grpc
import structlog
from google.protobuf.message import DecodeError

from service.api.call import Call, begin
from service.api.status import CallStatus, cancelled_code, reason_of, request_id, status_of
from service.errors import DeadlineExceeded, InvalidRequest, Unauthenticated
from service.monitoring.records import Refusal, Watch
from service.security.auth import caller

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"

Enter = Callable[[Context, Call, ExitStack], float | None]
"""Lets a call in, has the stack give back what it takes, and returns how many seconds its message may take; raises
SentinelError if it has to stay outside."""

_SETTLE_S = 0.02
"""A call that broke off reads as one without a message: its cancellation comes a moment later."""

_NO_MESSAGE = "ended before its message was there: larger than --max-message-bytes, or given up by the caller"
"""gRPC itself refuses what is too large, and shows it as a cancelled call."""

log = structlog.get_logger("epc_sentinel.call")


@dataclass(frozen=True, slots=True)
class ServedMethod:
    """A method as its border sees it."""

    name: str  # for logs and metrics
    handler: Handler
    watch: Watch  # told how calls ended
    ours: bool  # of a service of this project: each call is told of, not only those that fail


def guarded(method: ServedMethod, enter: Enter) -> Handler:
    """Return a handler that runs the one of ``method`` for calls that ``enter`` lets in.

    Towards gRPC it takes a stream, also where the method takes one message: gRPC would otherwise take in that message,
    megabytes perhaps, before anybody has looked at who sends it.
    """
    handler = method.handler
    takes = "stream" if handler.request_streaming else "unary"
    gives = "stream" if handler.response_streaming else "unary"
    inner: Any = getattr(handler, f"{takes}_{gives}")
    deserialize = handler.request_deserializer

    async def let_in(request: Any, context: Context, call: Call, stack: ExitStack) -> Any:  # noqa: ANN401 - what it takes
        limit_s = enter(context, call, stack)
        message = request if takes == "stream" else await _only_message(context, deserialize, limit_s)
        call.entered = True
        return message

    async def awaited(request: Any, context: Context) -> Any:  # noqa: ANN401 - what the method gives
        with _Border(method, context) as border, ExitStack() as stack:
            try:
                return await inner(await let_in(request, context, border.call, stack), context)
            except Exception as error:
                await border.end(error)

    async def written(request: Any, context: Context) -> None:  # noqa: ANN401 - what the method takes
        with _Border(method, context) as border, ExitStack() as stack:
            try:
                async for answer in inner(await let_in(request, context, border.call, stack), context):
                    await context.write(answer)  # gRPC, given a generator, logs a traceback when the caller has left
            except Exception as error:
                await border.end(error)

    make: Any = getattr(grpc, f"stream_{gives}_rpc_method_handler")
    behaviour = written if inspect.isasyncgenfunction(inner) else awaited
    read_by_grpc = deserialize if takes == "stream" else None
    return make(behaviour, read_by_grpc, handler.response_serializer)  # type: ignore[no-any-return]


async def _only_message(context: Context, deserialize: Callable[[bytes], Any] | None, limit_s: float | None) -> Any:  # noqa: ANN401 - what the method takes
    try:
        async with asyncio.timeout(limit_s):
            raw = await context.read()
    except TimeoutError:
        raise DeadlineExceeded(f"the message of the call was not there within {limit_s:g} s") from None
    if not isinstance(raw, bytes):  # it is grpc.aio.EOF
        await asyncio.sleep(_SETTLE_S)
        raise InvalidRequest([("request", "is missing: send one message")])
    return deserialize(raw) if deserialize else raw


class _Border:
    """Around one call: whatever its end is, it is told once."""

    def __init__(self, method: ServedMethod, context: Context) -> None:
        self.call = begin(Call(method.name, request_id(context), context.peer()))
        self._method, self._context = method, context
        self._told = False

    def __enter__(self) -> _Border:
        return self

    def __exit__(self, _type: object, error: BaseException | None, _trace: object) -> None:
        if self._told:
            return
        if error is None:
            self._tell("OK")
        elif isinstance(error, asyncio.CancelledError):
            self._tell(cancelled_code(self._context))

    async def end(self, error: Exception) -> None:
        """End the call with the status of ``error``; raises always."""
        if isinstance(error, grpc.aio.AbortError):
            self._told = True
            raise error  # the handler has ended it
        if isinstance(error, grpc.aio.InternalError):
            raise asyncio.CancelledError from None  # how a write ends whose call was cancelled
        if isinstance(error, DecodeError):
            error = InvalidRequest([("request", "is not a valid message of this method")])
        status = self._failed(error)
        # No initial metadata before this: Trailers-Only, which lets a proxy retry the call elsewhere.
        try:
            await self._context.abort(status.code, status.message, status.trailers)
        except grpc.aio.InternalError:  # the caller has left in the meantime
            raise asyncio.CancelledError from None

    def _failed(self, error: Exception) -> CallStatus:
        """Tell why the call ends, and return its status; tracebacks stay in the log."""
        call, status = self.call, status_of(error, self.call.request_id)
        if status.code is grpc.StatusCode.INTERNAL:
            log.error("internal error", request_id=call.request_id, method=call.method, exc_info=error)
        self._tell(status.code.name, reason_of(error), is_refusal=isinstance(error, Unauthenticated))
        return status

    def _tell(self, code: str, reason: str = "", *, is_refusal: bool = False) -> None:
        """Tell the log and the watch; a call whose token expires is told as a refusal too, however far it had come."""
        self._told, call, watch = True, self.call, self._method.watch
        if call.entered and self._method.ours:
            _log_call(call, code, reason)
            watch.call_ended(call.method, code)
            if is_refusal:
                watch.outside(_refusal(call, code, reason))
        elif reason:
            watch.log_refusal(_refusal(call, code, reason))
            watch.refused(_refusal(call, code, reason))
        elif not call.entered:
            watch.refused(_refusal(call, "CANCELLED", _NO_MESSAGE))


def _log_call(call: Call, code: str, reason: str) -> None:
    log.info(
        "call",
        request_id=call.request_id,
        method=call.method,
        code=code,
        caller=caller().name,
        detector=call.detector,
        judged_by=call.judged_by,
        model_version=call.model_version,
        operating_point=call.point,
        requests=call.requests,
        events=call.events,
        epcs=call.epcs,
        findings=call.findings,
        duration_ms=round((time.perf_counter() - call.started) * 1e3, 2),
        **({"reason": reason} if reason else {}),
    )


def _refusal(call: Call, code: str, reason: str) -> Refusal:
    return Refusal(call.method, call.request_id, caller().name, call.peer, code, reason)
