"""A whole model repository before Triton loads it: nothing in it but what was exported, and nothing that runs code."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from google.protobuf import text_format

from service.console import CommandError
from service.errors import ModelRepositoryError
from service.registry import MANIFEST_FILE, MODEL_NAME, read_version, versions
from service.signing import SIGNATURE_FILE, Trust

CONFIGS = ("config.pbtxt", "configs/cpu.pbtxt")
"""What says how Triton runs the model, by path below its folder; of all versions, so it is not in their manifests."""

_CONFIG_FIELDS = {
    "name", "backend", "max_batch_size", "input", "output", "version_policy", "instance_group", "dynamic_batching",
    "model_warmup", "parameters",
}  # fmt: skip
"""Fields that export writes. Others may load a library, or another file than the one that is verified."""


def verify(repository: Path, trust: Trust | None = None) -> list[int]:
    """Return the versions of the model in ``repository``, which holds them alone, unchanged and signed by ``trust``.

    Raises:
        ModelRepositoryError: a version is changed or not signed; a file is there that no manifest names; a config has
            what export does not write.
        CommandError: the package that knows Triton's configs is missing.
    """
    found = versions(repository)
    if not found:
        raise ModelRepositoryError(f"no model in {repository}: it has no folder {MODEL_NAME}/<version>")
    folder = repository / MODEL_NAME
    named = {folder / config for config in CONFIGS}
    digests = {}
    for version in found:
        manifest = read_version(repository, version, trust)
        files = (*manifest.files, MANIFEST_FILE, SIGNATURE_FILE)
        named |= {folder / str(version) / name for name in files}
        digests[f"manifest_sha256.{version}"] = _sha256(folder / str(version) / MANIFEST_FILE)
    for path in _files(repository):
        if path not in named:
            raise ModelRepositoryError(f"{path} belongs to no version of the model: remove it")
    for config in CONFIGS:
        _check_config(folder / config, digests)
    return found


def _files(folder: Path) -> Iterator[Path]:
    """Yield everything that is no folder; links, which may lead anywhere, are never followed."""
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.is_symlink():
            yield from _files(path)
        else:
            yield path
            if path.is_symlink():
                raise ModelRepositoryError(f"{path} is a link: put the file itself there")


def _check_config(path: Path, digests: dict[str, str]) -> None:
    try:
        config = text_format.Parse(path.read_text(), _config_type()())
    except (OSError, UnicodeDecodeError, text_format.ParseError):
        raise ModelRepositoryError(f"{path} is missing or no config of Triton: export a version again") from None
    fields = {field.name for field, _ in config.ListFields()}
    if odd := sorted(fields - _CONFIG_FIELDS):
        raise ModelRepositoryError(f"{path} has {', '.join(odd)}, which export never writes: export a version again")
    if (config.name, config.backend) != (MODEL_NAME, "onnxruntime"):
        raise ModelRepositoryError(
            f"{path} is not of {MODEL_NAME} with the backend onnxruntime: export a version again"
        )
    if any(one.input_data_file for warmup in config.model_warmup for one in warmup.inputs.values()):
        raise ModelRepositoryError(f"{path} reads files for its warm-up: export a version again")
    parameters = {name: value.string_value for name, value in config.parameters.items()}
    if {name: parameters.get(name) for name in digests} != digests:
        raise ModelRepositoryError(f"{path} was not written for these versions: export one of them again")


def _config_type() -> Any:  # noqa: ANN401 - the package has no types
    try:
        return importlib.import_module("tritonclient.grpc.model_config_pb2").ModelConfig
    except ImportError:
        raise CommandError("verify needs the extra 'triton': pip install 'epc-sentinel[triton]'") from None


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
