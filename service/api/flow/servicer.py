"""The FlowService servicer: converts, delegates, returns. What takes longer than a moment is done in threads."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

import grpc
from google.protobuf.message import DecodeError, Message

from service.api.flow.desk import FlowDesk, FlowMaking
from service.api.flow.forecasts import model_message, predict, validate
from service.api.flow.scans import measure_scans
from service.api.flow.training import generated, operation_message, train
from service.errors import InvalidRequest, NotImplementedYet
from service.pb.epcsentinel.v1 import flow_pb2 as pb
from service.runtime.deadline import Deadline

FLOW: Final = pb.DESCRIPTOR.services_by_name["FlowService"]
"""Descriptor of the service."""

_Context = grpc.aio.ServicerContext[Any, Any]


class FlowServicer:
    """Serves FlowService."""

    def __init__(self, desk: FlowDesk) -> None:
        self._desk = desk

    def handler(self) -> grpc.GenericRpcHandler:
        """Return the handler to register at the server."""
        handlers = {name: self._handler(name) for name in FLOW.methods_by_name}
        return grpc.method_handlers_generic_handler(FLOW.full_name, handlers)

    def _handler(self, name: str) -> grpc.RpcMethodHandler[Any, Any]:
        async def handle(raw: bytes, context: _Context) -> bytes:
            if name == "Measure":
                answer: Message = await measure_scans(self._desk, raw, Deadline.after(context.time_remaining()))
            else:
                answer = await answer_of(self._desk, name, _parsed(name, raw))
            return answer.SerializeToString()

        return grpc.unary_unary_rpc_method_handler(handle)


def _parsed(name: str, raw: bytes) -> Message:
    asked = FLOW.methods_by_name[name].input_type.name
    try:
        message: Message = getattr(pb, asked).FromString(raw)
    except DecodeError:
        raise InvalidRequest([("request", f"is not a valid {asked} message")]) from None
    return message


async def answer_of(desk: FlowDesk, name: str, request: Message) -> Message:
    """Return the answer of the method ``name``, of all but Measure.

    Raises:
        InvalidRequest: fields of the request are impossible, or do not fit the model.
        NoSuchModel: there is no such model, no such data, no such operation.
        NotInThisState: a model cannot be used, or nothing can be trained now.
        NotImplementedYet: this gateway makes no models.
    """
    if name in _READS:
        return await asyncio.to_thread(_READS[name], desk, request)
    if desk.making is None:
        raise NotImplementedYet(
            "this gateway makes no flow models: its operator can start it with --flow FOLDER for data and trainings"
        )
    if name == "DeleteModel":
        return await asyncio.to_thread(_delete, desk, request)
    return await _MAKES[name](desk.making, request)


def _predict(desk: FlowDesk, request: Any) -> Message:  # noqa: ANN401 - as its method has it
    return predict(desk.shelf, request)


def _validate(_desk: FlowDesk, request: Any) -> Message:  # noqa: ANN401
    return validate(request)


def _list(desk: FlowDesk, _request: Any) -> Message:  # noqa: ANN401
    return pb.FlowServiceListModelsResponse(models=map(model_message, desk.shelf.listed()))


def _delete(desk: FlowDesk, request: Any) -> Message:  # noqa: ANN401
    desk.shelf.delete(request.model_id)
    return pb.FlowServiceDeleteModelResponse(models=map(model_message, desk.shelf.listed()))


async def _generate(making: FlowMaking, request: pb.FlowServiceGenerateDataRequest) -> Message:
    return await asyncio.to_thread(generated, making, request)


async def _train(making: FlowMaking, request: pb.FlowServiceTrainRequest) -> Message:
    return pb.FlowServiceTrainResponse(operation=operation_message(await train(making, request)))


async def _operation(making: FlowMaking, request: pb.FlowServiceGetOperationRequest) -> Message:
    found = await asyncio.to_thread(making.operations.get, request.operation_id)
    return pb.FlowServiceGetOperationResponse(operation=operation_message(found))


async def _cancel(making: FlowMaking, request: pb.FlowServiceCancelOperationRequest) -> Message:
    found = await asyncio.to_thread(making.operations.cancel, request.operation_id)
    return pb.FlowServiceCancelOperationResponse(operation=operation_message(found))


_READS: dict[str, Callable[[FlowDesk, Any], Message]] = {
    "Predict": _predict,
    "Validate": _validate,
    "ListModels": _list,
}
_MAKES: dict[str, Callable[[FlowMaking, Any], Awaitable[Message]]] = {
    "GenerateData": _generate,
    "Train": _train,
    "GetOperation": _operation,
    "CancelOperation": _cancel,
}
