"""Data and models that are made: only where the operator lets them be."""

from __future__ import annotations

import asyncio
import shlex
from dataclasses import fields
from datetime import UTC, datetime

from service.api.flow.desk import FlowMaking
from service.api.flow.rows import day_text, plant_messages
from service.errors import InvalidRequest, NotInThisState
from service.flow.plants import PlantPlan, generate
from service.lifecycle.operations import Operation
from service.pb.epcsentinel.v1 import flow_pb2 as pb
from service.security.auth import caller

KIND = "flow train"

_MOST_WHY = 2_000

OPTIONS: dict[str, tuple[float, float]] = {
    "lstm_units_1": (1, 512),
    "lstm_units_2": (1, 512),
    "dropout_rate": (0, 0.95),
    "sequence_length": (2, 90),
    "epochs": (1, 1_000),
    "batch_size": (1, 4_096),
    "learning_rate": (1e-7, 1),
    "train_test_split": (0.21, 0.99),
}
"""Settings of a training, from .. to: flags of the command, ``--lstm-units-1 64``."""


def generated(making: FlowMaking, request: pb.FlowServiceGenerateDataRequest) -> pb.FlowServiceGenerateDataResponse:
    """Make data and keep them.

    Raises:
        InvalidRequest: the plan cannot be.
        NotInThisState: they cannot be kept.
    """
    plan = plan_of(request)
    made = generate(plan)
    return pb.FlowServiceGenerateDataResponse(
        data_id=making.data.add(made),
        series=len(made.names),
        first_day=day_text(int(made.day[0])),
        last_day=day_text(int(made.day[-1])),
        mean_wip=float(made.mean_wip.mean()),
        mean_throughput=float(made.departures.mean()),
        law_error=float(made.law_error.max()),
        rows=plant_messages(made) if request.with_rows else None,
    )


def plan_of(request: pb.FlowServiceGenerateDataRequest) -> PlantPlan:
    """Return what a request asks to be made, with the usual values of what it does not say."""
    given: dict[str, object] = {"seed": request.seed}
    for name in ("plants", "applications", "panel_sizes"):
        if values := getattr(request, name):
            given[name] = list(values)
    for field in fields(PlantPlan):
        described = request.DESCRIPTOR.fields_by_name.get(field.name)
        if described is not None and described.has_presence and request.HasField(field.name):  # type: ignore[arg-type]
            given[field.name] = getattr(request, field.name)
    return PlantPlan(**given)  # type: ignore[arg-type]


async def train(making: FlowMaking, request: pb.FlowServiceTrainRequest) -> Operation:
    """Run the operator's command, in which nothing of the request stands but its numbers.

    Raises:
        InvalidRequest: a number is impossible.
        NoSuchModel: there are no such data.
        NotInThisState: there are no data, no command, or a training runs already.
    """
    options = _options(request)
    if not making.train_command:
        raise NotInThisState("this gateway has no command to train with: its operator can set --flow-train-command")
    data = await asyncio.to_thread(_data, making, request.data_id)
    values = {
        "data": data,
        "folder": making.folder,
        "repository": making.repository,
        "now": f"{datetime.now(UTC):%Y%m%dT%H%M%S}",
    }
    command: list[str] = []
    for part in shlex.split(making.train_command):
        command += options if part == "{options}" else [part.format_map(values)]
        if part == "{options}" and making.lifecycle is not None:
            command += ["--lifecycle", str(making.lifecycle)]
            command += ["--trust", str(making.trust)] if making.trust else []
    return await making.operations.start(KIND, command, who=caller().name, why=request.why)


def _data(making: FlowMaking, data_id: str) -> str:
    if data_id:
        return str(making.data.path(data_id))
    found = making.own_data or making.data.latest()
    if found is None:
        raise NotInThisState("data_id: there are no data to train on: GenerateData makes some")
    return str(found)


def _options(request: pb.FlowServiceTrainRequest) -> list[str]:
    wrong, flags = [], list[str]()
    for name, (low, high) in OPTIONS.items():
        if not request.HasField(name):  # type: ignore[arg-type]
            continue
        value = getattr(request, name)
        if not low <= value <= high:
            wrong.append((name, f"is {value:g}: give a number from {low:g} to {high:g}"))
        flags += [f"--{name.replace('_', '-')}", f"{value!r}"]
    if len(request.why) > _MOST_WHY:
        wrong.append(("why", f"has {len(request.why)} characters: give at most {_MOST_WHY:,}"))
    if wrong:
        raise InvalidRequest(wrong)
    return flags


def operation_message(operation: Operation) -> pb.FlowOperation:
    """Return an operation."""
    return pb.FlowOperation(
        operation_id=operation.operation_id,
        state=operation.state.value,
        progress=operation.progress,
        message=operation.message,
        who=operation.who,
        why=operation.why,
        started_at=operation.started_at,
        ended_at=operation.ended_at,
    )
