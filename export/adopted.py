"""An adoption becomes a version of a model repository: the files of the weights as they are, with a new manifest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import JsonValue

from export.repository import golden_probe, write_version
from export.undo import all_or_nothing
from service.features.reference import Reference
from service.features.table import feature_spec_hash
from service.model.manifest import MODEL_NAME, SVM_NAME
from service.model.repository import Model, load, load_svm, versions
from service.progress import Progress
from training.adoption.adopt import Adoption, adopt
from training.adoption.audit import AUDIT, worth_a_look, write_audit
from training.adoption.report import AdoptionReport, report_of, write_adoption
from training.adoption.rolling import Earlier, begun, earlier_of
from training.adoption.settings import AdoptSettings
from training.datasets import dataset
from training.datasets.dataset import Dataset
from training.errors import DataError
from training.runs.lineage import contents
from training.runs.weights import weights_of_model

_MODELS = (MODEL_NAME, SVM_NAME)

_FROM, _UNTIL, _UPDATED = "adopted_from", "adopted_until", "updated_from"
"""Keys of the lineage: whose weights, the time of the last event (ISO 8601), the version with the tables before."""


@dataclass(frozen=True, slots=True)
class AdoptJob:
    """What the command asks for, besides the settings of the adoption."""

    data: Path  # folder of raw files
    source: Path  # repository of the weights, and with ``update`` of the tables before
    repository: Path  # where the version is written
    report: Path  # folder of the report
    audit: int = 0  # journeys for a human look
    update: bool = False  # go on with the tables of ``source``
    forget_days: float = 365.0  # age at which tables before count no more
    sign: Ed25519PrivateKey | None = None


def adopt_folder(job: AdoptJob, settings: AdoptSettings, progress: Progress) -> tuple[Path, AdoptionReport]:
    """Adopt raw files with the newest network of a repository; write the version and the report.

    Returns:
        (the folder of the new version, what was written to the folder of the report).

    Raises:
        DataError: the data cannot be used, are too little, or do not settle; or the source is no adoption to update.
        ModelRepositoryError: there is no such network, or the version does not fit into the repository.
    """
    network = load(job.source, feature_spec_hash=feature_spec_hash())
    svm = load_svm(job.source, network, feature_spec_hash=feature_spec_hash())
    until = _until(network, job.source) if job.update else None
    job.report.mkdir(parents=True, exist_ok=True)
    progress("reading the data", 0.0)
    world = dataset.load(
        job.data,
        quarantine=job.report / dataset.QUARANTINE,
        time_zone=settings.time_zone,
        dialect=settings.dialect,
        go_on=True,
    )
    weights, now_us = weights_of_model(network), int(world.events.time_us.max())
    earlier = None if until is None else _earlier(network, until, now_us, job.forget_days)
    if earlier is not None:
        world = _new_items(world, earlier)
    adoption = adopt(world, weights, settings, progress, earlier)
    found = report_of(adoption, world, weights)
    progress("writing the version", 0.95)
    lineage = contents(job.data, None, world).model_dump() | _origin(network, now_us, until)
    measured = {"adoption": found.model_dump(mode="json", include={"trusted", "rounds", "aside"})}
    folder = export_adoption(adoption, lineage, network, svm, job.repository, measured, sign=job.sign)
    write_adoption(found, job.report)
    if job.audit:
        scores, cuts = adoption.scores["retrospective"], adoption.cuts.of("retrospective")
        chosen = worth_a_look(world.events, scores, adoption.evidence, cuts, job.audit)
        write_audit(job.report / AUDIT, world.events, scores, chosen)
    progress("done", 1.0)
    return folder, found


def _until(network: Model, source: Path) -> int:
    """Return when the data of an adoption ended, in microseconds since 1970."""
    until = network.manifest.lineage.get(_UNTIL)
    if not isinstance(until, str):
        raise DataError(
            f"{network.title} in {source} is no adoption, so there is nothing to update: adopt without --update"
        )
    return round(datetime.fromisoformat(until).timestamp() * 1e6)


def _earlier(network: Model, until_us: int, now_us: int, forget_days: float) -> Earlier:
    return earlier_of(Reference.from_json(network.manifest.reference), until_us, now_us, forget_days)


def _new_items(world: Dataset, earlier: Earlier) -> Dataset:
    """Return the world without the items that were on their way before its first file."""
    new = begun(world.events, earlier.reference)
    text = f"{(~new).sum():,} of {len(new):,} events are of items that were on their way before: left out"
    warnings = world.warnings if new.all() else (*world.warnings, text)
    return replace(world, events=world.events.take(new), warnings=warnings)


def _origin(network: Model, now_us: int, until_us: int | None) -> dict[str, JsonValue]:
    """Return what the lineage says of whose weights these are."""
    source = network.manifest
    this: dict[str, JsonValue] = {"model": network.title, "created_at": source.created_at, "files": dict(source.files)}
    last = max(now_us, until_us or now_us)
    said: dict[str, JsonValue] = {
        "labels": "none: adopted",
        _UNTIL: datetime.fromtimestamp(last / 1e6, UTC).isoformat(),
    }
    if until_us is None:
        return said | {_FROM: this | {"lineage": source.lineage}}
    return said | {_FROM: source.lineage[_FROM], _UPDATED: this}


def export_adoption(  # noqa: PLR0913, PLR0917 - one of them is an option, given by name
    adoption: Adoption,
    lineage: Mapping[str, JsonValue],
    network: Model,
    svm: Model | None,
    repository: Path,
    measured: Mapping[str, Any],
    *,
    sign: Ed25519PrivateKey | None = None,
) -> Path:
    """Write the next version of the models in ``repository``: weights of ``network`` and ``svm``, tables adopted.

    Args:
        adoption: what was learned.
        lineage: of which data, and whose weights.
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
    example = np.array([adoption.probe], dtype=np.float32)  # [1, T, F]
    length = np.array([[example.shape[1]]], dtype=np.int64)
    common = {
        "version": number,
        "created_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "reference": adoption.reference.to_json(),
        "lineage": dict(lineage),
        "expected_error": None,  # that of another world would be a guess
    }
    of_network = {
        "histograms": adoption.histograms,
        "metrics": dict(measured),
        "baseline": adoption.baseline,
        "thresholds": adoption.cuts.thresholds,
        "operating_points": adoption.cuts.points,
    }
    written = {}
    with all_or_nothing(repository, _MODELS, number):
        for model, own in ((svm, {"metrics": {}}), (network, of_network)):  # a network that is there has its SVMs
            if model is not None:
                probe = golden_probe(model.onnx_path, example, length)
                changed = model.manifest.model_copy(update=common | own | {"probe": probe})
                manifest = type(changed).model_validate(changed.model_dump())
                written[model.name] = write_version(repository, number, model.onnx_path, manifest, sign=sign)
    return written[network.name]
