"""Run folders: everything that one training left behind, enough to evaluate and to export it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from service.features import table as features
from service.features.reference import Reference
from training.errors import DataError
from training.network.lstm import CalibratedModel, EpcLstm, ModelConfig
from training.network.one_class_svm import OneClassSvms

RUN_FILE, WEIGHTS_FILE, SVM_FILE, REFERENCE_FILE = "run.json", "weights.pt", "svm.pt", "reference.json"


@dataclass(frozen=True, slots=True)
class Run:
    """A finished training."""

    model: CalibratedModel
    reference: Reference  # learned from all events of the data: what a model in service looks things up in
    record: dict[str, Any]  # run.json: config, lengths, lineage, thresholds, metrics, histograms, probe
    svm: OneClassSvms | None = None  # runs of earlier releases have none

    @property
    def lengths(self) -> list[int]:
        """Return the lengths that sequences are padded to; longer journeys are cut into windows of the last one."""
        return list(self.record["lengths"])

    def save(self, folder: Path) -> None:
        """Write the run folder."""
        torch.save(self.model.state_dict(), folder / WEIGHTS_FILE)
        if self.svm is not None:
            torch.save(self.svm.state(), folder / SVM_FILE)
        (folder / REFERENCE_FILE).write_text(json.dumps(self.reference.to_json()), encoding="utf-8")
        text = json.dumps(self.record, indent=1, ensure_ascii=False, allow_nan=False)
        (folder / RUN_FILE).write_text(text, encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Run:
        """Read a run folder.

        Raises:
            DataError: it is no run folder, or one of other features.
        """
        try:
            record = json.loads((folder / RUN_FILE).read_text(encoding="utf-8"))
            tables = json.loads((folder / REFERENCE_FILE).read_text(encoding="utf-8"))
            weights = torch.load(folder / WEIGHTS_FILE, weights_only=True)
            kept = torch.load(folder / SVM_FILE, weights_only=True) if (folder / SVM_FILE).exists() else None
        except FileNotFoundError as missing:
            raise DataError(
                f"{folder} is no run folder ({Path(missing.filename).name} is missing); make one with train"
            ) from None
        if record["feature_spec_hash"] != features.feature_spec_hash() or "pieces" not in record["model"]:
            raise DataError(
                f"{folder} was trained by another version, with other features or another network; train again"
            )
        model = CalibratedModel(EpcLstm(ModelConfig(**record["model"])))
        model.load_state_dict(weights)
        svm = None if kept is None else OneClassSvms(**kept).eval()
        return cls(model.eval(), Reference.from_json(tables), record, svm)


def padded_lengths(longest: int) -> list[int]:
    """Return the lengths to pad to: powers of two from 4 on, then ``longest``. Few shapes fill a server's batches."""
    return [*(2**n for n in range(2, 9) if 2**n < longest), longest]
