"""Run folders of flow forecasts: what a training leaves behind, enough to export it."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightgbm
import torch
from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from service.flow.forecast.manifest import FlowMeasure
from service.flow.forecast.stock import Stock
from service.flow.series import FlowSeries
from training.errors import DataError
from training.flow.config import FlowConfig
from training.flow.methods.learners import Learners
from training.flow.methods.network import FlowLstm

FLOW_RUN_FILE, SERIES_FILE, ITEMS_FILE, LSTM_FILE, TREES_FILE = (
    "flow.json",
    "series.npz",
    "stock.npz",
    "lstm.pt",
    "trees.json",
)


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
    series: FlowSeries  # the last days, which forecasts start from
    stock: Stock | None
    learned: Learners

    def save(self, folder: Path) -> None:
        """Write the run folder; the record last: a folder with one is a finished training."""
        folder.mkdir(parents=True, exist_ok=True)
        self.series.save(folder / SERIES_FILE)
        if self.stock is not None:
            (folder / ITEMS_FILE).write_bytes(self.stock.to_bytes())
        weights = io.BytesIO()
        torch.save(self.learned.lstm.state_dict(), weights)
        (folder / LSTM_FILE).write_bytes(weights.getvalue())
        trees = [one.model_to_string() for one in self.learned.trees]
        (folder / TREES_FILE).write_text(json.dumps(trees), encoding="utf-8")
        text = json.dumps(self.record.model_dump(mode="json"), ensure_ascii=False, indent=1)
        (folder / FLOW_RUN_FILE).write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> FlowRun:
        """Read a run folder.

        Raises:
            DataError: it is none, or a damaged one.
        """
        try:
            found: Any = json.loads((folder / FLOW_RUN_FILE).read_text(encoding="utf-8"))
            record = FlowRecord.model_validate(found)
            series = FlowSeries.from_bytes((folder / SERIES_FILE).read_bytes())
            items = folder / ITEMS_FILE
            stock = Stock.from_bytes(items.read_bytes()) if items.exists() else None
            trees = json.loads((folder / TREES_FILE).read_text(encoding="utf-8"))
            weights = torch.load(folder / LSTM_FILE, weights_only=True)
        except FileNotFoundError as missing:
            raise DataError(
                f"{folder} is no run folder of flow ({Path(missing.filename).name} is missing);"
                " make one with flow train"
            ) from None
        except (ValueError, KeyError, ValidationError) as error:
            raise DataError(f"{folder} holds a damaged run: {str(error).splitlines()[0]}; train again") from None
        lstm = FlowLstm(record.config)
        lstm.load_state_dict(weights)
        boosters = [lightgbm.Booster(model_str=text) for text in trees]
        return cls(record, series, stock, Learners(lstm.eval(), boosters, record.config.sequence_length))
