"""Run folders of flow forecasts: what a training leaves behind, enough to export it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from service.flow.forecast.manifest import FlowMeasure
from service.flow.series import FlowSeries
from training.errors import DataError
from training.flow.config import FlowConfig

FLOW_RUN_FILE, SERIES_FILE = "flow.json", "series.npz"


class FlowRecord(BaseModel):
    """What was trained, on what, and how good it is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    created_at: str  # ISO 8601, UTC
    config: FlowConfig
    dimensions: list[str]
    measures: dict[str, FlowMeasure]
    least_days: int
    metrics: dict[str, JsonValue]
    lineage: dict[str, JsonValue]


@dataclass(frozen=True, slots=True)
class FlowRun:
    """A finished training."""

    record: FlowRecord
    history: FlowSeries

    def save(self, folder: Path) -> None:
        """Write the run folder; the record last: a folder with one is a finished training."""
        folder.mkdir(parents=True, exist_ok=True)
        self.history.save(folder / SERIES_FILE)
        text = json.dumps(self.record.model_dump(mode="json"), ensure_ascii=False, indent=1)
        (folder / FLOW_RUN_FILE).write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> FlowRun:
        """Read a run folder.

        Raises:
            DataError: it is none, or a damaged one.
        """
        try:
            record: Any = json.loads((folder / FLOW_RUN_FILE).read_text(encoding="utf-8"))
            history = FlowSeries.from_bytes((folder / SERIES_FILE).read_bytes())
            return cls(FlowRecord.model_validate(record), history)
        except FileNotFoundError as missing:
            raise DataError(
                f"{folder} is no run folder of flow ({Path(missing.filename).name} is missing);"
                " make one with flow train"
            ) from None
        except (ValueError, KeyError, ValidationError) as error:
            raise DataError(f"{folder} holds a damaged run: {str(error).splitlines()[0]}; train again") from None
