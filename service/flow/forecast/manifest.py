"""The manifest of a flow model: which method answers for which measure, how sure it is, what it is made of."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, field_validator, model_validator

from service.errors import ModelRepositoryError
from service.flow.forecast.intervals import BANDS, KINDS_OF_SERIES, PROBABILITIES
from service.flow.series import MEASURES
from service.model.manifest import FLOW_NAME, MANIFEST_FILE, FileName, Sha256
from service.model.repository import read_whole, versions
from service.model.signing import Trust

FLOW_MODEL: Final = FLOW_NAME

HISTORY_FILE = "history.npz"
"""Beside the manifest: the last days of the series, which forecasts start from."""

TREES_FILE = "trees.onnx"
"""Boosted trees; the network is in `MODEL_FILE`."""

STOCK_FILE = "stock.npz"
"""The items that are there, of histories that know them."""


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


_Bands = Annotated[
    list[Annotated[list[float], Field(min_length=len(PROBABILITIES), max_length=len(PROBABILITIES))]],
    Field(min_length=len(BANDS), max_length=len(BANDS)),
]
"""Quantiles of the errors by range of horizons, in units of the spread."""


_Shares = Annotated[list[Annotated[float, Field(ge=0, le=1)]], Field(min_length=len(BANDS), max_length=len(BANDS))]
"""Weights by range of horizons."""


class FlowGrain(_Strict):
    """How one measure is forecast for questions that name some dimensions."""

    method: str  # the name of one, or that of a blend
    weights: dict[str, _Shares] = Field(min_length=1)  # of the methods whose weighted mean it is
    baseline: str  # the best of those that need no training
    gain: float  # share by which its WAPE is below the baseline's in the backtest
    quantiles: Annotated[list[_Bands], Field(min_length=KINDS_OF_SERIES, max_length=KINDS_OF_SERIES)]  # by kind

    @field_validator("quantiles", mode="before")
    @classmethod
    def _for_all_kinds(cls, value: Any) -> Any:  # noqa: ANN401 - whatever is in the file
        """Versions of before have quantiles of all kinds of series together."""
        match value:
            case [[float() | int(), *_], *_]:
                return [value] * KINDS_OF_SERIES
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if any(abs(sum(column) - 1) > 1e-6 for column in zip(*self.weights.values(), strict=True)):
            raise ValueError("weights are shares that add up to 1")
        return self


class FlowMeasure(_Strict):
    """How one measure is forecast."""

    method: str  # of most grains
    baseline: str  # likewise
    gain: float  # mean of the grains'
    grains: dict[str, FlowGrain] = Field(min_length=1)  # by the dimensions that are given, joined by commas


class FlowManifest(_Strict):
    """Everything about one version that is not in its other files."""

    format: Literal[1]  # of this file
    model: Literal["epc_flow"]
    version: int = Field(ge=1)
    created_at: str  # ISO 8601, UTC
    dimensions: list[str] = Field(min_length=1)
    measures: dict[str, FlowMeasure]  # by name
    least_days: int = Field(ge=1)  # of history that the methods need
    settings: dict[str, JsonValue]  # of the training
    metrics: dict[str, JsonValue]  # of the backtest
    lineage: dict[str, JsonValue]
    files: dict[FileName, Sha256]

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if tuple(self.measures) != MEASURES and set(self.measures) != set(MEASURES):
            raise ValueError(f"measures must be {', '.join(MEASURES)}")
        if HISTORY_FILE not in self.files:
            raise ValueError(f"files must name {HISTORY_FILE}")
        return self

    def coverage(self, measure: str) -> float | None:
        """Return which share, 0 .. 1, of a measure lay in the intervals in the backtest; None where nothing says so."""
        by_measure: Any = self.metrics.get("coverage")
        match by_measure.get(measure) if isinstance(by_measure, dict) else None:
            case {"all": float() | int() as share} if 0 <= share <= 1:
                return float(share)
        return None

    def to_json(self) -> str:
        """Return the canonical text."""
        content = self.model_dump(mode="json")
        return json.dumps(content, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")) + "\n"


@dataclass(frozen=True, slots=True)
class FlowVersion:
    """A verified version: its manifest and the contents of its files."""

    manifest: FlowManifest
    files: dict[str, bytes]

    @property
    def title(self) -> str:
        """Name and version: "epc_flow/1"."""
        return f"{FLOW_MODEL}/{self.manifest.version}"


def read_flow_version(repository: Path, version: int | None = None, trust: Trust | None = None) -> FlowVersion:
    """Return a version (default: the newest) of the flow model, verified.

    Raises:
        ModelRepositoryError: there is none, a file is missing or changed, or no key of ``trust`` signed it.
    """
    found = versions(repository, FLOW_MODEL)
    if not found:
        raise ModelRepositoryError(
            f"no flow model in {repository}: it has no folder {FLOW_MODEL}/<version>; make one with"
            " 'epc-sentinel flow train DIR --out RUN --repository REPO'"
        )
    number = found[-1] if version is None else version
    where = f"{FLOW_MODEL}/{number} in {repository}"
    if number not in found:
        raise ModelRepositoryError(f"no {where}; it has the versions {', '.join(map(str, found))}")
    content, files = read_whole(repository / FLOW_MODEL / str(number), where, trust)
    manifest = _manifest(content, where)
    if manifest.version != number:
        raise ModelRepositoryError(f"{where} holds the manifest of version {manifest.version}: a copied folder")
    return FlowVersion(manifest, files)


def _manifest(content: bytes, where: str) -> FlowManifest:
    try:
        return FlowManifest.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(map(str, first["loc"])) or "the file"
        raise ModelRepositoryError(
            f"{MANIFEST_FILE} of {where} is damaged or of another format ({field}: {first['msg']}): train it again"
        ) from error
