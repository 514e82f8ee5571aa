"""Settings of a training, and the JSON file that holds them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from service.events.vocabulary import KINDS
from service.events.zones import SEOUL
from service.features import table as features
from training.errors import DataError
from training.network.lstm import ModelConfig

Positive = Annotated[float, Field(gt=0)]
ByKind = Positive | dict[str, Positive]
"""One for all kinds, or one for each."""


class TrainConfig(BaseModel):
    """Settings of a training, kept in the run folder. The names are those of the JSON file of ``train --config``."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    # bilstm-attention: a tenth dearer and no better (docs/model.md); lstm: one layer, forward only, a baseline
    architecture: Literal["bilstm", "bilstm-attention", "lstm"] = "bilstm"
    hidden: int = Field(default=64, ge=1, le=1024)  # units per direction
    layers: int = Field(default=1, ge=1, le=4)
    bins: int = Field(default=4, ge=0, le=64)  # by quantiles, in which each feature is encoded; 0: normalised alone
    most_pieces: int | None = Field(default=None, ge=1)  # of that encoding that stay once it is fitted; None: all
    dropout: float = Field(default=0.1, ge=0, lt=1)
    max_length: int = Field(default=32, ge=4, le=256)  # events; longer journeys are cut into overlapping windows
    epochs: int = Field(default=24, ge=1)  # at most
    patience: int = Field(default=12, ge=1)  # epochs without a better validation AP before stopping
    windows_per_epoch: int = Field(default=80_000, ge=2)  # sequences drawn, half of them causal
    batch: int = Field(default=256, ge=1)  # sequences
    learning_rate: Positive = 4e-3  # peak of the one-cycle schedule
    weight_decay: float = Field(default=0.1, ge=0)
    focal_gamma: float = Field(default=0.0, ge=0)  # 0: cross-entropy; more of it hides how many labels are wrong
    anomalous_weight: ByKind = 3.0  # how much oftener a sequence with an anomaly is drawn; of several kinds the most
    undecided_weight: Positive = 1.0  # how much oftener one of which the network is not sure yet; 5 for many worlds
    time_noise: float = Field(default=0.005, ge=0)  # noise on time features, in their standard deviations
    false_positive_budget: float = Field(default=0.01, gt=0, lt=1)  # share of normal events flagged, per kind
    miss_cost: ByKind | None = None  # of an anomaly that is not flagged; with false_alarm_cost, instead of the budget
    false_alarm_cost: ByKind | None = None  # of a normal event that is flagged
    anchor: float = Field(default=0, ge=0)  # pull towards the weights that the training starts from (L2-SP)
    frozen_encoder: bool = False  # of given weights only what comes after the projection is trained
    time_zone: str = SEOUL  # of the places of which locations.csv says none
    seed: int = Field(default=7, ge=0)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.architecture == "lstm" and self.layers != 1:
            raise ValueError(f"the lstm baseline has one layer, not {self.layers}")
        if (self.miss_cost is None) != (self.false_alarm_cost is None):
            raise ValueError("miss_cost and false_alarm_cost belong together: give both or none")
        for what, given in (
            ("cost", self.miss_cost),
            ("cost", self.false_alarm_cost),
            ("weight", self.anomalous_weight),
        ):
            if isinstance(given, dict) and set(given) != set(KINDS):
                raise ValueError(f"a {what} by kind names each kind: {', '.join(KINDS)}")
        return self

    def model(self, pieces: int = 0) -> ModelConfig:
        """Return the sizes of the network, its features encoded in ``pieces``."""
        return ModelConfig(
            features=len(features.NAMES),
            pieces=pieces,
            causal_index=features.INDEX["causal"],
            hidden=self.hidden,
            layers=self.layers,
            bidirectional=self.architecture != "lstm",
            attention=self.architecture == "bilstm-attention",
            dropout=self.dropout,
        )

    def oftener(self) -> list[float]:
        """Return by kind how much oftener a sequence with an anomaly of it is drawn than one of normal events."""
        return _by_kind(self.anomalous_weight)

    def costs(self) -> list[tuple[float, float]] | None:
        """Return (cost of a miss, cost of a false alarm) by kind, None if the budget decides."""
        if self.miss_cost is None or self.false_alarm_cost is None:
            return None
        return list(zip(_by_kind(self.miss_cost), _by_kind(self.false_alarm_cost), strict=True))


def _by_kind(value: ByKind) -> list[float]:
    return [value[kind] for kind in KINDS] if isinstance(value, dict) else [value] * len(KINDS)


def load_config(path: Path | None, **changes: Any) -> TrainConfig:  # noqa: ANN401 - of the fields' types
    """Return the settings of a JSON file (default: none), those of ``changes`` that are not None in their place.

    Raises:
        DataError: there is no such file, it is no JSON object, or a setting is unknown or out of range.
    """
    where = str(path) if path else "the training settings"
    try:
        base = TrainConfig.model_validate_json(path.read_bytes()) if path else TrainConfig()
        given = {name: value for name, value in changes.items() if value is not None}
        return TrainConfig.model_validate(base.model_dump() | given)
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}; --config takes a JSON file of training settings") from None
    except ValidationError as error:
        problem = error.errors()[0]
        name = ".".join(str(part) for part in problem["loc"])
        raise DataError(f"{where}: {name + ': ' if name else ''}{problem['msg']}") from None
