"""The model repository as the gateway sees it: which version, are its files whole, does it fit this gateway."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints, ValidationError, model_validator

from service.errors import ModelRepositoryError
from service.events import KINDS
from service.signing import SIGNATURE_FILE, Trust, is_signed

MODEL_NAME = "epc_lstm"
SVM_NAME = "epc_svm"
"""One-class SVMs of the same run, under the same number; a repository need not have them."""

MODEL_FILE = "model.onnx"
MANIFEST_FILE = "manifest.json"

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")]
Probability = Annotated[float, Field(ge=0, le=1)]
PerKind = Annotated[list[Probability], Field(min_length=len(KINDS), max_length=len(KINDS))]
"""One number per kind, in the order of KINDS."""


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Thresholds(_Strict):
    """A probability at or above its threshold is a finding."""

    retrospective: PerKind
    causal: PerKind


Weights = Annotated[list[Annotated[list[float], Field(min_length=5, max_length=5)]], Field(min_length=2, max_length=2)]
"""One number per mode, retrospective and causal, and kind."""


class Ensemble(_Strict):
    """How the scores of the network and of the one-class SVMs are combined, see `service.ensemble.combine`."""

    lstm: Weights
    svm: Weights
    bias: Weights
    thresholds: Thresholds


class Probe(_Strict):
    """A golden pair: what the model answers to a known input, in the shapes of the model contract."""

    features: list[list[list[float]]]  # [B, T, F]
    lengths: list[list[int]]  # [B, 1]
    probabilities: list[list[PerKind]]  # [B, T, 5]


class Manifest(_Strict):
    """Everything about one model version that is not in its graph; ``manifest.json`` beside ``model.onnx``."""

    format: Literal[1]  # of this file
    model: Literal["epc_lstm", "epc_svm"]
    version: int = Field(ge=1)  # the name of the folder
    created_at: str  # ISO 8601, UTC
    features: list[str] = Field(min_length=1)  # F names, in the order of the input
    feature_spec_hash: str  # of the code that computes the features; must be the gateway's own
    kinds: list[str]  # in the order of the output
    lengths: list[int] = Field(min_length=1)  # the lengths T that requests are padded to, ascending
    thresholds: Thresholds
    reference: dict[str, JsonValue]  # tables that the features need (routes, issued codes)
    histograms: dict[str, JsonValue]  # of features and scores in training, for drift
    metrics: dict[str, JsonValue]  # of the held-out data
    lineage: dict[str, JsonValue]  # training data, settings, code version
    files: dict[FileName, Sha256]  # SHA-256 of every other file of the version
    probe: Probe
    ensemble: Ensemble | None = None  # in manifests of epc_svm

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.lengths != sorted(set(self.lengths)) or self.lengths[0] < 1:
            raise ValueError("lengths must be positive and ascending")
        if MODEL_FILE not in self.files:
            raise ValueError(f"files must name {MODEL_FILE}")
        if any(len(event) != len(self.features) for sequence in self.probe.features for event in sequence):
            raise ValueError("probe.features must have one number per feature")
        return self

    def to_json(self) -> str:
        """Return the canonical text: equal manifests give equal bytes, so that a digest of the file means something."""
        content = self.model_dump(mode="json", exclude=None if self.ensemble else {"ensemble"})
        return json.dumps(content, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")) + "\n"


@dataclass(frozen=True)
class Model:
    """A verified version of the model."""

    name: str
    version: int
    manifest: Manifest
    onnx_path: Path

    def read_onnx(self) -> bytes:
        """Return the contents of the model file, those that were verified: nothing can change in between.

        Raises:
            ModelRepositoryError: it is not the file of the manifest.
        """
        return _read_file(self.onnx_path, self.manifest.files[MODEL_FILE], f"{self.name}/{self.version}")


def load(
    repository: Path,
    version: int | None = None,
    *,
    feature_spec_hash: str,
    trust: Trust | None = None,
    name: str = MODEL_NAME,
) -> Model:
    """Return version ``version`` (default: the newest) of a model in ``repository``, verified.

    Args:
        repository: the folder that holds ``epc_lstm/``.
        version: number of the version.
        name: of the model.
        feature_spec_hash: the hash of this gateway's feature code.
        trust: keys, one of which must have signed the version; None: no signature is asked for.

    Raises:
        ModelRepositoryError: something is missing, damaged, not signed, or not made for this gateway; says what, where
            and the way out.
    """
    found = versions(repository, name)
    if not found:
        raise ModelRepositoryError(
            f"no model in {repository}: it has no folder {name}/<version>; "
            "make one with 'epc-sentinel export RUN --out REPO' or name another repository"
        )
    version = found[-1] if version is None else version
    where = f"{name}/{version} in {repository}"
    if version not in found:
        raise ModelRepositoryError(f"no {where}; it has the versions {', '.join(map(str, found))}")
    manifest = read_version(repository, version, trust, name)
    _check_fit(manifest, feature_spec_hash, where)
    return Model(name, version, manifest, repository / name / str(version) / MODEL_FILE)


def read_version(repository: Path, version: int, trust: Trust | None = None, name: str = MODEL_NAME) -> Manifest:
    """Return the manifest of a version whose files are those that were exported, whoever can use it.

    Raises:
        ModelRepositoryError: a file is missing or changed, or the version is not signed by a key of ``trust``.
    """
    folder, where = repository / name / str(version), f"{name}/{version} in {repository}"
    manifest = read_manifest(folder / MANIFEST_FILE, where, trust)
    if manifest.model != name:
        raise ModelRepositoryError(f"{where} holds the manifest of {manifest.model}: export this version again")
    if manifest.version != version:
        raise ModelRepositoryError(
            f"{where} holds the manifest of version {manifest.version}: a copied folder; export it as its own version"
        )
    for file, digest in manifest.files.items():
        _read_file(folder / file, digest, where)
    return manifest


def load_svm(repository: Path, model: Model, *, feature_spec_hash: str, trust: Trust | None = None) -> Model | None:
    """Return the one-class SVMs of the run that ``model`` comes from, verified; None if the repository has none.

    Raises:
        ModelRepositoryError: as `load`; or they are of another run, so that their features need other tables.
    """
    if model.version not in versions(repository, SVM_NAME):
        return None
    svm = load(repository, model.version, feature_spec_hash=feature_spec_hash, trust=trust, name=SVM_NAME)
    if svm.manifest.reference != model.manifest.reference:
        raise ModelRepositoryError(
            f"{SVM_NAME}/{svm.version} and {model.name}/{model.version} in {repository} are of different runs: export"
            f" this version again, or remove {SVM_NAME}/{svm.version}"
        )
    return svm


def versions(repository: Path, name: str = MODEL_NAME) -> list[int]:
    """Return the version numbers of a model in ``repository``, ascending; empty if there is no such model."""
    try:
        names = [entry.name for entry in (repository / name).iterdir() if entry.is_dir()]
    except OSError:
        return []
    return sorted(int(name) for name in names if name.isascii() and name.isdigit() and name == str(int(name)))


def read_manifest(path: Path, where: str, trust: Trust | None = None) -> Manifest:
    """Return the manifest at ``path``; ``where`` names its version in messages.

    Raises:
        ModelRepositoryError: it is missing, not signed by a key of ``trust``, or not a manifest of this format.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelRepositoryError(f"cannot read {MANIFEST_FILE} of {where}: export this version again") from error
    if trust is not None:  # before anything looks at the contents
        _check_signature(content, path.with_name(SIGNATURE_FILE), trust, where)
    try:
        return Manifest.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(map(str, first["loc"])) or "the file"
        raise ModelRepositoryError(
            f"{MANIFEST_FILE} of {where} is damaged or of another format ({field}: {first['msg']}): "
            "export this version again with this release"
        ) from error


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file as 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_fit(manifest: Manifest, feature_spec_hash: str, where: str) -> None:
    if tuple(manifest.kinds) != KINDS:
        raise ModelRepositoryError(
            f"{where} answers for {', '.join(manifest.kinds)}; this gateway needs {', '.join(KINDS)}"
        )
    if manifest.feature_spec_hash != feature_spec_hash:
        raise ModelRepositoryError(
            f"{where} was trained on other features (spec {manifest.feature_spec_hash[:12]}) than this gateway "
            f"computes (spec {feature_spec_hash[:12]}): export a model trained with this release, or run the model's"
        )


def _check_signature(content: bytes, path: Path, trust: Trust, where: str) -> None:
    try:
        signature = path.read_bytes()
    except OSError:
        raise ModelRepositoryError(
            f"{where} is not signed, and --trust is set: export this version again with --sign"
        ) from None
    if not is_signed(content, signature, trust):
        raise ModelRepositoryError(
            f"{where} is not signed by a key of --trust, or was changed afterwards: restore it, or export it again"
            " with --sign and the right key"
        )


def _read_file(path: Path, digest: str, where: str) -> bytes:
    """Return the contents of a file; raises ModelRepositoryError unless they have this SHA-256."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelRepositoryError(f"cannot read {path.name} of {where}: export this version again") from error
    if (found := hashlib.sha256(content).hexdigest()) != digest:
        raise ModelRepositoryError(
            f"{path.name} of {where} is not the file that was exported (SHA-256 {found[:12]}, manifest {digest[:12]}): "
            "restore it or export this version again"
        )
    return content
