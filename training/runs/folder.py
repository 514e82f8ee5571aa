"""Run folders: everything that one training left behind, enough to evaluate and to export it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch

from service.features.reference import Reference
from training.errors import DataError
from training.network.lstm import CalibratedModel, EpcLstm
from training.network.one_class_svm import OneClassSvms
from training.runs.record import RunRecord, read_record

RUN_FILE, WEIGHTS_FILE, SVM_FILE, REFERENCE_FILE = "run.json", "weights.pt", "svm.pt", "reference.json"


@dataclass(frozen=True, slots=True)
class Run:
    """A finished training."""

    model: CalibratedModel
    reference: Reference  # learned from all events of the data: what a model in service looks things up in
    record: RunRecord
    svm: OneClassSvms | None = None  # runs of earlier releases have none

    @property
    def lengths(self) -> list[int]:
        """Return the lengths that sequences are padded to; longer journeys are cut into windows of the last one."""
        return self.record.lengths

    def save(self, folder: Path) -> None:
        """Write the run folder."""
        torch.save(self.model.state_dict(), folder / WEIGHTS_FILE)
        if self.svm is not None:
            torch.save(self.svm.state(), folder / SVM_FILE)
        (folder / REFERENCE_FILE).write_text(json.dumps(self.reference.to_json()), encoding="utf-8")
        (folder / RUN_FILE).write_text(self.record.to_json(), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Run:
        """Read a run folder.

        Raises:
            DataError: it is no run folder, a damaged one, or one of other features.
        """
        try:
            record = read_record(folder / RUN_FILE)
            tables = json.loads((folder / REFERENCE_FILE).read_text(encoding="utf-8"))
            weights = torch.load(folder / WEIGHTS_FILE, weights_only=True)
            kept = torch.load(folder / SVM_FILE, weights_only=True) if (folder / SVM_FILE).exists() else None
        except FileNotFoundError as missing:
            raise DataError(
                f"{folder} is no run folder ({Path(missing.filename).name} is missing); make one with train"
            ) from None
        if kept is not None and (record.svm_thresholds is None or record.ensemble is None):
            raise DataError(
                f"{folder} has {SVM_FILE}, of which {RUN_FILE} has no svm_thresholds or no ensemble; train again"
            )
        model = CalibratedModel(EpcLstm(record.model))
        model.load_state_dict(weights)
        svm = None if kept is None else OneClassSvms(**kept).eval()
        return cls(model.eval(), Reference.from_json(tables), record, svm)


def padded_lengths(longest: int) -> list[int]:
    """Return the lengths to pad to: powers of two from 4 on, then ``longest``. Few shapes fill a server's batches."""
    return [*(2**n for n in range(2, 9) if 2**n < longest), longest]
