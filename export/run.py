"""A run folder becomes a version of the model repository: the network, and the one-class SVMs beside it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Literal

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from export.repository import golden_probe, write_version
from export.to_onnx import export_onnx
from export.undo import all_or_nothing
from service.errors import ModelRepositoryError
from service.events.vocabulary import KINDS
from service.features import table as features
from service.model.manifest import MODEL_FILE, MODEL_NAME, SVM_NAME, Manifest, digest_of
from service.model.repository import retired, versions
from training.network.lstm import CalibratedModel
from training.network.one_class_svm import OneClassSvms
from training.runs.folder import Run

_MODELS = (MODEL_NAME, SVM_NAME)
"""What shares the numbers of the versions."""


def export_run(
    run_folder: Path,
    repository: Path,
    version: int | None = None,
    *,
    replace: bool = False,
    sign: Ed25519PrivateKey | None = None,
) -> Path:
    """Export a run as ``version`` (default: the next one) of the models in ``repository``.

    With ``sign`` the version is signed with that key. A run of an earlier release has no one-class SVMs to export.

    If it fails, the repository is as it was before.

    Returns:
        The folder of the network's version.

    Raises:
        DataError: it is no run folder, or one of other features.
        ParityError: a graph does not answer as the trained model does.
        ModelRepositoryError: the version exists and ``replace`` is off, or does not fit the repository.
    """
    run = Run.load(run_folder)
    gone = {number for name in _MODELS for number in retired(repository, name)}
    free = 1 + max({taken for name in _MODELS for taken in versions(repository, name)} | gone, default=0)
    number = free if version is None else version
    if number in gone:
        raise ModelRepositoryError(
            f"version {number} was deleted from {repository}: its number is never used again; the next one, {free}, is"
            " free"
        )
    if not replace and any(number in versions(repository, name) for name in _MODELS):
        raise ModelRepositoryError(
            f"version {number} exists in {repository}: versions are never changed; the next one, {free}, is free"
        )
    with all_or_nothing(repository, _MODELS, number):
        if run.svm is not None:  # first: a network that is there has its SVMs beside it
            _export(run, SVM_NAME, repository, number, replace=replace, sign=sign)
        return _export(run, MODEL_NAME, repository, number, replace=replace, sign=sign)


def _export(  # noqa: PLR0913 - two of them are options, given by name
    run: Run,
    name: Literal["epc_lstm", "epc_svm"],
    repository: Path,
    version: int,
    *,
    replace: bool,
    sign: Ed25519PrivateKey | None,
) -> Path:
    record, svm = run.record, run.svm if name == SVM_NAME else None
    model: CalibratedModel | OneClassSvms = svm or run.model
    thresholds = record.thresholds if svm is None else record.svm_thresholds
    points = record.operating_points if svm is None else record.svm_operating_points
    assert thresholds is not None  # noqa: S101 - no run with SVMs and without their thresholds is loaded
    with tempfile.TemporaryDirectory() as folder:
        onnx = Path(folder) / MODEL_FILE
        parity = export_onnx(model, onnx)
        example = np.array([record.probe], dtype=np.float32)  # [1, T, F]
        manifest = Manifest(
            format=1,
            model=name,
            version=version,
            created_at=record.created_at,
            features=list(features.NAMES),
            feature_spec_hash=features.feature_spec_hash(),
            kinds=list(KINDS),
            lengths=run.lengths,
            thresholds=thresholds,
            operating_points=points,
            reference=run.reference.to_json(),
            histograms=record.histograms if svm is None else {},  # drift is watched beside the network
            metrics=record.metrics.model_dump(),
            lineage={
                **record.lineage.model_dump(exclude_unset=True),
                "config": record.config.model_dump(exclude_unset=True),
                "parity_max_abs_difference": parity,
            },
            files={MODEL_FILE: digest_of(onnx)},
            ensemble=None if svm is None else record.ensemble,
            baseline=record.baseline if svm is None else None,  # one for both: it is of the features
            expected_error=record.expected_error if svm is None else None,
            probe=golden_probe(onnx, example, np.array([[example.shape[1]]], dtype=np.int64)),
        )
        return write_version(repository, version, onnx, manifest, replace=replace, sign=sign)
