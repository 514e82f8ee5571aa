"""Questions to forecasters and plans, and their answers."""

from __future__ import annotations

from collections.abc import Iterator

from google.protobuf import json_format, struct_pb2

from service.api.flow.rows import advice_messages, day_text
from service.errors import InvalidRequest
from service.flow.advice import Advice, of_forecast, of_plan, of_stalled
from service.flow.forecast.forecaster import FlowForecaster
from service.flow.forecast.question import DIMENSIONS, Bounded, FlowForecast, FlowQuestion
from service.flow.little import LEAST, MOST, check_plan
from service.flow.shelf import FlowShelf, Shelved
from service.pb.epcsentinel.v1 import flow_pb2 as pb

USUAL_DAYS, USUAL_TOLERANCE = 30, 0.02

_NAMES = {"days": "prediction_days", "model": "model_id"}
"""Fields of the contract by those of a question, where they differ."""

_MOST_TEXT = 200


def predict(shelf: FlowShelf, request: pb.FlowServicePredictRequest) -> pb.FlowServicePredictResponse:
    """Return what is expected.

    Raises:
        InvalidRequest: the question does not fit the model, or is impossible; names the fields.
        NoSuchModel, NotInThisState: there is no such model, or it cannot be used.
    """
    forecaster, problems = (shelf.one(request.model_id), []) if request.model_id else shelf.answering()
    if long := [name for name in DIMENSIONS if len(getattr(request, name)) > _MOST_TEXT]:
        raise InvalidRequest([(name, f"is longer than {_MOST_TEXT} characters") for name in long])
    question = FlowQuestion(
        **{name: getattr(request, name) or None for name in DIMENSIONS},
        current_wip=request.current_wip if request.HasField("current_wip") else None,
        planned_throughput=request.planned_throughput if request.HasField("planned_throughput") else None,
        days=request.prediction_days or USUAL_DAYS,
    )
    try:
        found = forecaster.predict(question)
    except InvalidRequest as error:
        raise InvalidRequest([(_NAMES.get(name, name), text) for name, text in error.violations]) from None
    return pb.FlowServicePredictResponse(
        model=found.model,
        days=_days(found),
        methods=[
            pb.FlowMethod(
                measure=one.measure, method=one.method, baseline=one.baseline, gain=one.gain, coverage=one.coverage
            )
            for one in found.answering
        ],
        advice=advice_messages(_advice(found, question)),
        warnings=[*found.warnings, *problems],
    )


def _days(found: FlowForecast) -> Iterator[pb.FlowPrediction]:
    for one in found.days:
        yield pb.FlowPrediction(
            day=day_text(one.day),
            wip=_value(one.wip),
            throughput=_value(one.throughput),
            cycle_time_h=_value(one.cycle_h),
            feasibility=one.feasibility,
        )


def _value(bounded: Bounded) -> pb.FlowValue:
    return pb.FlowValue(value=bounded.value, lower=bounded.lower, upper=bounded.upper)


def _advice(found: FlowForecast, question: FlowQuestion) -> list[Advice]:
    days = len(found.days)
    left = sum(one.throughput.value for one in found.days)
    wip = question.current_wip if question.current_wip is not None else found.days[0].wip.value
    hours = sum(one.cycle_h.value * one.throughput.value for one in found.days)
    stalled = of_stalled(found.stalled_items or 0.0, found.last_wip)
    return [*of_forecast(wip, left / days, hours / left if left > 0 else 0.0, question.planned_throughput), *stalled]


def validate(request: pb.FlowServiceValidateRequest) -> pb.FlowServiceValidateResponse:
    """Return whether a plan obeys Little's law; raises InvalidRequest that names each impossible number."""
    tolerance = request.tolerance if request.HasField("tolerance") else USUAL_TOLERANCE
    plan = request.wip, request.throughput, request.cycle_time_days
    names = ("wip", "throughput", "cycle_time_days")
    wrong = [
        (name, f"is {value:g}: give a number from {LEAST:g} to {MOST:g}")
        for name, value in zip(names, plan, strict=True)
        if not LEAST <= value <= MOST
    ]
    if not 0 <= tolerance < 1:
        wrong.append(("tolerance", f"is {tolerance:g}: give a share from 0 to 1, such as 0.02"))
    if wrong:
        raise InvalidRequest(wrong)
    found = check_plan(*plan, tolerance)
    return pb.FlowServiceValidateResponse(
        holds=found.holds,
        ratio=found.ratio,
        wip=found.wip,
        throughput=found.throughput_per_day,
        cycle_time_days=found.cycle_days,
        advice=advice_messages(of_plan(found, *plan)),
    )


def model_message(shelved: Shelved) -> pb.FlowModel:
    """Return a version of the flow model."""
    message = pb.FlowModel(
        model_id=str(shelved.version),
        name=f"epc_flow/{shelved.version}",
        problem=shelved.problem,
        state=shelved.state,
    )
    if shelved.forecaster is not None:
        _describe(message, shelved.forecaster)
    return message


def _describe(message: pb.FlowModel, forecaster: FlowForecaster) -> None:
    manifest, history = forecaster.manifest, forecaster.history
    message.created_at, message.last_day = manifest.created_at, day_text(history.last_day)
    message.dimensions.extend(pb.FlowDimension(name=name, values=history.values(name)) for name in history.dimensions)
    message.methods.extend(
        pb.FlowMethod(
            measure=name, method=one.method, baseline=one.baseline, gain=one.gain, coverage=manifest.coverage(name)
        )
        for name, one in manifest.measures.items()
    )
    for field, content in ((message.metrics, manifest.metrics), (message.settings, manifest.settings)):
        field.CopyFrom(json_format.ParseDict(dict(content), struct_pb2.Struct()))
