"""What ``verify`` lets through to Triton, and what not."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from export.repository import write_version
from service.errors import ModelRepositoryError
from service.model.repository import read_manifest
from service.model.verify import verify
from tests.support.command import run
from tests.support.secrets import KEY, OTHER, TRUST, public_pem
from tests.support.versions import flip_last_byte


@pytest.fixture
def repository(small_repository: Path, tmp_path: Path) -> Path:
    """A repository whose two versions are signed."""
    repository = shutil.copytree(small_repository, tmp_path / "repository")
    for version in (1, 2):
        folder = repository / "epc_lstm" / str(version)
        shutil.copyfile(folder / "model.onnx", tmp_path / "model.onnx")
        manifest = read_manifest(folder / "manifest.json", "it")
        write_version(repository, version, tmp_path / "model.onnx", manifest, replace=True, sign=KEY)
    return repository


def test_what_was_exported_is_let_through(repository: Path) -> None:
    assert verify(repository) == verify(repository, TRUST) == ["epc_lstm/1", "epc_lstm/2"]


def append(name: str, text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text((folder / name).read_text() + text)


def exchange(name: str, old: str, new: str) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        assert old in (folder / name).read_text()
        (folder / name).write_text((folder / name).read_text().replace(old, new))

    return change


def add(name: str) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("import os")

    return change


def link(folder: Path) -> None:
    """Put the model elsewhere: it is the right one, until somebody changes it there."""
    model = folder / "1" / "model.onnx"
    elsewhere = shutil.move(model, folder.parents[1] / "elsewhere.onnx")
    model.symlink_to(elsewhere)


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "another model file": (lambda f: flip_last_byte(f / "1" / "model.onnx"), "is not the file that was exported"),
    "no signature": (lambda f: (f / "1" / "manifest.sig").unlink(), "epc_lstm/1 in .* is not signed"),
    "another version's folder": (lambda f: shutil.copytree(f / "1", f / "3"), "holds the manifest of version 1"),
    "code in a version": (add("1/model.py"), "model.py belongs to no version"),
    "another model": (add("../other/1/model.py"), "model.py belongs to no version"),
    "a library beside it": (add("libop.so"), "libop.so belongs to no version"),
    "another config": (add("configs/gpu.pbtxt"), "gpu.pbtxt belongs to no version"),
    "a link": (lambda f: (f / "1" / "extra").symlink_to("/etc"), "is a link"),
    "a link in place of the model": (link, "model.onnx is a link"),
    "a backend that runs code": (exchange("config.pbtxt", '"onnxruntime"', '"python"'), "with the backend onnxruntime"),
    "a library in the config": (
        append("config.pbtxt", 'model_operations { op_library_filename: "/tmp/x.so" }'),
        "has model_operations",
    ),
    "another file in the config": (append("config.pbtxt", 'default_model_filename: "x"'), "has default_model_filename"),
    "a config of other versions": (exchange("configs/cpu.pbtxt", "manifest_sha256.2", "x"), "not written for these"),
    "a file for the warm-up": (exchange("config.pbtxt", "zero_data: true", 'input_data_file: "x"'), "reads files"),
    "no config": (lambda f: (f / "configs" / "cpu.pbtxt").unlink(), r"cpu.pbtxt is missing or no config"),
    "a config that is none": (append("config.pbtxt", "odd: 1"), r"config.pbtxt is missing or no config"),
}


def test_the_second_model_is_verified_as_the_first(bundled_repository: Path, tmp_path: Path) -> None:
    repository = shutil.copytree(bundled_repository, tmp_path / "bundled")
    assert "epc_svm/1" in verify(repository)
    flip_last_byte(repository / "epc_svm" / "1" / "model.onnx")
    with pytest.raises(ModelRepositoryError, match=r"epc_svm/1 in .* is not the file that was exported"):
        verify(repository)


@pytest.mark.parametrize("name", BAD)
def test_anything_else_is_not(repository: Path, name: str) -> None:
    change, says = BAD[name]
    change(repository / "epc_lstm")
    with pytest.raises(ModelRepositoryError, match=says):
        verify(repository, TRUST)


def test_the_command_says_it_in_a_line(repository: Path, tmp_path: Path) -> None:
    def verified(trusted: bytes) -> subprocess.CompletedProcess[str]:
        (tmp_path / "trust.pem").write_bytes(trusted)
        return run("verify", repository, "--trust", tmp_path / "trust.pem")

    done = verified(public_pem(KEY))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("epc_lstm/1, epc_lstm/2 in ")
    refused = verified(public_pem(OTHER))
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "not signed by a key of --trust" in refused.stderr
    assert refused.stderr.count("\n") == 1


def test_the_bundled_model_is_as_exported(bundled_repository: Path) -> None:
    assert verify(bundled_repository)[0] == "epc_lstm/1"
