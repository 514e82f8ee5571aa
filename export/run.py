"""A run folder becomes a version of the model repository."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from export.repository import golden_probe, write_version
from export.to_onnx import export_onnx
from service import features
from service.events import KINDS
from service.registry import MODEL_FILE, Manifest, Thresholds, digest_of, versions
from training.run import Run


def export_run(
    run_folder: Path,
    repository: Path,
    version: int | None = None,
    *,
    replace: bool = False,
    sign: Ed25519PrivateKey | None = None,
) -> Path:
    """Export a run as ``version`` (default: the next one) of the model in ``repository``; return the version's folder.

    With ``sign`` the version is signed with that key.

    Raises:
        DataError: it is no run folder, or one of other features.
        ParityError: the graph does not answer as the trained model does.
        ModelRepositoryError: the version exists and ``replace`` is off, or does not fit the repository.
    """
    run = Run.load(run_folder)
    number = version if version is not None else max(versions(repository), default=0) + 1
    record = run.record
    with tempfile.TemporaryDirectory() as folder:
        onnx = Path(folder) / MODEL_FILE
        parity = export_onnx(run.model, onnx)
        example = np.array([record["probe"]], dtype=np.float32)  # [1, T, F]
        manifest = Manifest(
            format=1,
            model="epc_lstm",
            version=number,
            created_at=record["created_at"],
            features=list(features.NAMES),
            feature_spec_hash=features.feature_spec_hash(),
            kinds=list(KINDS),
            lengths=run.lengths,
            thresholds=Thresholds(**record["thresholds"]),
            reference=run.reference.to_json(),
            histograms=record["histograms"],
            metrics=record["metrics"],
            lineage=record["lineage"] | {"config": record["config"], "parity_max_abs_difference": parity},
            files={MODEL_FILE: digest_of(onnx)},
            probe=golden_probe(onnx, example, np.array([[example.shape[1]]], dtype=np.int64)),
        )
        return write_version(repository, number, onnx, manifest, replace=replace, sign=sign)
