"""``/api/admin/ml/*``: the versions of the model, for programs; ModelService of the gateway in front."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any, Literal

import grpc
from fastapi import APIRouter, Query, Request
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from service.pb.epcsentinel.v1 import models_pb2 as pb
from service.security.auth import Caller, Role
from service.web.parts import TheParts
from service.web.problems import Problem

router = APIRouter(tags=["models"])

_SERVICE = pb.DESCRIPTOR.services_by_name["ModelService"].full_name
_TIMEOUT_S = 120.0

_STATUS = {
    grpc.StatusCode.INVALID_ARGUMENT: HTTPStatus.BAD_REQUEST,
    grpc.StatusCode.UNAUTHENTICATED: HTTPStatus.UNAUTHORIZED,
    grpc.StatusCode.PERMISSION_DENIED: HTTPStatus.FORBIDDEN,
    grpc.StatusCode.NOT_FOUND: HTTPStatus.NOT_FOUND,
    grpc.StatusCode.FAILED_PRECONDITION: HTTPStatus.CONFLICT,
    grpc.StatusCode.UNIMPLEMENTED: HTTPStatus.NOT_IMPLEMENTED,
}

Version = Annotated[int, Field(ge=1, lt=2**31, description="number of the version")]
Why = Annotated[str, Field(min_length=1, max_length=2_000, description="stands in the log for good")]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, populate_by_name=True)


class Move(_Body):
    """What is to be done with a version."""

    action: Literal["load", "promote", "rollback", "delete", "validate"]
    version: Version | None = Field(None, description="of all but rollback")
    why: Why
    instead_of: Version | None = Field(None, description="only in the place of this champion")


class Begin(_Body):
    """Why a training is to begin."""

    why: Why


@router.get("/api/admin/ml/models", summary="All versions of the model, or one with metrics and lineage")
async def models(
    request: Request, parts: TheParts, version: Annotated[int | None, Query(ge=1, lt=2**31)] = None
) -> dict[str, Any]:
    """Return ListModels of the gateway, or GetModel of one version."""
    if version is None:
        return await _ask(request, parts, "ListModels", pb.ModelServiceListModelsRequest())
    return await _ask(request, parts, "GetModel", pb.ModelServiceGetModelRequest(version=version))


@router.post("/api/admin/ml/models", summary="Load, promote, roll back, delete or validate a version")
async def move(request: Request, parts: TheParts, body: Move) -> dict[str, Any]:
    """Do it, and return what is in use after it; of validate, the operation that began."""
    if body.action == "rollback":
        asked = pb.ModelServiceRollbackRequest(why=body.why, instead_of=body.instead_of or 0)
        return await _ask(request, parts, "Rollback", asked)
    if body.version is None:
        raise Problem(400, "the request has values that cannot be used", [("version", f"is missing of {body.action}")])
    version, why, instead_of = body.version, body.why, body.instead_of or 0
    asked_by_action: dict[str, tuple[str, Message]] = {
        "load": ("LoadModel", pb.ModelServiceLoadModelRequest(version=version, why=why)),
        "promote": (
            "Promote",
            pb.ModelServicePromoteRequest(version=version, why=why, instead_of=instead_of),
        ),
        "delete": ("DeleteModel", pb.ModelServiceDeleteModelRequest(version=version, why=why)),
        "validate": ("Validate", pb.ModelServiceValidateRequest(version=version, why=why)),
    }
    return await _ask(request, parts, *asked_by_action[body.action])


@router.post("/api/admin/ml/retrain", status_code=202, summary="Begin to train a challenger on verdicts")
@router.post("/api/v1/svm/train", status_code=202, summary="The same: SVMs are refitted with the network of their run")
async def retrain(request: Request, parts: TheParts, body: Begin) -> dict[str, Any]:
    """Return the operation that began."""
    return await _ask(request, parts, "Retrain", pb.ModelServiceRetrainRequest(why=body.why))


@router.get("/api/admin/ml/retrain", summary="How far a training or a validation is")
async def progress(
    request: Request, parts: TheParts, operation_id: Annotated[str, Query(alias="operationId", max_length=64)]
) -> dict[str, Any]:
    """Return the operation."""
    return await _ask(request, parts, "GetOperation", pb.ModelServiceGetOperationRequest(operation_id=operation_id))


@router.delete("/api/admin/ml/retrain", summary="End a training or a validation before its time")
async def cancel(
    request: Request, parts: TheParts, operation_id: Annotated[str, Query(alias="operationId", max_length=64)]
) -> dict[str, Any]:
    """Return the operation, which may take a moment to end."""
    asked = pb.ModelServiceCancelOperationRequest(operation_id=operation_id)
    return await _ask(request, parts, "CancelOperation", asked)


async def _ask(request: Request, parts: TheParts, method: str, asked: Message) -> dict[str, Any]:
    """Return the answer of the gateway, asked with the token of the caller where he sent one.

    Raises:
        Problem: he is no admin, or the gateway refused.
    """
    caller: Caller | None = getattr(request.state, "caller", None)
    if caller is not None and Role.ADMIN not in caller.roles:
        raise Problem(403, "this caller may not do this: ask the operator for the role admin")
    token = request.headers.get("authorization")
    metadata = (("authorization", token),) if token else parts.access.metadata()
    answers = getattr(pb, asked.DESCRIPTOR.name.replace("Request", "Response"))
    call: Any = parts.channel.unary_unary(
        f"/{_SERVICE}/{method}",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=answers.FromString,
    )
    try:
        answer = await call(asked, timeout=_TIMEOUT_S, metadata=metadata)
    except grpc.aio.AioRpcError as error:
        status = _STATUS.get(error.code(), HTTPStatus.SERVICE_UNAVAILABLE)
        raise Problem(status, error.details() or "the gateway cannot be reached") from None
    return dict(MessageToDict(answer, always_print_fields_with_no_presence=True))
