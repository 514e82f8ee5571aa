"""A whole model repository before Triton loads it: nothing in it but what was exported, and nothing that runs code."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from google.protobuf import text_format

from service.errors import ModelRepositoryError
from service.model.manifest import FLOW_NAME, MANIFEST_FILE, MODEL_NAME, SVM_NAME, digest_of
from service.model.repository import RETIRED_FILE, read_version, read_whole, versions
from service.model.signing import SIGNATURE_FILE, Trust
from service.model.triton_config import config_type

CONFIGS = ("config.pbtxt", "configs/cpu.pbtxt")
"""What says how Triton runs the model, by path below its folder; of all versions, so it is in no manifest."""

_CONFIG_FIELDS = {
    "name", "backend", "max_batch_size", "input", "output", "version_policy", "instance_group", "dynamic_batching",
    "model_warmup", "parameters",
}  # fmt: skip
"""Fields that export writes. Others may load a library, or another file than the one that is verified."""


def verify(repository: Path, trust: Trust | None = None) -> list[str]:
    """Return the versions in ``repository`` ("epc_lstm/1"), which holds them alone, unchanged and signed by ``trust``.

    Raises:
        ModelRepositoryError: a version is changed or not signed; a file is there that no manifest names; a config has
            what export does not write.
        CommandError: the package that knows Triton's configs is missing.
    """
    if not versions(repository):
        raise ModelRepositoryError(f"no model in {repository}: it has no folder {MODEL_NAME}/<version>")
    verified: list[str] = []
    named: set[Path] = set()
    for name in (MODEL_NAME, SVM_NAME):
        found, folder = versions(repository, name), repository / name
        digests = {}
        for version in found:
            manifest = read_version(repository, version, trust, name)
            named |= {folder / str(version) / file for file in (*manifest.files, MANIFEST_FILE, SIGNATURE_FILE)}
            digests[f"manifest_sha256.{version}"] = digest_of(folder / str(version) / MANIFEST_FILE)
        named.add(folder / RETIRED_FILE)
        for config in CONFIGS if found else ():
            _check_config(folder / config, name, digests)
            named.add(folder / config)
        verified += [f"{name}/{version}" for version in found]
    flow, digests = repository / FLOW_NAME, {}
    for version in versions(repository, FLOW_NAME):
        folder, title = flow / str(version), f"{FLOW_NAME}/{version}"
        _, files = read_whole(folder, f"{title} in {repository}", trust)
        named |= {folder / file for file in (*files, MANIFEST_FILE, SIGNATURE_FILE)}
        named.add(flow / RETIRED_FILE)
        digests[f"manifest_sha256.{version}"] = digest_of(folder / MANIFEST_FILE)
        verified.append(title)
    for path in (flow / config for config in CONFIGS):
        if digests and path.exists():  # those of earlier releases have none
            _check_config(path, FLOW_NAME, digests)
            named.add(path)
    for path in _files(repository):
        if path.is_symlink():  # it may lead anywhere, and elsewhere later
            raise ModelRepositoryError(f"{path} is a link: put the file itself there")
        if path not in named:
            raise ModelRepositoryError(f"{path} belongs to no version of the model: remove it")
    return verified


def _files(folder: Path) -> Iterator[Path]:
    """Yield everything below that is no folder, links among it, which are not followed."""
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.is_symlink():
            yield from _files(path)
        else:
            yield path


def _check_config(path: Path, name: str, digests: dict[str, str]) -> None:
    try:
        config = text_format.Parse(path.read_text(), config_type("verify", "triton")())
    except (OSError, UnicodeDecodeError, text_format.ParseError):
        raise ModelRepositoryError(f"{path} is missing or no config of Triton: export a version again") from None
    fields = {field.name for field, _ in config.ListFields()}
    if odd := sorted(fields - _CONFIG_FIELDS):
        raise ModelRepositoryError(f"{path} has {', '.join(odd)}, which export never writes: export a version again")
    if (config.name, config.backend) != (name, "onnxruntime"):
        raise ModelRepositoryError(f"{path} is not of {name} with the backend onnxruntime: export a version again")
    if any(one.input_data_file for warmup in config.model_warmup for one in warmup.inputs.values()):
        raise ModelRepositoryError(f"{path} reads files for its warm-up: export a version again")
    parameters = {key: value.string_value for key, value in config.parameters.items()}
    if {key: parameters.get(key) for key in digests} != digests:
        raise ModelRepositoryError(f"{path} was not written for these versions: export one of them again")
