"""The Triton model repository: config.pbtxt from a typed spec, and versions that are written whole or not at all."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnxruntime  # type: ignore[import-untyped]
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.protobuf import text_format
from numpy.typing import NDArray

from service.errors import ModelRepositoryError
from service.events.vocabulary import KINDS
from service.model.backend import CHUNK, INPUT_FEATURES, INPUT_LENGTHS, OUTPUT_PROBABILITIES
from service.model.manifest import MANIFEST_FILE, MODEL_FILE, Manifest, Probe, digest_of
from service.model.repository import read_manifest, versions
from service.model.signing import SIGNATURE_FILE
from service.model.triton_config import config_type
from service.model.verify import CONFIGS

CONFIG_FILE, CPU_CONFIG_FILE = CONFIGS

MAX_QUEUE_DELAY_US = 10_000
"""SPEC.md: a request waits at most 10 ms for others to share its batch."""


@dataclass(frozen=True)
class TritonSpec:
    """What config.pbtxt says; one file serves every version of the model."""

    model: str  # its name
    features: int  # F, inputs per event
    lengths: tuple[int, ...]  # the padded lengths T, each warmed up
    device: Literal["KIND_GPU", "KIND_CPU"] = "KIND_GPU"
    instances: int = 1  # per device
    max_batch_size: int = 4 * CHUNK  # sequences; room for several requests of the gateway in one batch
    max_queue_delay_us: int = 1_000  # not yet measured on a GPU, so small; on CPU 0 was best; 0: no waiting
    parameters: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0 <= self.max_queue_delay_us <= MAX_QUEUE_DELAY_US:
            raise ValueError(f"max_queue_delay_us must be 0..{MAX_QUEUE_DELAY_US}, got {self.max_queue_delay_us}")


def render_config(spec: TritonSpec) -> str:
    """Return config.pbtxt (protobuf text of inference.ModelConfig) for ``spec``.

    Raises:
        CommandError: the package that knows Triton's configs is missing.
    """
    config = config_type("export", "train")(
        name=spec.model,
        backend="onnxruntime",
        max_batch_size=spec.max_batch_size,
        input=[
            {"name": INPUT_FEATURES, "data_type": "TYPE_FP32", "dims": [-1, spec.features]},
            {"name": INPUT_LENGTHS, "data_type": "TYPE_INT64", "dims": [1]},
        ],
        output=[{"name": OUTPUT_PROBABILITIES, "data_type": "TYPE_FP32", "dims": [-1, len(KINDS)]}],
        version_policy={"all": {}},
        instance_group=[{"kind": spec.device, "count": spec.instances}],
        # No queue policies (priorities, sizes, timeouts): batches then stall at times. The gateway does admission.
        dynamic_batching={"max_queue_delay_microseconds": spec.max_queue_delay_us},
        model_warmup=[_warmup(length, spec.features) for length in spec.lengths],
        parameters={key: {"string_value": value} for key, value in spec.parameters.items()},
    )
    return text_format.MessageToString(config)


def write_version(  # noqa: PLR0913 - two of them are options, given by name
    repository: Path,
    version: int,
    onnx: Path,
    manifest: Manifest,
    *,
    replace: bool = False,
    sign: Ed25519PrivateKey | None = None,
) -> Path:
    """Add a version to the manifest's model in ``repository`` and bring its configs up to date.

    Writes ``<model>/<version>/{model.onnx, manifest.json}``, with the key ``sign`` also ``manifest.sig``, complete
    from the first moment it is visible, then ``<model>/config.pbtxt`` (production) and ``<model>/configs/cpu.pbtxt``.

    Returns:
        The folder of the version.

    Raises:
        ModelRepositoryError: the version exists and ``replace`` is False, the manifest is not of this version and file,
            or the model's other versions have another number of features (Triton allows one input shape per model).
        CommandError: the package that knows Triton's configs is missing.
    """
    _check_manifest(version, onnx, manifest)
    others = _manifests(repository, manifest.model, without=version)
    for other in others:
        if len(other.features) != len(manifest.features):
            raise ModelRepositoryError(
                f"version {version} has {len(manifest.features)} features, version {other.version} in {repository} has "
                f"{len(other.features)}: a model has one input shape; export to an empty repository"
            )
    model_folder = repository / manifest.model
    target = model_folder / str(version)
    if target.exists() and not replace:
        raise ModelRepositoryError(
            f"version {version} exists in {repository}: versions are never changed; use the next"
        )
    production, cpu = map(render_config, specs_of([*others, manifest]))  # before anything is written
    (model_folder / "configs").mkdir(parents=True, exist_ok=True)
    _place(target, onnx, manifest, sign)
    write_atomically(model_folder / CONFIG_FILE, production)
    write_atomically(model_folder / CPU_CONFIG_FILE, cpu)
    return target


def golden_probe(onnx: Path, features: NDArray[np.float32], lengths: NDArray[np.int64]) -> Probe:
    """Return the golden pair of the manifest: the file's answer to ``features`` [B, T, F] and ``lengths`` [B, 1]."""
    session = onnxruntime.InferenceSession(onnx, providers=["CPUExecutionProvider"])
    (answer,) = session.run([OUTPUT_PROBABILITIES], {INPUT_FEATURES: features, INPUT_LENGTHS: lengths})
    return Probe(features=features.tolist(), lengths=lengths.tolist(), probabilities=answer.tolist())


