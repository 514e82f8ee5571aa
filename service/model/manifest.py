"""The manifest of a model version: everything about it that is not in its graph."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints, model_validator

from service.events.vocabulary import KINDS, TYPES, OperatingPoint

MODEL_NAME: Final = "epc_lstm"

SVM_NAME: Final = "epc_svm"
"""One-class SVMs of the same run, under the same number; a repository need not have them."""

FLOW_NAME: Final = "epc_flow"
"""Forecasts of flow: versions of their own, with a manifest of their own (`service.flow.forecast.manifest`)."""

MODEL_FILE = "model.onnx"

MANIFEST_FILE = "manifest.json"

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]

FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")]

Probability = Annotated[float, Field(ge=0, le=1)]

PerKind = Annotated[list[Probability], Field(min_length=len(KINDS), max_length=len(KINDS))]
"""One number per kind, in the order of KINDS."""


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Thresholds(_Strict):
    """A probability at or above its threshold is a finding."""

    retrospective: PerKind
    causal: PerKind

    def of(self, mode: str) -> list[float]:
        """Return the thresholds [5] of a mode."""
        return {"retrospective": self.retrospective, "causal": self.causal}[mode]


Weights = Annotated[list[Annotated[list[float], Field(min_length=5, max_length=5)]], Field(min_length=2, max_length=2)]
"""One number per mode, retrospective and causal, and kind."""


Points = dict[OperatingPoint, Thresholds]
"""The thresholds of each operating point; without it every point is ``thresholds``, that of the budget: sensitive."""


def at_point(point: OperatingPoint, points: Points | None, thresholds: Thresholds) -> Thresholds:
    """Return the thresholds of an operating point: ``thresholds`` if ``points`` lack it."""
    return (points or {}).get(point, thresholds)


class Ensemble(_Strict):
    """How network, one-class SVMs and rules are combined, see `service.detect.ensemble.combine`."""

    lstm: Weights
    svm: Weights
    bias: Weights
    rules: Weights | None = None  # None: zeros, of ensembles without rules in earlier releases
    thresholds: Thresholds
    operating_points: Points | None = None


Event = list[float]
"""F numbers, in the order of the manifest's features."""

ByType = Annotated[list[Event], Field(min_length=TYPES, max_length=TYPES)]


class NormalEvents(_Strict):
    """The median normal event of each type, the unknown one last: what scores are explained against."""

    retrospective: ByType
    causal: ByType


ExpectedError = Annotated[
    list[Annotated[list[Probability], Field(min_length=1)]], Field(min_length=len(KINDS), max_length=len(KINDS))
]
"""By kind, in the order of KINDS, and by known events of the item, 1 to K or more: the share [5][K] of the causal
findings at the balanced point that were wrong in validation."""


class Probe(_Strict):
    """A golden pair: what the model answers to a known input, in the shapes of the model contract."""

    features: list[list[list[float]]]  # [B, T, F]
    lengths: list[list[int]]  # [B, 1]
    probabilities: list[list[PerKind]]  # [B, T, 5]


class Manifest(_Strict):
    """Everything about one model version that is not in its graph; ``manifest.json`` beside ``model.onnx``."""

    format: Literal[1]  # of this file
    model: Literal["epc_lstm", "epc_svm"]
    version: int = Field(ge=1)  # the name of the folder
    created_at: str  # ISO 8601, UTC
    features: list[str] = Field(min_length=1)  # F names, in the order of the input
    feature_spec_hash: str  # of the code that computes the features; must be the gateway's own
    kinds: list[str]  # in the order of the output
    lengths: list[int] = Field(min_length=1)  # the lengths T that requests are padded to, ascending
    thresholds: Thresholds
    reference: dict[str, JsonValue]  # tables that the features need (routes, issued codes)
    histograms: dict[str, JsonValue]  # of features and scores in training, for drift
    metrics: dict[str, JsonValue]  # of the held-out data
    lineage: dict[str, JsonValue]  # training data, settings, code version
    files: dict[FileName, Sha256]  # SHA-256 of every other file of the version
    probe: Probe
    ensemble: Ensemble | None = None  # in manifests of epc_svm
    baseline: NormalEvents | None = None  # in manifests of epc_lstm; those of earlier releases have none
    operating_points: Points | None = None
    expected_error: ExpectedError | None = None  # in manifests of epc_lstm; those of earlier releases have none

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.lengths != sorted(set(self.lengths)) or self.lengths[0] < 1:
            raise ValueError("lengths must be positive and ascending")
        if MODEL_FILE not in self.files:
            raise ValueError(f"files must name {MODEL_FILE}")
        if any(len(event) != len(self.features) for sequence in self.probe.features for event in sequence):
            raise ValueError("probe.features must have one number per feature")
        normal = self.baseline and (*self.baseline.retrospective, *self.baseline.causal)
        if normal and any(len(event) != len(self.features) for event in normal):
            raise ValueError("baseline must have one number per feature")
        return self

    def to_json(self) -> str:
        """Return the canonical text: equal manifests give equal bytes, so that a digest of the file means something."""
        content = self.model_dump(mode="json")
        # What manifests of earlier releases do not have: their text stays what it was.
        for part, optional in (
            (content, ("ensemble", "baseline", "operating_points", "expected_error")),
            (content["ensemble"], ("rules", "operating_points")),
        ):
            for name in optional:
                if part is not None and part[name] is None:
                    del part[name]
        return json.dumps(content, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")) + "\n"


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file as 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
