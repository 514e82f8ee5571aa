"""A run's record, typed: what run.json says of a training. Written once, read by evaluate and export."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, ValidationError

from service.features import table as features
from service.model.manifest import Ensemble, ExpectedError, NormalEvents, Points, Sha256, Thresholds
from training.errors import DataError
from training.fitting.config import TrainConfig
from training.network.lstm import ModelConfig

ByDetector = dict[str, dict[str, dict[str, float | None]]]
"""detector -> kind -> metric, None where it is not defined."""

Features = Annotated[list[float], Field(min_length=len(features.NAMES), max_length=len(features.NAMES))]


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Contents(_Strict):
    """A data folder as it was at the training: its files, and how much was read from them."""

    data: str  # the folder
    truth: str | None  # the truth file; None: the rules labelled
    files_sha256: dict[str, Sha256]  # raw files
    other_files_sha256: dict[str, Sha256]  # masters and truth
    rows_by_file: dict[str, int]
    events: int
    epcs: int
    quarantined_rows: int


def _listed(more: object) -> object:
    """Return the folders of --more-data as a list: runs of earlier releases have one, or null, or do not say."""
    return more if isinstance(more, list) else [] if more is None else [more]


class AuditorRecord(_Strict):
    """How often an auditor contradicted the evidence, and whether his verdicts were left out for that."""

    who: str
    verdicts: int
    compared: int
    contradicted: int
    expected: float
    set_aside: bool


class AuditedData(_Strict):
    """New events and what people said of them, that a retraining learned from."""

    contents: Contents
    verdicts: str  # the file
    verdicts_sha256: Sha256
    said: int  # verdicts in it
    left_out: int = 0  # of these, on events that the data do not have, or said in the future
    counted: dict[str, int]  # labels that they made, confirmed and rejected
    first_event: str  # ISO 8601, UTC, as the others
    last_event: str
    first_verdict: str
    last_verdict: str
    auditors: list[AuditorRecord]


class Lineage(Contents):
    """Where the data of a training came from, and what was done with them."""

    labels: str  # who labelled, in words
    events_by_split: dict[str, int]
    more_data: Annotated[list[Contents], BeforeValidator(_listed)] = []  # of --more-data
    other_networks: list[Contents] = []  # of --other-network
    audited: AuditedData | None = None  # of a retraining
    retrained_from: Sha256 | None = None  # the weights that it started from; of a retraining


class TuningRecord(_Strict):
    """From which network a training started, and how far it went from there."""

    start: str  # its title, or its run folder
    labelled_events: int  # of the training part, one kind of each at least
    way: str  # in words
    share: float | None = None  # 0 .. 1 of the tuned weights in the average with those of the start; 0: these stayed


class AveragingStep(_Strict):
    """What a retraining found at a share of the way from the champion's weights to the tuned ones."""

    share: float
    refused: list[str]  # why the gate would refuse it on the validation part of the champion's data
    gain: float  # of AP on verdicts that were set apart, mean of kinds and modes


class AveragingRecord(_Strict):
    """How far a retraining went from the champion's weights to the tuned ones."""

    share: float  # of the way
    steps: list[AveragingStep]  # all that were tried


class SplitMetrics(_Strict):
    """What was measured on the test split, by mode."""

    events: int
    retrospective: ByDetector
    causal: ByDetector

    def of(self, mode: str) -> ByDetector:
        """Return the metrics of one of MODES."""
        return {"retrospective": self.retrospective, "causal": self.causal}[mode]


UNMEASURED = SplitMetrics(events=0, retrospective={}, causal={})
"""Of a run that is still being made: it is measured by what its record says."""


class RunRecord(_Strict):
    """Everything about a run that is not in its weights and tables; ``run.json`` in the run folder."""

    created_at: str  # ISO 8601, UTC
    config: TrainConfig
    model: ModelConfig
    lengths: list[int] = Field(min_length=1)  # the lengths T that sequences are padded to, ascending
    feature_spec_hash: str  # of the code that computed the features
    thresholds: Thresholds
    operating_points: Points | None = None  # None: costs decide; runs of earlier releases do not say
    svm_thresholds: Thresholds | None = None  # runs of earlier releases have no one-class SVMs
    svm_operating_points: Points | None = None
    ensemble: Ensemble | None = None  # and no ensemble
    baseline: NormalEvents | None = None  # nor normal events that scores are explained against
    expected_error: ExpectedError | None = None  # nor say how often findings are wrong
    lineage: Lineage
    tuning: TuningRecord | None = None  # None: from random weights; runs of earlier releases do not say
    averaging: AveragingRecord | None = None  # of a retraining
    probe: list[Features] = Field(min_length=1)  # [T, F] features of a real journey
    histograms: dict[str, JsonValue]  # for drift, by mode; `service.drift.monitor` reads them
    metrics: SplitMetrics
    folds: dict[str, dict[str, float]] | None = None  # column of folds.csv -> mean and sd; only of several folds

    def content(self) -> dict[str, JsonValue]:
        """Return the record as plain values: what was given, and nothing that a run of an earlier release lacks."""
        return self.model_dump(exclude_unset=True)

    def to_json(self) -> str:
        """Return the text of run.json."""
        return json.dumps(self.content(), indent=1, ensure_ascii=False, allow_nan=False)


class _Version(BaseModel):
    """What tells runs of other versions, whatever else they say."""

    feature_spec_hash: str
    model: dict[str, JsonValue]


def read_record(path: Path) -> RunRecord:
    """Return the record at ``path``.

    Raises:
        FileNotFoundError: there is none.
        DataError: it is damaged, or of a run of other features.
    """
    content = path.read_bytes()
    try:
        version = _Version.model_validate_json(content)
        if version.feature_spec_hash != features.feature_spec_hash() or "pieces" not in version.model:
            raise DataError(
                f"{path.parent} was trained by another version, with other features or another network; train again"
            )
        return RunRecord.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(map(str, first["loc"])) or "the file"
        raise DataError(f"{path} is damaged ({field}: {first['msg']}); restore it, or train again") from error