def _warmup(length: int, features: int) -> dict[str, Any]:
    inputs = {
        INPUT_FEATURES: {"data_type": "TYPE_FP32", "dims": [length, features], "zero_data": True},
        # Zero lengths are legal for the graph, which clamps them to 1.
        INPUT_LENGTHS: {"data_type": "TYPE_INT64", "dims": [1], "zero_data": True},
    }
    return {"name": f"T{length}", "batch_size": 1, "inputs": inputs}


def specs_of(manifests: list[Manifest]) -> tuple[TritonSpec, TritonSpec]:
    """Return the production spec and the CPU spec for a model with these versions."""
    features = len(manifests[-1].features)
    lengths = tuple(sorted({length for manifest in manifests for length in manifest.lengths}))
    parameters = {}
    for manifest in manifests:
        parameters[f"feature_spec_hash.{manifest.version}"] = manifest.feature_spec_hash
        parameters[f"manifest_sha256.{manifest.version}"] = hashlib.sha256(manifest.to_json().encode()).hexdigest()
    name = manifests[-1].model
    production = TritonSpec(name, features, lengths, parameters=parameters)
    cpu = TritonSpec(
        name,
        features,
        lengths,
        device="KIND_CPU",
        instances=2,  # two calls side by side scale, two threads within one call do not
        max_queue_delay_us=0,  # on CPU, waiting only adds latency
        parameters=parameters | {"intra_op_thread_count": "1"},
    )
    return production, cpu


def _check_manifest(version: int, onnx: Path, manifest: Manifest) -> None:
    if manifest.version != version:
        raise ModelRepositoryError(f"the manifest is of version {manifest.version}, not of version {version}")
    if manifest.files != {MODEL_FILE: digest_of(onnx)}:
        raise ModelRepositoryError(f"the manifest's files must be {MODEL_FILE} alone, with the SHA-256 of {onnx.name}")


def _manifests(repository: Path, name: str, without: int) -> list[Manifest]:
    folder = repository / name
    return [
        read_manifest(folder / str(version) / MANIFEST_FILE, f"{name}/{version} in {repository}")
        for version in versions(repository, name)
        if version != without
    ]


def _place(target: Path, onnx: Path, manifest: Manifest, sign: Ed25519PrivateKey | None) -> None:
    """Build the version beside ``target`` and rename it in; Triton ignores folders whose name is not a number."""
    with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as scratch:
        fresh = Path(scratch) / "new"
        fresh.mkdir()
        shutil.copyfile(onnx, fresh / MODEL_FILE)
        content = manifest.to_json().encode()
        (fresh / MANIFEST_FILE).write_bytes(content)
        if sign is not None:
            (fresh / SIGNATURE_FILE).write_bytes(sign.sign(content))
        if target.exists():
            target.rename(Path(scratch) / "old")
        fresh.rename(target)


def write_atomically(path: Path, text: str) -> None:
    """Write a file that is whole from the first moment it is there."""
    scratch = path.with_name(f".{path.name}.tmp")
    try:
        scratch.write_text(text, encoding="utf-8")
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)
