"""A gateway that trusts a key loads what that key has signed, unchanged, and nothing else."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from export.repository import write_version
from service.errors import ModelRepositoryError, SettingsError
from service.features.table import feature_spec_hash
from service.model.onnx_backend import OnnxBackend
from service.model.repository import load, load_svm, read_manifest
from service.model.signing import load_signing_key, load_trust
from tests.servers.triton.fixture import SPEC_HASH
from tests.support.command import run
from tests.support.gateway import Gateway
from tests.support.secrets import KEY, OTHER, TRUST, authority, private_pem, public_pem
from tests.support.versions import edit, flip_last_byte


@pytest.fixture
def repository(small_repository: Path, tmp_path: Path) -> Path:
    """A repository with version 1 as it was and version 2 signed."""
    repository = shutil.copytree(small_repository, tmp_path / "repository")
    folder = repository / "epc_lstm" / "2"
    shutil.copyfile(folder / "model.onnx", tmp_path / "model.onnx")
    manifest = read_manifest(folder / "manifest.json", "v2")
    write_version(repository, 2, tmp_path / "model.onnx", manifest, replace=True, sign=KEY)
    return repository


def test_what_the_key_signed_is_loaded(repository: Path) -> None:
    assert load(repository, 2, feature_spec_hash=SPEC_HASH, trust=TRUST).version == 2
    several = [OTHER.public_key(), KEY.public_key()]
    assert load(repository, 2, feature_spec_hash=SPEC_HASH, trust=several).version == 2
    assert load(repository, 1, feature_spec_hash=SPEC_HASH).version == 1, "without trust nothing is asked for"


def test_anything_else_is_not(repository: Path) -> None:
    folder = repository / "epc_lstm" / "2"
    with pytest.raises(ModelRepositoryError, match=r"epc_lstm/1 in .* is not signed, and --trust is set"):
        load(repository, 1, feature_spec_hash=SPEC_HASH, trust=TRUST)
    with pytest.raises(ModelRepositoryError, match="not signed by a key of --trust"):
        load(repository, 2, feature_spec_hash=SPEC_HASH, trust=[OTHER.public_key()])
    shutil.copyfile(folder / "manifest.sig", repository / "epc_lstm" / "1" / "manifest.sig")
    with pytest.raises(ModelRepositoryError, match="not signed by a key of --trust"):
        load(repository, 1, feature_spec_hash=SPEC_HASH, trust=TRUST)  # the signature of another version
    edit(repository, thresholds={"retrospective": [1.0] * 5, "causal": [1.0] * 5})
    with pytest.raises(ModelRepositoryError, match="or was changed afterwards"):
        load(repository, 2, feature_spec_hash=SPEC_HASH, trust=TRUST)
    for damaged in (b"", b"\0" * 64, (folder / "manifest.sig").read_bytes() + b"\n"):
        (folder / "manifest.sig").write_bytes(damaged)
        with pytest.raises(ModelRepositoryError, match="not signed by a key of --trust"):
            load(repository, 2, feature_spec_hash=SPEC_HASH, trust=TRUST)


def test_the_signature_covers_the_model_file_until_it_is_in_memory(repository: Path) -> None:
    model = load(repository, 2, feature_spec_hash=SPEC_HASH, trust=TRUST)
    assert OnnxBackend(model.read_onnx())
    flip_last_byte(model.onnx_path)  # between the check and the load
    with pytest.raises(ModelRepositoryError, match=r"model\.onnx of epc_lstm/2 is not the file that was exported"):
        model.read_onnx()
    with pytest.raises(ModelRepositoryError, match=r"model\.onnx of .* is not the file that was exported"):
        load(repository, 2, feature_spec_hash=SPEC_HASH, trust=TRUST)


@pytest.mark.needs(shutil.which("openssl") is not None, "the openssl program is not installed")
def test_openssl_makes_and_checks_signatures_as_the_documentation_says(repository: Path, tmp_path: Path) -> None:
    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=tmp_path, check=True, capture_output=True)

    openssl("genpkey", "-algorithm", "ed25519", "-out", "sign.pem")
    openssl("pkey", "-in", "sign.pem", "-pubout", "-out", "trust.pem")
    folder = repository / "epc_lstm" / "1"
    files = ("-in", str(folder / "manifest.json"))
    openssl("pkeyutl", "-sign", "-rawin", "-inkey", "sign.pem", *files, "-out", str(folder / "manifest.sig"))
    assert load(repository, 1, feature_spec_hash=SPEC_HASH, trust=load_trust(tmp_path / "trust.pem")).version == 1
    assert load_signing_key(tmp_path / "sign.pem")
    signed = repository / "epc_lstm" / "2"
    (tmp_path / "key.pem").write_bytes(public_pem(KEY))
    of = ("-in", str(signed / "manifest.json"), "-sigfile", str(signed / "manifest.sig"))
    openssl("pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", "key.pem", *of)


def test_export_signs_and_refuses_a_bad_key_before_any_work(tiny_run: Path, tmp_path: Path) -> None:
    def export(key: Path) -> subprocess.CompletedProcess[str]:
        return run("export", tiny_run, "--out", tmp_path, "--sign", key)

    (tmp_path / "sign.pem").write_bytes(private_pem(KEY))
    refused = export(tmp_path / "none.pem")
    assert "--sign: cannot read" in refused.stderr
    assert not (tmp_path / "epc_lstm").exists()
    done = export(tmp_path / "sign.pem")
    assert done.returncode == 0, done.stderr
    model = load(tmp_path, feature_spec_hash=feature_spec_hash(), trust=TRUST)
    svm = load_svm(tmp_path, model, feature_spec_hash=feature_spec_hash(), trust=TRUST)
    assert svm is not None
    assert (model.name, model.version, svm.name, svm.version) == ("epc_lstm", 1, "epc_svm", 1)


def test_several_keys_fit_in_one_file(tmp_path: Path) -> None:
    path = tmp_path / "trust.pem"
    path.write_bytes(public_pem(KEY) + public_pem(OTHER))
    assert [key.public_bytes_raw() for key in load_trust(path)] == [
        key.public_key().public_bytes_raw() for key in (KEY, OTHER)
    ]


@pytest.mark.parametrize("content", [b"", b"nonsense", authority().cert_pem, private_pem(KEY), None])
def test_a_file_without_public_keys_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "trust.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsError, match=r"--trust: .*trust\.pem"):
        load_trust(path)


@pytest.mark.parametrize("content", [b"", public_pem(KEY), authority().key_pem, None])
def test_a_file_without_a_signing_key_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "sign.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsError, match=r"--sign: .*sign\.pem"):
        load_signing_key(path)


def test_a_gateway_serves_a_signed_model_and_refuses_to_start_with_another(
    bundled_repository: Path, tmp_path: Path
) -> None:
    repository = shutil.copytree(bundled_repository, tmp_path / "repository")
    (tmp_path / "trust.pem").write_bytes(public_pem(KEY))
    flags = (
        "--backend",
        f"onnx:{repository}",
        "--model-version",
        "1",
        "--trust",
        str(tmp_path / "trust.pem"),
        "--no-fallback",
    )
    for model in ("epc_lstm", "epc_svm"):
        with pytest.raises(RuntimeError, match=rf"\"reason\": \"{model}/1 in .* is not signed, and --trust is set"):
            Gateway(*flags)
        folder = repository / model / "1"
        (folder / "manifest.sig").write_bytes(KEY.sign((folder / "manifest.json").read_bytes()))
    with Gateway(*flags) as gateway:
        assert gateway.health() == "SERVING"
