"""What the paths of flow take: fields as planners' tools name them, and examples."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel

from service.pb.epcsentinel.v1 import flow_pb2 as pb


def _text(value: object) -> object:
    """Return a whole number as text: panel sizes and locations are names, and often numbers."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


_Name = Annotated[str, BeforeValidator(_text), Field(max_length=200)]
_Names = Annotated[list[_Name], Field(max_length=1_000)]
_Whole = Annotated[int, Field(ge=-(2**31), lt=2**31)]
_Number = Annotated[float, Field(allow_inf_nan=False)]


class FlowBody(BaseModel):
    """Fields in camelCase; what is not given has the usual value."""

    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, populate_by_name=False)

    def given(self) -> dict[str, Any]:
        """Return the fields that were given, by their names in the contract."""
        return self.model_dump(exclude_none=True)


class GenerateBody(FlowBody):
    """What data are to be made."""

    plants: _Names | None = Field(None, description="names; usually P1, P2")
    applications: _Names | None = Field(None, description="names; usually TV, Monitor, Mobile")
    panel_sizes: _Names | None = Field(None, description="names; usually 32, 55, 65")
    historical_days: _Whole | None = Field(None, description="usually 545")
    base_wip: _Number | None = Field(None, alias="baseWIP", description="items of a series; usually 100")
    base_throughput: _Number | None = Field(None, description="items per day of a series; usually 50")
    seasonality: _Number | None = Field(None, description="0 to 0.9; usually 0.2")
    noise_level: _Number | None = Field(None, description="0 to 1; usually 0.1")
    seed: _Whole | None = Field(None, description="the same seed makes the same numbers; usually 0")
    with_rows: bool | None = Field(None, description="whether the answer has all rows; usually not")


class TrainBody(FlowBody):
    """What is to be learned from, and how."""

    data_id: _Name | None = Field(None, description="of /api/data/generate; usually the operator's data, or the last")
    lstm_units_1: _Whole | None = Field(None, alias="lstmUnits1", description="usually 64")
    lstm_units_2: _Whole | None = Field(None, alias="lstmUnits2", description="usually 32")
    dropout_rate: _Number | None = Field(None, description="usually 0.2")
    sequence_length: _Whole | None = Field(None, description="days; usually 10")
    epochs: _Whole | None = Field(None, description="at most; usually 50")
    batch_size: _Whole | None = Field(None, description="usually 32")
    learning_rate: _Number | None = Field(None, description="usually 0.001")
    train_test_split: _Number | None = Field(None, description="share of the days; usually 0.8")
    why: str | None = Field(None, max_length=2_000)


class PredictBody(FlowBody):
    """Which days are asked for, of what."""

    model_id: _Name | None = Field(None, description="usually the champion, or the newest model")
    site: _Name | None = Field(None, description="number of the location, of models of scans")
    step: _Name | None = Field(None, description="such as WMS, of models of scans")
    product: _Name | None = Field(None, description="of models of scans")
    plant: _Name | None = Field(None, description="of models of plants")
    application: _Name | None = Field(None, description="of models of plants")
    panel_size: _Name | None = Field(None, description="of models of plants")
    current_wip: _Number | None = Field(None, alias="currentWIP", description="items; usually those of the last day")
    planned_throughput: _Number | None = Field(None, description="items per day that are to leave")
    prediction_days: Annotated[_Whole, Field(ge=1)] | None = Field(None, description="1 to 60; usually 30")


class ValidateBody(FlowBody):
    """A plan."""

    wip: _Number = Field(description="items in work")
    throughput: _Number = Field(description="items per day")
    cycle_time_days: _Number = Field(description="days from in to out")
    tolerance: _Number | None = Field(None, description="share by which they may be apart; usually 0.02")


def _example(summary: str, value: dict[str, object]) -> dict[str, Any]:
    return {"usual": {"summary": summary, "value": value}}


GENERATE = _example(
    "Two plants",
    {
        "plants": ["P1", "P2"],
        "applications": ["TV", "Monitor"],
        "panelSizes": ["32", "55"],
        "historicalDays": 545,
        "baseWIP": 100,
        "baseThroughput": 50,
        "seasonality": 0.2,
        "noiseLevel": 0.1,
        "seed": 0,
    },
)
TRAIN = _example(
    "The usual settings",
    {
        "lstmUnits1": 64,
        "lstmUnits2": 32,
        "dropoutRate": 0.2,
        "sequenceLength": 10,
        "epochs": 50,
        "batchSize": 32,
        "learningRate": 0.001,
        "trainTestSplit": 0.8,
    },
)
PREDICT = _example(
    "A plant with a plan",
    {"plant": "P1", "application": "TV", "panelSize": "55", "currentWIP": 120, "plannedThroughput": 55,
     "predictionDays": 30},
)  # fmt: skip
VALIDATE = _example("A plan that does not hold", {"wip": 100, "throughput": 50, "cycleTimeDays": 2.5})

REQUESTS = {
    GenerateBody: pb.FlowServiceGenerateDataRequest,
    TrainBody: pb.FlowServiceTrainRequest,
    PredictBody: pb.FlowServicePredictRequest,
    ValidateBody: pb.FlowServiceValidateRequest,
}
"""The message that each body becomes."""
