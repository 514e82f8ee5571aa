"""Errors to gRPC statuses: the one place that decides what a caller gets to read."""

from __future__ import annotations

import math
import random
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]

from service.errors import (
    DeadlineExceeded,
    Draining,
    HistoryUnavailable,
    InvalidRequest,
    ModelHangs,
    ModelRepositoryError,
    ModelUnavailable,
    NoSuchEvent,
    NoSuchMethod,
    NoSuchModel,
    NotImplementedYet,
    NotInThisState,
    NoUsableModel,
    Overloaded,
    PermissionDenied,
    SentinelError,
    Unauthenticated,
    UnusableFeatures,
    VerdictsUnavailable,
    WrongModel,
)

CODES: dict[type[SentinelError], grpc.StatusCode] = {
    InvalidRequest: grpc.StatusCode.INVALID_ARGUMENT,
    Unauthenticated: grpc.StatusCode.UNAUTHENTICATED,
    PermissionDenied: grpc.StatusCode.PERMISSION_DENIED,
    NoSuchEvent: grpc.StatusCode.NOT_FOUND,
    NoSuchModel: grpc.StatusCode.NOT_FOUND,
    NotInThisState: grpc.StatusCode.FAILED_PRECONDITION,
    NoSuchMethod: grpc.StatusCode.UNIMPLEMENTED,
    NotImplementedYet: grpc.StatusCode.UNIMPLEMENTED,
    Overloaded: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Draining: grpc.StatusCode.UNAVAILABLE,
    ModelUnavailable: grpc.StatusCode.UNAVAILABLE,
    WrongModel: grpc.StatusCode.UNAVAILABLE,
    ModelHangs: grpc.StatusCode.UNAVAILABLE,
    NoUsableModel: grpc.StatusCode.UNAVAILABLE,
    DeadlineExceeded: grpc.StatusCode.DEADLINE_EXCEEDED,
    UnusableFeatures: grpc.StatusCode.FAILED_PRECONDITION,  # again with the next try, so none is advised
    HistoryUnavailable: grpc.StatusCode.UNAVAILABLE,  # calls go on without history, so no caller meets it
    VerdictsUnavailable: grpc.StatusCode.UNAVAILABLE,
    # Only the operator can repair it, and its message names paths: the caller gets the internal error.
    ModelRepositoryError: grpc.StatusCode.INTERNAL,
}

MAX_VIOLATIONS = 100
MAX_DETAIL_BYTES = 3_500
"""Details travel in the trailers, as base64, and common clients (Java's among them) refuse trailers over 8 KiB."""

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_DETAILS_KEY = "grpc-status-details-bin"
_PUSHBACK_KEY = "grpc-retry-pushback-ms"
"""What the retries of gRPC itself wait for: they do not read RetryInfo (gRFC A6)."""


@dataclass(frozen=True, slots=True)
class CallStatus:
    """How a failed call ends."""

    code: grpc.StatusCode
    message: str
    details: Sequence[Message] = ()

    @property
    def trailers(self) -> tuple[tuple[str, str | bytes], ...]:
        """The trailing metadata that carries the google.rpc.Status, none without details."""
        if not self.details:
            return ()
        status = status_pb2.Status(code=self.code.value[0], message=self.message)
        pushback: list[tuple[str, str | bytes]] = []
        for detail in self.details:
            status.details.add().Pack(detail)
            if isinstance(detail, error_details_pb2.RetryInfo):
                pushback.append((_PUSHBACK_KEY, str(math.ceil(detail.retry_delay.ToNanoseconds() / 1e6))))
        return (*pushback, (_DETAILS_KEY, status.SerializeToString()))


def request_id(context: grpc.aio.ServicerContext[Any, Any]) -> str:
    """Return the caller's x-request-id where it is usable, else a new one."""
    for key, value in context.invocation_metadata() or ():
        if key == "x-request-id" and isinstance(value, str) and _REQUEST_ID.fullmatch(value):
            return value
    return f"{random.getrandbits(128):032x}"  # no secret: the system's source takes 0.1 ms under load


_stopping = threading.Event()


def cut_off() -> None:
    """Say that the gateway itself cancels calls from now on: its drain is over, which is no caller's doing."""
    _stopping.set()


def cancelled_code(context: grpc.aio.ServicerContext[Any, Any]) -> str:
    """Return the code of a call that was cancelled: by its deadline, by the end of the gateway, or by the caller."""
    if context.time_remaining() == 0:
        return "DEADLINE_EXCEEDED"
    return "UNAVAILABLE" if _stopping.is_set() else "CANCELLED"


def status_of(error: BaseException, request_id: str) -> CallStatus:
    """Return the status of a call that ended in ``error``; unforeseen errors show nothing of themselves."""
    code = CODES.get(type(error), grpc.StatusCode.INTERNAL) if isinstance(error, SentinelError) else None
    if code is None or code is grpc.StatusCode.INTERNAL:
        return CallStatus(grpc.StatusCode.INTERNAL, f"internal error, id {request_id}")
    if isinstance(error, InvalidRequest):
        shown = _fitting(error.violations)
        more = len(error.violations) - len(shown)
        first = "; ".join(f"{violation.field}: {violation.description}" for violation in shown[:3])
        rest = len(error.violations) - min(len(shown), 3)
        message = first + (f"; and {rest} more" if rest else "")
        if more:
            shown.append(_violation("request", f"{more} more violations are not listed"))
        return CallStatus(code, message, (error_details_pb2.BadRequest(field_violations=shown),))
    if isinstance(error, Overloaded):
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromNanoseconds(int(error.retry_after_s * 1e9))
        return CallStatus(code, str(error), (retry,))
    return CallStatus(code, str(error))


def reason_of(error: BaseException) -> str:
    """Return why a call failed, in one line for logs; it holds no codes of items and no tokens."""
    if isinstance(error, Unauthenticated):
        return error.reason
    return str(error) if isinstance(error, SentinelError) else type(error).__name__


def _fitting(violations: Sequence[tuple[str, str]]) -> list[error_details_pb2.BadRequest.FieldViolation]:
    """Return the first violations, as many as the trailers of a response have room for."""
    shown: list[error_details_pb2.BadRequest.FieldViolation] = []
    size = 0
    for field, description in violations[:MAX_VIOLATIONS]:
        violation = _violation(field, description)
        size += violation.ByteSize() + 4
        if shown and size > MAX_DETAIL_BYTES:
            break
        shown.append(violation)
    return shown


def _violation(field: str, description: str) -> error_details_pb2.BadRequest.FieldViolation:
    return error_details_pb2.BadRequest.FieldViolation(field=field, description=description)
