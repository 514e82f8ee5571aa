"""The model repository as the gateway sees it: which version, are its files whole, does it fit this gateway."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ValidationError

from service.errors import ModelRepositoryError
from service.events.vocabulary import KINDS
from service.model.manifest import MANIFEST_FILE, MODEL_FILE, MODEL_NAME, SVM_NAME, FileName, Manifest, Sha256
from service.model.signing import SIGNATURE_FILE, Trust, is_signed

RETIRED_FILE = "retired"
"""Beside the versions: numbers of deleted ones, a line each. Triton reads folders alone, and so does not see it."""


@dataclass(frozen=True)
class Model:
    """A verified version of the model."""

    name: str
    version: int
    manifest: Manifest
    onnx_path: Path

    @property
    def title(self) -> str:
        """Name and version: "epc_lstm/1"."""
        return f"{self.name}/{self.version}"

    def read_onnx(self) -> bytes:
        """Return the contents of the model file, those that were verified: nothing can change in between.

        Raises:
            ModelRepositoryError: it is not the file of the manifest.
        """
        return _read_file(self.onnx_path, self.manifest.files[MODEL_FILE], self.title)


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


def retired(repository: Path, name: str = MODEL_NAME) -> set[int]:
    """Return the numbers of deleted versions, which are never used again."""
    try:
        lines = (repository / name / RETIRED_FILE).read_text().split()
    except OSError:
        return set()
    return {int(line) for line in lines if line.isdecimal()}


def retire(repository: Path, name: str, version: int) -> None:
    """Write down that a number is never used again; where there is no such model, there is nothing to write.

    Raises:
        ModelRepositoryError: it cannot be written.
    """
    folder = repository / name
    if not folder.is_dir() or version in retired(repository, name):
        return
    numbers = sorted(retired(repository, name) | {version})
    fresh = folder / f".{RETIRED_FILE}.tmp"
    try:
        with fresh.open("w") as file:
            file.write("".join(f"{number}\n" for number in numbers))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(folder / RETIRED_FILE)
    except OSError as error:
        raise ModelRepositoryError(f"cannot write {folder / RETIRED_FILE}: {error.strerror}") from None


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


def read_whole(folder: Path, where: str, trust: Trust | None) -> tuple[bytes, dict[str, bytes]]:
    """Return the manifest of a version of any model, and the files that it names, verified; ``where`` names it.

    Raises:
        ModelRepositoryError: a file is missing or changed, or the version is not signed by a key of ``trust``.
    """
    try:
        content = (folder / MANIFEST_FILE).read_bytes()
    except OSError as error:
        raise ModelRepositoryError(f"cannot read {MANIFEST_FILE} of {where}: export this version again") from error
    if trust is not None:  # before anything looks at the contents
        _check_signature(content, folder / SIGNATURE_FILE, trust, where)
    try:
        digests = _Listed.model_validate_json(content).files
    except ValidationError:
        raise ModelRepositoryError(f"{MANIFEST_FILE} of {where} is damaged: export this version again") from None
    return content, {name: _read_file(folder / name, digest, where) for name, digest in digests.items()}


class _Listed(BaseModel):
    """What the manifests of all models have."""

    files: dict[FileName, Sha256]


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
