"""Run folders: everything that one training left behind, enough to evaluate and to export it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from service import features
from service.reference import Reference
from service.sequences import pad
from training.dataset import DataError
from training.model import CalibratedModel, EpcLstm, ModelConfig
from training.samples import Samples
from training.svm import OneClassSvms

RUN_FILE, WEIGHTS_FILE, SVM_FILE, REFERENCE_FILE = "run.json", "weights.pt", "svm.pt", "reference.json"
_PREDICT_BATCH = 1024


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


@torch.inference_mode()
def predict(model: CalibratedModel | EpcLstm | OneClassSvms, part: Samples) -> NDArray[np.float32]:
    """Return what ``model`` says of each row [N, 5] of ``part``: probabilities, or logits of a bare EpcLstm."""
    model.eval()
    device = next(model.buffers()).device
    windows = part.windows
    answers = np.zeros((len(windows.start), int(windows.length.max()), part.labels.shape[1]), dtype=np.float32)
    by_length = np.argsort(windows.length, kind="stable")
    for begin in range(0, len(by_length), _PREDICT_BATCH):
        rows = by_length[begin : begin + _PREDICT_BATCH]
        longest = int(windows.length[rows].max())
        batch = pad(part.features, windows.start[rows], windows.length[rows], longest)
        lengths = torch.from_numpy(windows.length[rows, None].astype(np.int64))
        answers[rows, :longest] = model(torch.from_numpy(batch).to(device), lengths.to(device)).float().cpu().numpy()
    return answers[windows.window_of, windows.offset_of]
