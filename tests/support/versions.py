"""Repositories with a second version of the bundled model: the same, one that scores otherwise, one that is foreign."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from export.repository import golden_probe, write_version
from service.model.manifest import MANIFEST_FILE, MODEL_FILE, MODEL_NAME, digest_of
from service.model.repository import read_manifest, versions


def add_version(
    source: Path, target: Path, version: int = 2, *, logit_shift: float = 0.0, spec_hash: str | None = None
) -> Path:
    """Copy the newest version of ``source`` into ``target`` as it is, and once more as ``version``; return ``target``.

    Args:
        source: a model repository.
        target: a folder that need not exist.
        version: the number of the new version.
        logit_shift: added to the logit of every probability: the model of a calibration gone wrong.
        spec_hash: feature spec hash of the new version: a model trained on other features.
    """
    newest = versions(source)[-1]
    if not target.exists():
        shutil.copytree(source, target)
    manifest = read_manifest(source / MODEL_NAME / str(newest) / MANIFEST_FILE, "the bundled model")
    edited = target / MODEL_FILE
    shutil.copy2(source / MODEL_NAME / str(newest) / MODEL_FILE, edited)
    if logit_shift:
        shift_scores(edited, logit_shift)
    features = np.array(manifest.probe.features, dtype=np.float32)
    changes = {
        "version": version,
        "probe": golden_probe(edited, features, np.array(manifest.probe.lengths, dtype=np.int64)),
        "files": manifest.files | {MODEL_FILE: digest_of(edited)},
        "feature_spec_hash": spec_hash or manifest.feature_spec_hash,
    }
    write_version(target, version, edited, manifest.model_copy(update=changes))
    edited.unlink()
    return target


def shift_scores(path: Path, logits: float) -> None:
    """Add ``logits`` to what the head of the model at ``path`` computes."""
    model = onnx.load(path)
    [bias] = [value for value in model.graph.initializer if value.name == "model.head.bias"]
    bias.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(bias) + np.float32(logits), bias.name))
    onnx.save(model, path)


@pytest.fixture(scope="session")
def two_versions(tmp_path_factory: pytest.TempPathFactory, bundled_repository: Path) -> Path:
    """A repository with versions 1 and 2 of the same model; read only."""
    return add_version(bundled_repository, tmp_path_factory.mktemp("versions") / "repository")


def edit(repository: Path, **changes: Any) -> None:  # noqa: ANN401
    """Change fields of version 2's manifest."""
    path = repository / "epc_lstm" / "2" / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def flip_last_byte(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
