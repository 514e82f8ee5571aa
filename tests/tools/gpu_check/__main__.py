"""Prints the table; exit status 1 without a GPU, or where an answer or the memory of a training is out of bounds."""

from __future__ import annotations

import math
import os
import subprocess
import sys

import onnx
import onnxruntime
import torch
from onnx import numpy_helper
from rich.console import Console
from rich.table import Table

from service.features.table import feature_spec_hash
from service.model.backend import PROBE_TOLERANCE
from service.model.onnx_session import CUDA
from service.model.repository import load
from tests.support.gateway import ROOT
from tests.tools.gpu_check import inference, training
from tests.tools.gpu_check.inference import LENGTHS, Inference
from tests.tools.gpu_check.training import MOST_BYTES, Training


def lacking() -> list[str]:
    """Return what this machine lacks for the measurements."""
    found = []
    try:
        gpus = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=60, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        gpus = ""
    if not gpus.strip():
        found.append("no NVIDIA GPU is here (nvidia-smi -L lists none)")
    if not torch.cuda.is_available():
        found.append(f"torch {torch.__version__} cannot use one")
    if CUDA not in onnxruntime.get_available_providers():
        found.append(f"onnxruntime {onnxruntime.__version__} has no {CUDA}")
    return found


def table(inferences: list[Inference], trainings: list[Training]) -> Table:
    """Return all that was measured as one table."""
    found = Table("measured", "T", "B", "without", "on the GPU", "times", "difference or memory", title=_machine())
    for row in inferences:
        found.add_row(
            f"inference, {row.graph}", str(row.T), f"{row.B:,}", f"{row.processors:,.0f} windows/s",
            f"{row.cuda:,.0f} windows/s", f"{row.cuda / row.processors:.2f}", f"{row.difference:.1e}",
        )  # fmt: skip
    plain = {row.T: row for row in trainings if not row.mixed}
    for row in (row for row in trainings if row.mixed):
        before = plain[row.T]
        found.add_row(
            "training step, float32 and mixed precision", str(row.T), f"{row.B:,}", f"{before.step_ms:.2f} ms",
            f"{row.step_ms:.2f} ms", f"{before.step_ms / row.step_ms:.2f}",
            f"{before.peak_bytes / 1e6:,.0f} and {row.peak_bytes / 1e6:,.0f} MB",
        )  # fmt: skip
    return found


def missed(inferences: list[Inference], trainings: list[Training]) -> list[str]:
    """Return which bounds are not kept."""
    found = [
        f"{row.graph}, T {row.T}, B {row.B}: off by {row.difference:.1e}, allowed are {PROBE_TOLERANCE}"
        for row in inferences
        if not row.difference <= PROBE_TOLERANCE
    ]
    for row in trainings:
        if row.peak_bytes >= MOST_BYTES:
            found.append(f"training, T {row.T}: {row.peak_bytes / 1e6:,.0f} MB, allowed are {MOST_BYTES / 1e6:,.0f}")
        if not math.isfinite(row.loss):
            found.append(f"training, T {row.T}, {'mixed' if row.mixed else 'float32'}: the loss is {row.loss}")
    return found


def _machine() -> str:
    return f"{torch.cuda.get_device_name()} beside {len(os.sched_getaffinity(0))} processors"


def main() -> int:
    """Measure and print."""
    if lacks := lacking():
        print(
            f"error: this check needs a GPU and measures nothing without one: {'; '.join(lacks)}."
            " On a machine with a GPU, make gpu installs what it takes",
            file=sys.stderr,
        )
        return 1
    bundled = load(ROOT / "model_repository", feature_spec_hash=feature_spec_hash())
    model = onnx.load(bundled.onnx_path)
    [pieces] = [
        len(numpy_helper.to_array(tensor))
        for tensor in model.graph.initializer
        if tensor.name == "model.encoding.pieces.bias"
    ]
    try:
        inferences = list(inference.measure(model, bundled.manifest.features.index("causal")))
    except RuntimeError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    trainings = [training.measure("cuda", pieces=pieces, T=T, mixed=mixed) for T in LENGTHS for mixed in (False, True)]
    Console(width=150).print(table(inferences, trainings))
    for line in (problems := missed(inferences, trainings)):
        print(f"error: {line}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
