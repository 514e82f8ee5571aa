"""An adoption becomes a version of a model repository: the files of the weights as they are, with a new manifest."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import JsonValue

from export.repository import golden_probe, write_version
from export.undo import all_or_nothing
from service.features.table import feature_spec_hash
from service.model.manifest import MODEL_NAME, SVM_NAME
from service.model.repository import Model, load, load_svm, versions
from service.progress import Progress
from training.adoption.adopt import Adoption, adopt
from training.adoption.report import AdoptionReport, report_of, write_report
from training.adoption.settings import AdoptSettings
from training.adoption.weights import weights_of_model
from training.datasets import dataset
from training.runs.lineage import contents
from training.runs.record import Contents

_MODELS = (MODEL_NAME, SVM_NAME)


def adopt_folder(  # noqa: PLR0913, PLR0917 - one of them is an option, given by name
    data: Path,
    source: Path,
    repository: Path,
    report: Path,
    settings: AdoptSettings,
    progress: Progress,
    *,
    sign: Ed25519PrivateKey | None = None,
) -> tuple[Path, AdoptionReport]:
    """Adopt the raw files of ``data`` with the newest network of the repository ``source``; write both to folders.

    Returns:
        (the folder of the new version in ``repository``, what was written to the folder ``report``).

    Raises:
        DataError: the data cannot be used, are too little, or do not settle.
        ModelRepositoryError: there is no such network, or the version does not fit into ``repository``.
    """
    network = load(source, feature_spec_hash=feature_spec_hash())
    svm = load_svm(source, network, feature_spec_hash=feature_spec_hash())
    report.mkdir(parents=True, exist_ok=True)
    progress("reading the data", 0.0)
    world = dataset.load(
        data, quarantine=report / dataset.QUARANTINE, time_zone=settings.time_zone, dialect=settings.dialect
    )
    weights = weights_of_model(network)
    adoption = adopt(world, weights, settings, progress)
    found = report_of(adoption, world, weights)
    progress("writing the version", 0.95)
    measured = {"adoption": found.model_dump(mode="json")}
    folder = export_adoption(adoption, contents(data, None, world), network, svm, repository, measured, sign=sign)
    write_report(found, report)
    progress("done", 1.0)
    return folder, found


def export_adoption(  # noqa: PLR0913, PLR0917 - one of them is an option, given by name
    adoption: Adoption,
    origin: Contents,
    network: Model,
    svm: Model | None,
    repository: Path,
    measured: Mapping[str, JsonValue],
    *,
    sign: Ed25519PrivateKey | None = None,
) -> Path:
    """Write the next version of the models in ``repository``: weights of ``network`` and ``svm``, tables adopted.

    Args:
        adoption: what was learned.
        origin: of which data, for the lineage.
        network: whose weights.
        svm: the one-class SVMs beside it, None if there are none.
        repository: where to, a new folder or one of versions before.
        measured: what the manifest says of quality: nothing is measured with labels.
        sign: the private key to sign the version with.

    Returns:
        The folder of the network's version. If it fails, the repository is as it was before.

    Raises:
        ModelRepositoryError: the version does not fit into the repository.
    """
    number = 1 + max((taken for name in _MODELS for taken in versions(repository, name)), default=0)
    with all_or_nothing(repository, _MODELS, number):
        if svm is not None:
            _export(adoption, origin, svm, repository, number, {}, sign)
        return _export(adoption, origin, network, repository, number, measured, sign)


def _export(  # noqa: PLR0913, PLR0917
    adoption: Adoption,
    origin: Contents,
    model: Model,
    repository: Path,
    version: int,
    measured: Mapping[str, JsonValue],
    sign: Ed25519PrivateKey | None,
) -> Path:
    source, is_network = model.manifest, model.name == MODEL_NAME
    example = np.array([adoption.probe], dtype=np.float32)  # [1, T, F]
    changes = {
        "version": version,
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "reference": adoption.reference.to_json(),
        "histograms": adoption.histograms if is_network else {},
        "metrics": dict(measured),
        "lineage": {
            **origin.model_dump(),
            "labels": "none: adopted",
            "adopted_from": {
                "model": model.title,
                "manifest_created_at": source.created_at,
                "files": source.files,
                "lineage": source.lineage,
            },
        },
        "baseline": adoption.baseline if is_network else None,
        "expected_error": None,  # that of another world would be a guess
        "probe": golden_probe(model.onnx_path, example, np.array([[example.shape[1]]], dtype=np.int64)),
    }
    if is_network:
        changes |= {"thresholds": adoption.cuts.thresholds, "operating_points": adoption.cuts.points}
    manifest = type(source).model_validate(source.model_copy(update=changes).model_dump())
    return write_version(repository, version, model.onnx_path, manifest, sign=sign)
