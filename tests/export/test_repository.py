"""The model repository is what Triton and the gateway expect, and is written whole."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from export.repository import TritonSpec, render_config, specs_of, write_version
from service.errors import ModelRepositoryError
from service.model.manifest import Manifest, digest_of
from service.model.repository import read_manifest, versions
from service.model.verify import CONFIGS
from tests.servers.triton.fixture import FEATURES, LENGTHS, SPEC_HASH, small_manifest


def parsed(path: Path) -> model_config_pb2.ModelConfig:
    return text_format.Parse(path.read_text(), model_config_pb2.ModelConfig())


def test_production_config_says_what_the_contract_says(small_repository: Path) -> None:
    config = parsed(small_repository / "epc_lstm" / "config.pbtxt")
    assert (config.name, config.backend) == ("epc_lstm", "onnxruntime")
    tensors = {t.name: (t.data_type, list(t.dims)) for t in (*config.input, *config.output)}
    assert tensors == {
        "features": (model_config_pb2.TYPE_FP32, [-1, len(FEATURES)]),
        "lengths": (model_config_pb2.TYPE_INT64, [1]),
        "probabilities": (model_config_pb2.TYPE_FP32, [-1, 5]),
    }
    assert [(g.kind, g.count) for g in config.instance_group] == [(model_config_pb2.ModelInstanceGroup.KIND_GPU, 1)]
    assert config.dynamic_batching.max_queue_delay_microseconds == 1_000, "10 ms at most, SPEC.md"
    assert not config.dynamic_batching.HasField("default_queue_policy"), "queue policies stall batches"
    assert config.max_batch_size >= 32
    assert config.version_policy.HasField("all"), "several versions answer side by side"
    warmed = [dict(w.inputs)["features"].dims for w in config.model_warmup]
    assert warmed == [[length, len(FEATURES)] for length in LENGTHS]


def test_cpu_config_differs_only_in_its_instances_and_waiting(small_repository: Path) -> None:
    folder = small_repository / "epc_lstm"
    production, cpu = parsed(folder / "config.pbtxt"), parsed(folder / "configs" / "cpu.pbtxt")
    assert [(g.kind, g.count) for g in cpu.instance_group] == [(model_config_pb2.ModelInstanceGroup.KIND_CPU, 2)]
    assert cpu.HasField("dynamic_batching")
    assert cpu.dynamic_batching.max_queue_delay_microseconds == 0
    assert cpu.parameters["intra_op_thread_count"].string_value == "1"
    for config in (production, cpu):
        for differing in ("instance_group", "dynamic_batching"):
            config.ClearField(differing)
    del cpu.parameters["intra_op_thread_count"]
    assert cpu == production


def test_config_parameters_tie_each_version_to_its_manifest(small_repository: Path) -> None:
    folder = small_repository / "epc_lstm"
    found = {key: value.string_value for key, value in parsed(folder / "config.pbtxt").parameters.items()}
    assert found == {
        "feature_spec_hash.1": SPEC_HASH,
        "feature_spec_hash.2": SPEC_HASH,
        "manifest_sha256.1": digest_of(folder / "1" / "manifest.json"),
        "manifest_sha256.2": digest_of(folder / "2" / "manifest.json"),
    }


@pytest.mark.parametrize("name", ["epc_lstm", "epc_svm"])
@pytest.mark.parametrize("file", CONFIGS)
def test_what_is_written_means_what_the_bundled_files_say(bundled_repository: Path, name: str, file: str) -> None:
    manifest = read_manifest(bundled_repository / name / "1" / "manifest.json", name)
    specs = dict(zip(CONFIGS, specs_of([manifest]), strict=True))
    written = text_format.Parse(render_config(specs[file]), model_config_pb2.ModelConfig())
    assert written == parsed(bundled_repository / name / file)


def test_spec_refuses_to_wait_longer_than_the_contract_allows() -> None:
    with pytest.raises(ValueError, match=r"0\.\.10000"):
        TritonSpec("epc_lstm", features=3, lengths=(4,), max_queue_delay_us=10_001)
    assert "max_queue_delay" not in render_config(
        TritonSpec("epc_lstm", features=3, lengths=(4,), max_queue_delay_us=0)
    )


@pytest.fixture
def repository(small_repository: Path, tmp_path: Path) -> Path:
    """A repository of its own, with versions 1 and 2."""
    return shutil.copytree(small_repository, tmp_path / "repository")


def inputs(repository: Path, version: int) -> tuple[Path, Manifest]:
    """Return the model file of version 1 and a manifest that makes it ``version``."""
    path = repository / "epc_lstm" / "1" / "model.onnx"
    return path, small_manifest(path, version)


def snapshot(repository: Path) -> dict[str, bytes]:
    return {str(f.relative_to(repository)): f.read_bytes() for f in sorted(repository.rglob("*")) if f.is_file()}


def test_versions_are_added_whole(repository: Path) -> None:
    path, manifest = inputs(repository, 10)
    folder = write_version(repository, 10, path, manifest)
    assert versions(repository) == [1, 2, 10]
    assert sorted(f.name for f in folder.iterdir()) == ["manifest.json", "model.onnx"]
    assert read_manifest(folder / "manifest.json", "v10") == manifest
    left = {f.name for f in folder.parent.iterdir()}
    assert left == {"1", "2", "10", "config.pbtxt", "configs"}, "no scratch left"
    assert "manifest_sha256.10" in parsed(folder.parent / "config.pbtxt").parameters


def test_a_version_is_replaced_only_when_told(repository: Path) -> None:
    path, manifest = inputs(repository, 2)
    before = snapshot(repository)
    with pytest.raises(ModelRepositoryError, match="version 2 exists"):
        write_version(repository, 2, path, manifest)
    assert snapshot(repository) == before
    write_version(repository, 2, path, manifest, replace=True)
    assert digest_of(repository / "epc_lstm" / "2" / "model.onnx") == manifest.files["model.onnx"]
    assert set(snapshot(repository)) == set(before)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 4}, "manifest is of version 4, not of version 3"),
        ({"files": {"model.onnx": "0" * 64}}, "SHA-256 of model.onnx"),
        ({"features": [*FEATURES, "more"]}, "one input shape"),
    ],
)
def test_a_manifest_that_does_not_fit_changes_nothing(
    repository: Path, change: dict[str, object], message: str
) -> None:
    path, manifest = inputs(repository, 3)
    before = snapshot(repository)
    with pytest.raises(ModelRepositoryError, match=message):
        write_version(repository, 3, path, manifest.model_copy(update=change))
    assert snapshot(repository) == before
