"""The way to the gateway's FlowService, and its errors with the names that the fields have here."""

from __future__ import annotations

import re
from typing import Any

import grpc
from fastapi import Request
from google.protobuf.message import Message

from service.pb.epcsentinel.v1 import flow_pb2 as pb
from service.security.auth import Caller, Role
from service.web.judge import as_problem
from service.web.parts import Parts
from service.web.problems import Problem

_SERVICE = pb.DESCRIPTOR.services_by_name["FlowService"].full_name
_TIMEOUT_S = 60.0

_OF_CALLERS = {grpc.StatusCode.UNAUTHENTICATED: 401, grpc.StatusCode.PERMISSION_DENIED: 403}
"""Errors of a token that the caller sent himself; of this service's own token they are its operator's business."""


async def ask_flow(request: Request, parts: Parts, asked: Message, *, admin: bool = False) -> Any:  # noqa: ANN401 - its answer
    """Return the answer of the method that ``asked`` is the request of, asked with the caller's token if he sent one.

    Raises:
        Problem: he may not (``admin``: only admins may), or the gateway refused, or cannot be reached.
    """
    caller: Caller | None = getattr(request.state, "caller", None)
    if caller is not None and admin and Role.ADMIN not in caller.roles:
        raise Problem(403, "this caller may not do this: ask the operator for the role admin")
    token = request.headers.get("authorization")
    metadata = (("authorization", token),) if token else parts.access.metadata()
    name = asked.DESCRIPTOR.name
    answers = getattr(pb, name.replace("Request", "Response"))
    method = name.removeprefix("FlowService").removesuffix("Request")
    call: Any = parts.channel.unary_unary(f"/{_SERVICE}/{method}", type(asked).SerializeToString, answers.FromString)
    try:
        return await call(asked, timeout=_TIMEOUT_S, metadata=metadata, wait_for_ready=False)
    except grpc.aio.AioRpcError as error:
        if token and error.code() in _OF_CALLERS:
            raise Problem(_OF_CALLERS[error.code()], error.details() or "the gateway refused") from None
        raise _named_here(as_problem(error), asked) from None


def _named_here(found: Problem, asked: Message) -> Problem:
    """Return a problem whose fields have the names of JSON: currentWIP, not current_wip."""
    names = {name: field.json_name for name, field in asked.DESCRIPTOR.fields_by_name.items()}
    faults = [(names.get(field, field), text) for field, text in found.faults]
    detail = found.detail
    field, colon, text = detail.partition(": ")
    if not faults and colon and field in names:  # of errors that name one field in words alone
        faults = [(names[field], text)]
    detail = re.sub(r"(?:^|(?<=; ))\w+(?=: )", lambda field: names.get(field[0], field[0]), detail)
    return Problem(found.status, detail, faults, found.headers)
