"""The operating points of a version, found on worlds that its training never saw.

The validation part of a training is a seventh of one world, and has few lots: 16 of the bundled model, half of which
the training had, too. How many genuine items look forged depends on the lots, so points from there do not hold
elsewhere.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from numpy.typing import NDArray
from pydantic import JsonValue

from export.repository import write_version
from export.undo import all_or_nothing
from service.detect import rules
from service.detect.ensemble import Members, combine
from service.detect.unknown_codes import UsualCodes
from service.errors import ModelRepositoryError
from service.events.vocabulary import MODES, OperatingPoint
from service.features.reference import Reference
from service.features.table import feature_spec_hash
from service.model.manifest import MODEL_NAME, SVM_NAME, Ensemble, Manifest, Points, Thresholds
from service.model.repository import Model, load, load_svm, retired, versions
from service.progress import Progress
from training.datasets import dataset
from training.datasets.truth import load_truth, truth_beside
from training.errors import DataError
from training.evaluation.data_under_test import Subject
from training.network import calibration
from training.runs.expected_error import expected_error, known_events
from training.runs.lineage import contents
from training.runs.weights import weights_of_model
from training.samples.samples import Samples, Score

POINTS = "points"
"""Key of the lineage: the folders that the points are from."""

_NETWORK, _SVM, _ENSEMBLE = "network", "svm", "ensemble"


@dataclass(frozen=True, slots=True, eq=False)
class _Said:
    """What is said of the events [N] of a world in a mode, and what is true."""

    labels: NDArray[np.float32]  # [N, 5]
    known: NDArray[np.intp]  # [N], see `known_events`
    scores: dict[str, NDArray[np.float32]]  # [N, 5] by who says it


def set_points(  # noqa: PLR0913 - two of them are options, given by name
    repository: Path,
    data: Sequence[Path],
    progress: Progress,
    version: int | None = None,
    *,
    replace: bool = False,
    sign: Ed25519PrivateKey | None = None,
) -> Path:
    """Write the newest version of ``repository`` again, with points and expected errors that ``data`` gives.

    Weights, tables and the sensitive point, that of the budget, stay as they are.

    Args:
        repository: a model repository.
        data: folders of raw files with their truth, of which the training had none.
        progress: told how far it is.
        version: the number to write; default: the next one.
        replace: write over a version that exists.
        sign: the private key to sign the version with.

    Returns:
        The folder of the network's version. If it fails, the repository is as it was before.

    Raises:
        DataError: the data cannot be used, have no truth, or the training had them.
        ModelRepositoryError: the newest version is damaged or has no points, or ``version`` exists.
    """
    network = load(repository, feature_spec_hash=feature_spec_hash())
    svm = load_svm(repository, network, feature_spec_hash=feature_spec_hash())
    if network.manifest.operating_points is None:
        raise ModelRepositoryError(
            f"{network.title} in {repository} has no points: its costs say from where on it flags"
        )
    number = _number(repository, version, replace=replace)
    said: list[list[_Said]] = [[], []]
    origins: list[JsonValue] = []
    for place, folder in enumerate(data):
        progress(f"judging {folder}", place / len(data))
        found, origin = _judged(folder, network, svm)
        for mode, one in enumerate(found):
            said[mode].append(one)
        origins.append(origin)
    modes = [_joined(worlds) for worlds in said]
    of_network = _points(modes, _NETWORK, network.manifest.thresholds)
    at = np.array(of_network[OperatingPoint.BALANCED].causal, dtype=np.float32)
    errors = expected_error(modes[1].known, modes[1].labels, modes[1].scores[_NETWORK] >= at)
    common = {"version": number, "lineage": {**network.manifest.lineage, POINTS: origins}}
    with all_or_nothing(repository, (MODEL_NAME, SVM_NAME), number):
        write = partial(_write, repository, replace=replace, sign=sign)
        if svm is not None:  # first: a network that is there has its SVMs beside it
            write(svm, common | {"lineage": {**svm.manifest.lineage, POINTS: origins}} | _of_svm(svm, modes))
        folder = write(network, common | {"operating_points": of_network, "expected_error": errors})
    progress("done", 1.0)
    return folder


def _number(repository: Path, version: int | None, *, replace: bool) -> int:
    names = MODEL_NAME, SVM_NAME
    taken = {number for name in names for number in versions(repository, name)}
    gone = {number for name in names for number in retired(repository, name)}
    free = 1 + max(taken | gone)
    if version in gone or (version in taken and not replace):
        raise ModelRepositoryError(f"version {version} is taken in {repository}: the next one, {free}, is free")
    return free if version is None else version


def _judged(folder: Path, network: Model, svm: Model | None) -> tuple[list[_Said], JsonValue]:
    """Return what is said of a folder in each mode, and what the lineage says of it."""
    reference = Reference.from_json(network.manifest.reference)
    world = dataset.load(folder, time_zone=reference.zones.default, dialect=reference.dialect)
    truth = truth_beside(folder)
    if truth is None:
        raise DataError(f"{folder} has no truth.parquet or truth.csv: points are set where the truth is known")
    if world.files in _learned_from(network.manifest.lineage):
        raise DataError(f"{folder}: {network.title} has learned from these files; name others")
    subject, limit = Subject(world.events, load_truth(truth, world.events), reference), network.manifest.lengths[-1]
    weights = weights_of_model(network).model
    beside = None if svm is None else (_of_svms(svm, UsualCodes(reference)), svm.manifest.ensemble)
    found = []
    for mode in range(len(MODES)):
        part = subject.samples(causal=bool(mode), limit=limit)
        found.append(_Said(part.labels, known_events(part), _scores(part, weights, beside, mode)))
    return found, contents(folder, truth, world).model_dump()


def _learned_from(lineage: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the hashes of the files of each folder that a training learned from."""
    more = lineage.get("more_data") or []  # a list, but one folder alone in manifests of earlier releases
    folders = [lineage, *(more if isinstance(more, list) else [more]), *(lineage.get("other_networks") or [])]
    return [one["files_sha256"] for one in folders if "files_sha256" in one]


