"""Run folders: everything that one training left behind, enough to evaluate and to export it."""

from __future__ import annotations

import io
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch

from service.features.reference import Reference
from service.model.repository import versions
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
        """Write the run folder, whole or not at all."""
        files = {WEIGHTS_FILE: saved(self.model.state_dict())}
        if self.svm is not None:
            files[SVM_FILE] = saved(self.svm.state())
        files[REFERENCE_FILE] = json.dumps(self.reference.to_json()).encode()
        files[RUN_FILE] = self.record.to_json().encode()
        with tempfile.TemporaryDirectory(prefix=".new-", dir=folder) as scratch:
            for name, content in files.items():
                (Path(scratch) / name).write_bytes(content)
            for name in files:
                (Path(scratch) / name).replace(folder / name)

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
            if versions(folder):
                raise DataError(
                    f"{folder} is a model repository and no run folder; name the run that it was exported from (of a"
                    " repository alone, evaluate --causes measures the newest version)"
                ) from None
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


def saved(state: object) -> bytes:
    """Return what `torch.save` writes of ``state``; written from here, a full disk is an OSError that says so."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def padded_lengths(longest: int) -> list[int]:
    """Return the lengths to pad to: powers of two from 4 on, then ``longest``. Few shapes fill a server's batches."""
    return [*(2**n for n in range(2, 9) if 2**n < longest), longest]
