"""``/api/data/*`` and ``/api/model*``: flow for programs; FlowService of the gateway in front."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, Path, Query, Request
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from service.pb.epcsentinel.v1 import flow_pb2 as pb
from service.web.flow.ask import ask_flow
from service.web.flow.bodies import (
    GENERATE,
    PREDICT,
    REQUESTS,
    TRAIN,
    VALIDATE,
    FlowBody,
    GenerateBody,
    PredictBody,
    TrainBody,
    ValidateBody,
)
from service.web.parts import Parts, TheParts

router = APIRouter(tags=["flow"])

_OperationId = Annotated[str, Query(alias="operationId", max_length=64)]


@router.post("/api/data/generate", summary="Make daily flow of plants that do not exist")
async def generate(
    request: Request, parts: TheParts, body: Annotated[GenerateBody, Body(openapi_examples=GENERATE)]
) -> dict[str, Any]:
    """Return the id of the data, and how they obey Little's law."""
    return await _said(request, parts, _message(body), admin=True)


@router.post("/api/model/train", status_code=202, summary="Begin to train a model of flow")
async def train(
    request: Request, parts: TheParts, body: Annotated[TrainBody, Body(openapi_examples=TRAIN)]
) -> dict[str, Any]:
    """Return the operation that began."""
    return await _said(request, parts, _message(body), admin=True)


@router.get("/api/model/train", summary="How far a training is")
async def progress(request: Request, parts: TheParts, operation_id: _OperationId) -> dict[str, Any]:
    """Return the operation."""
    return await _said(request, parts, pb.FlowServiceGetOperationRequest(operation_id=operation_id), admin=True)


@router.delete("/api/model/train", summary="End a training before its time")
async def cancel(request: Request, parts: TheParts, operation_id: _OperationId) -> dict[str, Any]:
    """Return the operation, which may take a moment to end."""
    return await _said(request, parts, pb.FlowServiceCancelOperationRequest(operation_id=operation_id), admin=True)


@router.get("/api/models", summary="All models of flow, the newest first")
async def models(request: Request, parts: TheParts) -> dict[str, Any]:
    """Return what they are of, what answers, and how good that was."""
    return await _said(request, parts, pb.FlowServiceListModelsRequest())


@router.delete("/api/model/{model_id}", summary="Remove a model of flow for good")
async def delete(request: Request, parts: TheParts, model_id: Annotated[str, Path(max_length=64)]) -> dict[str, Any]:
    """Return the models that are left."""
    return await _said(request, parts, pb.FlowServiceDeleteModelRequest(model_id=model_id), admin=True)


@router.post("/api/model/predict", summary="Forecast work in progress, throughput and cycle time")
async def predict(
    request: Request, parts: TheParts, body: Annotated[PredictBody, Body(openapi_examples=PREDICT)]
) -> dict[str, Any]:
    """Return each day with its interval, what answers, and what follows for the plan."""
    return await _said(request, parts, _message(body))


@router.post("/api/model/validate", summary="Check a plan by Little's law")
async def validate(
    request: Request, parts: TheParts, body: Annotated[ValidateBody, Body(openapi_examples=VALIDATE)]
) -> dict[str, Any]:
    """Return whether it holds, and what would make it hold."""
    return await _said(request, parts, _message(body))


def _message(body: FlowBody) -> Message:
    made: Message = REQUESTS[type(body)](**body.given())
    return made


async def _said(request: Request, parts: Parts, asked: Message, *, admin: bool = False) -> dict[str, Any]:
    answer = await ask_flow(request, parts, asked, admin=admin)
    return dict(MessageToDict(answer, always_print_fields_with_no_presence=True))
