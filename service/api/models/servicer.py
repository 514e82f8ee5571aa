"""The ModelService servicer: converts, delegates to the register and the operations, returns."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Any, Final

import grpc
from google.protobuf.message import Message

from service.api.models.messages import operation_message, standing_message, version_message
from service.errors import InvalidRequest, ModelRepositoryError, NotImplementedYet, NotInThisState
from service.lifecycle.operations import Operations, command_of
from service.lifecycle.register import Register
from service.lifecycle.states import Standing
from service.pb.epcsentinel.v1 import models_pb2 as pb
from service.security.auth import caller

MODELS: Final = pb.DESCRIPTOR.services_by_name["ModelService"]
"""Descriptor of the service."""

_MOST_WHY, _MOST_VERSION = 2_000, 2**31 - 1

_Context = grpc.aio.ServicerContext[Any, Any]


async def at_once() -> None:
    """Take over what the log says, where whoever answers looks at it by himself."""


def none_loaded() -> Collection[int]:
    """Return the versions that are loaded where nothing is served."""
    return ()


@dataclass(frozen=True, slots=True)
class ManagedModel:
    """The versions of one model of one gateway."""

    register: Register
    apply: Callable[[], Awaitable[None]] = at_once  # takes over at once what the log says now
    loaded: Callable[[], Collection[int]] = none_loaded  # the versions that this gateway has loaded


@dataclass(frozen=True, slots=True)
class ModelDesk:
    """What manages the versions of one gateway."""

    judging: ManagedModel
    flow: ManagedModel
    operations: Operations
    retrain_command: str = ""
    validate_command: str = ""

    @property
    def register(self) -> Register:
        """Of the model that judges."""
        return self.judging.register

    def of(self, model: str) -> ManagedModel:
        """Return the versions of a model; raises InvalidRequest if there is none of this name."""
        known = {"": self.judging, **{one.register.names[0]: one for one in (self.judging, self.flow)}}
        if model not in known:
            raise InvalidRequest([("model", f"is {model[:40]!r}: name {' or '.join(filter(None, known))}")])
        return known[model]


class ModelServicer:
    """Serves ModelService. What is asked of disks is asked in threads."""

    def __init__(self, desk: ModelDesk | None) -> None:
        """Args: ``desk`` None: every call is refused with what the operator would have to set."""
        self._desk = desk

    def handler(self) -> grpc.GenericRpcHandler:
        """Return the handler to register at the server."""
        handlers = {name: self._handler(name) for name in MODELS.methods_by_name}
        return grpc.method_handlers_generic_handler(MODELS.full_name, handlers)

    def _handler(self, name: str) -> grpc.RpcMethodHandler[Any, Any]:
        async def handle(request: Message, _context: _Context) -> Message:
            if self._desk is None:
                raise NotImplementedYet(
                    "this gateway does not manage models: its operator can start it with --lifecycle FOLDER"
                    " --model-service"
                )
            return await answer(self._desk, name, request)

        taken = getattr(pb, MODELS.methods_by_name[name].input_type.name)
        return grpc.unary_unary_rpc_method_handler(
            handle, request_deserializer=taken.FromString, response_serializer=lambda answer: answer.SerializeToString()
        )


async def answer(desk: ModelDesk, name: str, request: Message) -> Message:
    """Return the answer of the method ``name`` of the service.

    Raises:
        InvalidRequest: the request names no version, or no reason.
        NoSuchModel: there is no such version or operation.
        NotInThisState: the version cannot be moved so, or cannot be used.
    """
    _check(request)
    try:
        return await _BEHAVIOURS[name](desk, request)
    except ModelRepositoryError as error:  # an admin asks, and has to know what to repair
        raise NotInThisState(desk.register.public(error)) from error


def _check(request: Message) -> None:
    wrong = []
    names = request.DESCRIPTOR.fields_by_name
    if "version" in names and not 1 <= request.version <= _MOST_VERSION:  # type: ignore[attr-defined]
        wrong.append(("version", "names no version: a whole number from 1"))
    if "instead_of" in names and request.instead_of < 0:  # type: ignore[attr-defined]
        wrong.append(("instead_of", "names no version: a whole number from 1, or 0 for any"))
    if "why" in names and not 1 <= len(request.why.strip()) <= _MOST_WHY:  # type: ignore[attr-defined]
        wrong.append(("why", f"has {len(request.why)} characters: say why in 1 to {_MOST_WHY:,}"))  # type: ignore[attr-defined]
    if wrong:
        raise InvalidRequest(wrong)


async def _list(desk: ModelDesk, request: pb.ModelServiceListModelsRequest) -> Message:
    of = desk.of(request.model)
    found = await asyncio.to_thread(of.register.listed)
    standing = await asyncio.to_thread(of.register.standing)
    models = [version_message(of.register.names[0], one, of.loaded()) for one in found]
    return pb.ModelServiceListModelsResponse(models=models, standing=standing_message(standing))


async def _get(desk: ModelDesk, request: pb.ModelServiceGetModelRequest) -> Message:
    of = desk.of(request.model)
    found = await asyncio.to_thread(of.register.one, request.version)
    model = version_message(of.register.names[0], found, of.loaded(), whole=True)
    return pb.ModelServiceGetModelResponse(model=model)


async def _moved(of: ManagedModel, move: Callable[..., Standing], *version: int, **options: object) -> pb.ModelStanding:
    """Move a version, and return what is in use when this gateway has taken it over."""
    standing = await asyncio.to_thread(move, *version, who=caller().name, **options)
    await of.apply()
    return standing_message(standing)


async def _load(desk: ModelDesk, request: pb.ModelServiceLoadModelRequest) -> Message:
    of = desk.of(request.model)
    standing = await _moved(of, of.register.load, request.version, why=request.why)
    return pb.ModelServiceLoadModelResponse(standing=standing)


async def _promote(desk: ModelDesk, request: pb.ModelServicePromoteRequest) -> Message:
    of, instead_of = desk.of(request.model), request.instead_of or None
    standing = await _moved(of, of.register.promote, request.version, why=request.why, instead_of=instead_of)
    return pb.ModelServicePromoteResponse(standing=standing)


async def _rollback(desk: ModelDesk, request: pb.ModelServiceRollbackRequest) -> Message:
    of = desk.of(request.model)
    standing = await _moved(of, of.register.rollback, why=request.why, instead_of=request.instead_of or None)
    return pb.ModelServiceRollbackResponse(standing=standing)


async def _delete(desk: ModelDesk, request: pb.ModelServiceDeleteModelRequest) -> Message:
    of = desk.of(request.model)
    standing = await _moved(of, of.register.delete, request.version, why=request.why)
    return pb.ModelServiceDeleteModelResponse(standing=standing)


async def _retrain(desk: ModelDesk, request: pb.ModelServiceRetrainRequest) -> Message:
    if not desk.retrain_command:
        raise NotInThisState("this gateway has no command to retrain with: its operator can set --retrain-command")
    begun = await _begin(desk, "retrain", desk.retrain_command, request.why, 0)
    return pb.ModelServiceRetrainResponse(operation=begun)


async def _validate(desk: ModelDesk, request: pb.ModelServiceValidateRequest) -> Message:
    await asyncio.to_thread(desk.register.one, request.version)
    begun = await _begin(desk, "validate", desk.validate_command, request.why, request.version)
    return pb.ModelServiceValidateResponse(operation=begun)


async def _begin(desk: ModelDesk, kind: str, template: str, why: str, version: int) -> pb.ModelOperation:
    """Run the operator's command, in which nothing of the request stands but the number of the version."""
    standing = await asyncio.to_thread(desk.register.standing)
    values = {
        "version": version,
        "champion": standing.champion or version,
        "repository": desk.register.repository,
    }
    begun = await desk.operations.start(kind, command_of(template, values), who=caller().name, why=why)
    return operation_message(begun)


async def _get_operation(desk: ModelDesk, request: pb.ModelServiceGetOperationRequest) -> Message:
    found = await asyncio.to_thread(desk.operations.get, request.operation_id)
    return pb.ModelServiceGetOperationResponse(operation=operation_message(found))


async def _cancel_operation(desk: ModelDesk, request: pb.ModelServiceCancelOperationRequest) -> Message:
    found = await asyncio.to_thread(desk.operations.cancel, request.operation_id)
    return pb.ModelServiceCancelOperationResponse(operation=operation_message(found))


_BEHAVIOURS: dict[str, Callable[[ModelDesk, Any], Awaitable[Message]]] = {
    "ListModels": _list,
    "GetModel": _get,
    "LoadModel": _load,
    "Promote": _promote,
    "Rollback": _rollback,
    "DeleteModel": _delete,
    "Retrain": _retrain,
    "Validate": _validate,
    "GetOperation": _get_operation,
    "CancelOperation": _cancel_operation,
}
