"""Settings of a training of flow forecasts."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from training.errors import DataError

_Units = Annotated[int, Field(ge=1, le=512)]


class FlowConfig(BaseModel):
    """Settings, kept in the run folder; those of the network are the template's of this field."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    lstm_units_1: _Units = 64  # of the first layer
    lstm_units_2: _Units = 32  # of the second
    dropout_rate: float = Field(default=0.2, ge=0, lt=1)
    sequence_length: int = Field(default=10, ge=2, le=90)  # days that the network sees
    epochs: int = Field(default=50, ge=1, le=1000)  # at most
    batch_size: int = Field(default=32, ge=1, le=4096)
    learning_rate: float = Field(default=1e-3, gt=0, le=1)
    train_test_split: float = Field(default=0.8, gt=0.2, lt=1)  # share of the days before those that only measure
    patience: int = Field(default=8, ge=1)  # epochs without a better validation loss before it stops
    trees: int = Field(default=150, ge=1, le=2000)  # of each measure
    seed: int = Field(default=7, ge=0, lt=2**31)


def flow_config(**changes: Any) -> FlowConfig:  # noqa: ANN401 - of the fields' types
    """Return the settings, those of ``changes`` that are not None in the place of the usual ones.

    Raises:
        DataError: settings are unknown or out of range; names each.
    """
    try:
        return FlowConfig.model_validate({name: value for name, value in changes.items() if value is not None})
    except ValidationError as error:
        wrong = [
            f"{'.'.join(map(str, one['loc']))} is {one['input']}: {one['msg'].replace('Input', 'it')}"
            for one in error.errors()
        ]
        raise DataError("; ".join(wrong)) from None
