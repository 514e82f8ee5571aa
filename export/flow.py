"""A run folder of flow forecasts becomes a version of the flow model in the repository."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from google.protobuf import text_format
from pydantic import JsonValue, ValidationError

from export.flow_graphs import lstm_graph, trees_graph
from export.repository import CONFIG_FILE, CPU_CONFIG_FILE, write_atomically
from service.errors import ModelRepositoryError
from service.flow.forecast.manifest import FLOW_MODEL, HISTORY_FILE, STOCK_FILE, TREES_FILE, FlowManifest
from service.flow.forecast.onnx_forecast import INPUT_WINDOW, OUTPUT_MEASURES
from service.flow.forecast.windows import FEATURES
from service.flow.series import MEASURES
from service.model.backend import CHUNK
from service.model.manifest import MANIFEST_FILE, MODEL_FILE, digest_of
from service.model.repository import retired, versions
from service.model.signing import SIGNATURE_FILE
from service.model.triton_config import config_type
from training.flow.run import FlowRun


def export_flow(
    run_folder: Path,
    repository: Path,
    version: int | None = None,
    *,
    replace: bool = False,
    sign: Ed25519PrivateKey | None = None,
) -> Path:
    """Export a run as ``version`` (default: the next one) of the flow model; return its folder.

    The folder is whole from the first moment it is there. ``config.pbtxt`` and ``configs/cpu.pbtxt`` beside it say how
    Triton runs the network.

    Raises:
        DataError: it is no run folder.
        ParityError: a graph does not answer as what was trained.
        ModelRepositoryError: the version exists and ``replace`` is off, or was deleted.
    """
    run = FlowRun.load(run_folder)
    taken, gone = versions(repository, FLOW_MODEL), retired(repository, FLOW_MODEL)
    free = 1 + max({*taken, *gone}, default=0)
    number = free if version is None else version
    if number in gone or (number in taken and not replace):
        why = "was deleted from" if number in gone else "exists in"
        raise ModelRepositoryError(
            f"{FLOW_MODEL}/{number} {why} {repository}: versions are never changed; the next one, {free}, is free"
        )
    files = {
        HISTORY_FILE: run.series.to_bytes(),
        MODEL_FILE: lstm_graph(run.learned),
        TREES_FILE: trees_graph(run.learned),
    }
    if run.stock is not None:
        files[STOCK_FILE] = run.stock.to_bytes()
    manifest = FlowManifest(
        format=1,
        model=FLOW_MODEL,
        version=number,
        created_at=run.record.created_at,
        dimensions=run.record.dimensions,
        measures=run.record.measures,
        least_days=run.record.least_days,
        settings=run.record.config.model_dump(mode="json"),
        metrics=run.record.metrics,
        lineage=run.record.lineage,
        files={name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
    )
    text = manifest.to_json().encode()
    files[MANIFEST_FILE] = text
    if sign is not None:
        files[SIGNATURE_FILE] = sign.sign(text)
    made = _place(repository / FLOW_MODEL / str(number), files)
    _write_configs(repository / FLOW_MODEL, sorted({*taken, number}), run.learned.length)
    return made


def _write_configs(folder: Path, numbers: Sequence[int], length: int) -> None:
    """Write how Triton runs the network of ``length`` days, on a GPU and on processors.

    One file stands for all versions. It leaves out those of another length, with one of which Triton would load none:
    they run only where the gateway says what is loaded.
    """
    digests = {f"manifest_sha256.{one}": digest_of(folder / str(one) / MANIFEST_FILE) for one in numbers}
    alike = [one for one in numbers if _length(folder / str(one)) == length]
    policy = {"all": {}} if alike == list(numbers) else {"specific": {"versions": alike}}
    (folder / "configs").mkdir(exist_ok=True)
    for file, device, count in ((CONFIG_FILE, "KIND_GPU", 1), (CPU_CONFIG_FILE, "KIND_CPU", 2)):
        parameters = digests | ({"intra_op_thread_count": "1"} if device == "KIND_CPU" else {})
        config = config_type("flow train --repository", "train")(
            name=FLOW_MODEL,
            backend="onnxruntime",
            max_batch_size=4 * CHUNK,
            input=[{"name": INPUT_WINDOW, "data_type": "TYPE_FP32", "dims": [length, len(FEATURES)]}],
            output=[{"name": OUTPUT_MEASURES, "data_type": "TYPE_FP32", "dims": [len(MEASURES)]}],
            version_policy=policy,
            instance_group=[{"kind": device, "count": count}],
            dynamic_batching={},
            parameters={key: {"string_value": value} for key, value in parameters.items()},
        )
        write_atomically(folder / file, text_format.MessageToString(config))


def _length(version: Path) -> JsonValue:
    """Return the days that the network of a version sees, 0 where its manifest cannot be read."""
    try:
        return FlowManifest.model_validate_json((version / MANIFEST_FILE).read_bytes()).settings.get("sequence_length")
    except (OSError, ValidationError):
        return 0


def _place(target: Path, files: dict[str, bytes]) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".new-", dir=target.parent) as scratch:
        fresh = Path(scratch) / target.name
        fresh.mkdir()
        for name, content in files.items():
            (fresh / name).write_bytes(content)
        if target.exists():
            shutil.move(target, Path(scratch) / "old")
        fresh.replace(target)
    return target
