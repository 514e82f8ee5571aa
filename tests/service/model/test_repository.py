"""The gateway loads a version that is whole and fits it, and says what is wrong with any other."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from service.errors import ModelRepositoryError
from service.model.repository import load, load_svm
from tests.servers.triton.fixture import SPEC_HASH
from tests.support.versions import edit, flip_last_byte


@pytest.fixture
def repository(small_repository: Path, tmp_path: Path) -> Path:
    """A repository of its own, with versions 1 and 2."""
    return shutil.copytree(small_repository, tmp_path / "repository")


def test_newest_version_is_the_default(repository: Path) -> None:
    model = load(repository, feature_spec_hash=SPEC_HASH)
    assert (model.name, model.version, model.manifest.version) == ("epc_lstm", 2, 2)
    assert model.onnx_path == repository / "epc_lstm" / "2" / "model.onnx"
    assert load(repository, 1, feature_spec_hash=SPEC_HASH).version == 1


def test_newest_is_by_number_and_other_folders_are_no_versions(repository: Path) -> None:
    folder = repository / "epc_lstm"
    edit(repository, version=10)
    (folder / "2").rename(folder / "10")
    for name in ("11.backup", ".12-scratch", "013", "²"):
        (folder / name).mkdir()
    (folder / "99").write_text("not a folder")
    assert load(repository, feature_spec_hash=SPEC_HASH).version == 10


def replace_by_folder(repository: Path) -> None:
    path = repository / "epc_lstm" / "2" / "model.onnx"
    path.unlink()
    path.mkdir()


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no repository": (shutil.rmtree, r"no model in .*epc-sentinel export"),
    "no model": (lambda r: shutil.rmtree(r / "epc_lstm"), r"no model in .*epc-sentinel export"),
    "no manifest": (lambda r: (r / "epc_lstm/2/manifest.json").unlink(), r"cannot read manifest\.json of epc_lstm/2"),
    "not JSON": (lambda r: (r / "epc_lstm/2/manifest.json").write_text("{"), r"damaged .*the file: Invalid JSON"),
    "not UTF-8": (lambda r: (r / "epc_lstm/2/manifest.json").write_bytes(b"\xff\xfe"), r"damaged"),
    "other format": (lambda r: edit(r, format=2), r"another format .*format: "),
    "unknown field": (lambda r: edit(r, surprise=1), r"\(surprise: "),
    "4 thresholds": (lambda r: edit(r, thresholds={"retrospective": [0.5] * 4, "causal": [0.5] * 5}), r"thresholds\."),
    "lengths not ascending": (lambda r: edit(r, lengths=[8, 4]), r"lengths must be positive and ascending"),
    "path as file name": (lambda r: edit(r, files={"../x": "0" * 64}), r"files\."),
    "no digest of the model": (lambda r: edit(r, files={}), r"files must name model\.onnx"),
    "copied version": (lambda r: edit(r, version=1), r"holds the manifest of version 1"),
    "no model file": (lambda r: (r / "epc_lstm/2/model.onnx").unlink(), r"cannot read model\.onnx of epc_lstm/2"),
    "unreadable model": (replace_by_folder, r"cannot read model\.onnx of epc_lstm/2"),
    "tampered model": (
        lambda r: flip_last_byte(r / "epc_lstm/2/model.onnx"),
        r"model\.onnx .* not the file .*SHA-256",
    ),
    "other kinds": (lambda r: edit(r, kinds=["theft"]), r"answers for theft; this gateway needs epcFake, epcDup"),
    "other features": (lambda r: edit(r, feature_spec_hash="f" * 64), r"other features \(spec ffffffffffff\).*000000"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_named_with_its_place(repository: Path, damage: str) -> None:
    spoil, message = DAMAGES[damage]
    spoil(repository)
    with pytest.raises(ModelRepositoryError, match=message) as caught:
        load(repository, feature_spec_hash=SPEC_HASH)
    assert str(repository) in str(caught.value), "the operator's own path says where"
    assert "\n" not in str(caught.value)


def test_a_damaged_version_does_not_spoil_the_other(repository: Path) -> None:
    flip_last_byte(repository / "epc_lstm" / "2" / "model.onnx")
    assert load(repository, 1, feature_spec_hash=SPEC_HASH).version == 1


def test_unknown_version_names_those_that_exist(repository: Path) -> None:
    with pytest.raises(ModelRepositoryError, match=r"no epc_lstm/7 .* has the versions 1, 2"):
        load(repository, 7, feature_spec_hash=SPEC_HASH)


def add_svm(repository: Path, **changes: Any) -> None:  # noqa: ANN401
    """Add version 2 of the SVMs, which is that of the network under another name."""
    folder = shutil.copytree(repository / "epc_lstm" / "2", repository / "epc_svm" / "2")
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"model": "epc_svm"} | changes))


def test_svms_are_those_of_the_same_version(repository: Path) -> None:
    add_svm(repository)
    first, second = (load(repository, version, feature_spec_hash=SPEC_HASH) for version in (1, 2))
    assert load_svm(repository, first, feature_spec_hash=SPEC_HASH) is None
    svm = load_svm(repository, second, feature_spec_hash=SPEC_HASH)
    assert svm is not None
    assert (svm.name, svm.version) == ("epc_svm", 2)
    assert svm.onnx_path == repository / "epc_svm" / "2" / "model.onnx"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"reference": {"of": "another run"}}, r"epc_svm/2 and epc_lstm/2 in .* are of different runs: export"),
        ({"model": "epc_lstm"}, r"epc_svm/2 in .* holds the manifest of epc_lstm"),
        ({"feature_spec_hash": "1" * 64}, r"epc_svm/2 in .* was trained on other features"),
    ],
)
def test_svms_that_do_not_fit_are_refused(repository: Path, change: dict[str, object], message: str) -> None:
    add_svm(repository, **change)
    with pytest.raises(ModelRepositoryError, match=message):
        load_svm(repository, load(repository, feature_spec_hash=SPEC_HASH), feature_spec_hash=SPEC_HASH)
