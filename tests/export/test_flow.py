"""Flow models in a repository: files that answer as what was trained, signed, numbered and never changed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from export.flow import export_flow
from service.errors import ModelRepositoryError
from service.flow.forecast.manifest import FLOW_MODEL, HISTORY_FILE, read_flow_version
from service.model.manifest import MODEL_NAME, SVM_NAME
from service.model.repository import retire
from service.model.verify import verify
from tests.support.gateway import ROOT
from training.flow.run import FlowRun


def test_equal_runs_give_equal_files(flow_run: tuple[Path, FlowRun], flow_repository: Path, tmp_path: Path) -> None:
    folder = export_flow(flow_run[0], tmp_path)
    for file in (flow_repository / FLOW_MODEL / "1").iterdir():
        assert (folder / file.name).read_bytes() == file.read_bytes(), file.name


def test_a_repository_with_flow_models_is_verified(flow_repository: Path, tmp_path: Path) -> None:
    for name in (MODEL_NAME, SVM_NAME):
        shutil.copytree(ROOT / "model_repository" / name, tmp_path / name)
    shutil.copytree(flow_repository / FLOW_MODEL, tmp_path / FLOW_MODEL)
    assert verify(tmp_path)[-1] == "epc_flow/1"
    config = tmp_path / FLOW_MODEL / "config.pbtxt"
    config.write_text(config.read_text().replace('name: "epc_flow"', 'name: "epc_flow"\ndefault_model_filename: "x"'))
    with pytest.raises(ModelRepositoryError, match="has default_model_filename, which export never writes"):
        verify(tmp_path)
    config.unlink()
    assert verify(tmp_path)[-1] == "epc_flow/1"  # as repositories of earlier releases are
    with (tmp_path / FLOW_MODEL / "1" / HISTORY_FILE).open("ab") as file:
        file.write(b"more")
    with pytest.raises(ModelRepositoryError, match=r"history.npz of epc_flow/1 .* is not the file that was exported"):
        verify(tmp_path)


def test_a_version_is_signed_and_its_number_is_its_own(flow_run: tuple[Path, FlowRun], tmp_path: Path) -> None:
    key, other = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    export_flow(flow_run[0], tmp_path, sign=key)
    assert export_flow(flow_run[0], tmp_path, sign=key).name == "2"
    assert read_flow_version(tmp_path, trust=[key.public_key()]).title == "epc_flow/2"
    with pytest.raises(ModelRepositoryError, match="is not signed by a key of --trust"):
        read_flow_version(tmp_path, trust=[other.public_key()])
    with pytest.raises(ModelRepositoryError, match=r"epc_flow/2 exists in .*; the next one, 3, is free"):
        export_flow(flow_run[0], tmp_path, 2)
    retire(tmp_path, FLOW_MODEL, 3)
    assert export_flow(flow_run[0], tmp_path).name == "4"
