"""Versions, standings and operations to messages of ModelService."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from google.protobuf import json_format, struct_pb2
from pydantic import JsonValue

from service.lifecycle.operations import Operation, Progressing
from service.lifecycle.register import Registered
from service.lifecycle.states import Entry, ModelState, Standing
from service.pb.epcsentinel.v1 import models_pb2 as pb

STATES: Mapping[ModelState, pb.ModelState.ValueType] = {
    ModelState.CHAMPION: pb.MODEL_STATE_CHAMPION,
    ModelState.CHALLENGER: pb.MODEL_STATE_CHALLENGER,
    ModelState.PREVIOUS: pb.MODEL_STATE_PREVIOUS,
    ModelState.ARCHIVED: pb.MODEL_STATE_ARCHIVED,
    ModelState.NONE: pb.MODEL_STATE_NONE,
}

_OPERATION_STATES: Mapping[Progressing, pb.OperationState.ValueType] = {
    Progressing.RUNNING: pb.OPERATION_STATE_RUNNING,
    Progressing.SUCCEEDED: pb.OPERATION_STATE_SUCCEEDED,
    Progressing.FAILED: pb.OPERATION_STATE_FAILED,
    Progressing.CANCELLED: pb.OPERATION_STATE_CANCELLED,
}


def version_message(
    model: str, found: Registered, loaded: Collection[int] = (), *, whole: bool = False
) -> pb.ModelVersion:
    """Return a version of a model; ``whole``: with metrics, lineage and what was done with it."""
    message = pb.ModelVersion(
        version=found.version,
        state=STATES[found.state],
        created_at=found.manifest.created_at if found.manifest else "",
        manifest_sha256=found.manifest_sha256,
        problem=found.problem,
        has_svm=found.has_svm,
        loaded=found.version in loaded,
        model=model,
    )
    if whole:
        message.promotions.extend(map(promotion_message, found.entries))
        if found.manifest is not None:
            message.metrics.CopyFrom(_struct(found.manifest.metrics))
            message.lineage.CopyFrom(_struct(found.manifest.lineage))
    return message


def promotion_message(entry: Entry) -> pb.Promotion:
    """Return an entry of the log."""
    return pb.Promotion(
        number=entry.number, at=entry.at, who=entry.who, action=entry.action, version=entry.version, why=entry.why
    )


def standing_message(standing: Standing) -> pb.ModelStanding:
    """Return what is in use."""
    return pb.ModelStanding(
        champion=standing.champion or 0,
        challenger=standing.challenger or 0,
        previous=standing.previous or 0,
        traffic=standing.traffic,
        number=standing.number,
    )


def operation_message(operation: Operation) -> pb.ModelOperation:
    """Return an operation."""
    return pb.ModelOperation(
        operation_id=operation.operation_id,
        kind=operation.kind,
        state=_OPERATION_STATES[operation.state],
        progress=operation.progress,
        message=operation.message,
        who=operation.who,
        why=operation.why,
        started_at=operation.started_at,
        ended_at=operation.ended_at,
    )


def _struct(content: Mapping[str, JsonValue]) -> struct_pb2.Struct:
    return json_format.ParseDict(dict(content), struct_pb2.Struct())