def _of_svms(svm: Model, usual: UsualCodes) -> Score:
    """Return what makes the scores of the SVMs, by what they see of features."""
    weights = weights_of_model(svm).model
    return lambda part: weights(dataclasses.replace(part, features=usual.at_home(part.features)))


def _scores(
    part: Samples, weights: Score, beside: tuple[Score, Ensemble | None] | None, mode: int
) -> dict[str, NDArray[np.float32]]:
    found = {_NETWORK: weights(part)}
    if beside is not None:
        of_svm, combination = beside
        found[_SVM] = of_svm(part)
        if combination is not None:
            members = Members(found[_NETWORK], found[_SVM], rules.opinion(part.features), part.spared)
            found[_ENSEMBLE] = combine(members, combination, mode)
    return found


def _joined(worlds: list[_Said]) -> _Said:
    return _Said(
        np.concatenate([one.labels for one in worlds]),
        np.concatenate([one.known for one in worlds]),
        {name: np.concatenate([one.scores[name] for one in worlds]) for name in worlds[0].scores},
    )


def _points(modes: list[_Said], who: str, thresholds: Thresholds) -> Points:
    """Return the points of one of those who judge; the sensitive one is ``thresholds``."""
    found = [
        calibration.points(one.scores[who], one.labels, thresholds.of(mode))
        for mode, one in zip(MODES, modes, strict=True)
    ]
    return {
        point: Thresholds(**{mode: one[point] for mode, one in zip(MODES, found, strict=True)})
        for point in OperatingPoint
    }


def _of_svm(svm: Model, modes: list[_Said]) -> dict[str, Any]:
    """Return what changes in the manifest of the SVMs."""
    combination = svm.manifest.ensemble
    changed: dict[str, Any] = {"operating_points": _points(modes, _SVM, svm.manifest.thresholds)}
    if combination is not None:
        points = _points(modes, _ENSEMBLE, combination.thresholds)
        changed["ensemble"] = combination.model_copy(update={"operating_points": points})
    return changed


def _write(
    repository: Path, model: Model, changed: Mapping[str, Any], *, replace: bool, sign: Ed25519PrivateKey | None
) -> Path:
    copy = model.manifest.model_copy(update=dict(changed))
    manifest = Manifest.model_validate(copy.model_dump())
    return write_version(repository, manifest.version, model.onnx_path, manifest, replace=replace, sign=sign)
