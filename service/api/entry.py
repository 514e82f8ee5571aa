"""What surrounds every handler of the server: entry before anything is read, and no error that shows internals."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, TypeAlias

import grpc
import structlog
from google.protobuf.message import DecodeError

from service.api.status import CallStatus, reason_of, request_id, status_of
from service.errors import InvalidRequest
from service.monitoring.records import Refusal
from service.security.auth import caller

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"

Enter = Callable[[Context, ExitStack], None]
"""Lets a call in, and has the stack give back what it takes; raises SentinelError if it has to stay outside."""

_SETTLE_S = 0.02
"""A call that broke off reads as one without a message: its cancellation comes a moment later."""

_NO_MESSAGE = "ended before its message was there: larger than --max-message-bytes, or given up by the caller"
"""gRPC itself refuses what is too large, and shows it as a cancelled call."""

log = structlog.get_logger("epc_sentinel.border")


@dataclass(frozen=True, slots=True)
class Method:
    """A method as its border sees it."""

    name: str  # for logs and metrics
    handler: Handler
    refused: Callable[[Refusal], None]  # told of every call that ends at the border


def guarded(method: Method, enter: Enter) -> Handler:
    """Return a handler that runs the one of ``method`` for calls that ``enter`` lets in.

    Towards gRPC it takes a stream, also where the method takes one message: gRPC would otherwise take in that message,
    megabytes perhaps, before anybody has looked at who sends it.
    """
    handler = method.handler
    takes = "stream" if handler.request_streaming else "unary"
    gives = "stream" if handler.response_streaming else "unary"
    inner: Any = getattr(handler, f"{takes}_{gives}")
    deserialize = handler.request_deserializer

    async def begin(request: Any, context: Context, stack: ExitStack) -> Any:  # noqa: ANN401 - what the method takes
        enter(context, stack)
        if takes == "stream":
            return request
        peer = context.peer()  # a call that is over has none
        try:
            return await _only_message(context, deserialize)
        except asyncio.CancelledError:
            method.refused(Refusal(method.name, request_id(context), caller().name, peer, "CANCELLED", _NO_MESSAGE))
            raise

    async def awaited(request: Any, context: Context) -> Any:  # noqa: ANN401 - what the method gives
        with ExitStack() as stack:
            try:
                return await inner(await begin(request, context, stack), context)
            except Exception as error:
                await _end(method, context, error)

    async def written(request: Any, context: Context) -> None:  # noqa: ANN401 - what the method takes
        with ExitStack() as stack:
            try:
                async for answer in inner(await begin(request, context, stack), context):
                    await context.write(answer)  # gRPC, given a generator, logs a traceback when the caller has left
            except Exception as error:
                await _end(method, context, error)

    make: Any = getattr(grpc, f"stream_{gives}_rpc_method_handler")
    behaviour = written if inspect.isasyncgenfunction(inner) else awaited
    read_by_grpc = deserialize if takes == "stream" else None
    return make(behaviour, read_by_grpc, handler.response_serializer)  # type: ignore[no-any-return]


def address_of(context: Context) -> str:
    """Return the address of the other side, without its port."""
    return str(context.peer()).partition(":")[2].rpartition(":")[0]


async def _only_message(context: Context, deserialize: Callable[[bytes], Any] | None) -> Any:  # noqa: ANN401
    raw = await context.read()
    if not isinstance(raw, bytes):  # it is grpc.aio.EOF
        await asyncio.sleep(_SETTLE_S)
        raise InvalidRequest([("request", "is missing: send one message")])
    return deserialize(raw) if deserialize else raw


async def _end(method: Method, context: Context, error: Exception) -> None:
    """End the call with the status of ``error``; raises always."""
    if isinstance(error, grpc.aio.AbortError):
        raise error  # the handler has ended it
    if isinstance(error, grpc.aio.InternalError):
        raise asyncio.CancelledError from None  # how a write ends whose call was cancelled
    if isinstance(error, DecodeError):
        error = InvalidRequest([("request", "is not a valid message of this method")])
    status = _report(method, context, error)
    # No initial metadata before this: Trailers-Only, which lets a proxy retry the call elsewhere.
    try:
        await context.abort(status.code, status.message, status.trailers)
    except grpc.aio.InternalError:  # the caller has left in the meantime
        raise asyncio.CancelledError from None


def _report(method: Method, context: Context, error: Exception) -> CallStatus:
    """Log and tell why the call ends here, and return its status."""
    call_id = request_id(context)
    status = status_of(error, call_id)
    if status.code is grpc.StatusCode.INTERNAL:
        log.error("internal error", request_id=call_id, method=method.name, exc_info=error)
    code, who, reason = status.code.name, caller().name, reason_of(error)
    log.info(
        "refused",
        request_id=call_id,
        method=method.name,
        code=code,
        caller=who,
        address=address_of(context),
        reason=reason,
    )
    method.refused(Refusal(method.name, call_id, who, context.peer(), code, reason))
    return status
