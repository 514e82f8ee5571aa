"""The bundled model on CUDA beside all processors of the machine: how far answers are apart, and how many windows/s."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import numpy_helper

from service.model.backend import INPUT_FEATURES, INPUT_LENGTHS, OUTPUT_PROBABILITIES
from service.model.onnx_session import CPU, CUDA, open_session
from tests.tools.gpu_check.graphs import masked, without_lengths

LENGTHS = (4, 8, 16, 32)
BATCHES = (64, 256, 1_024)
SECONDS = 1.0
"""Of each measurement, after it is warm."""

_AT_ONCE = 64  # windows that a processor gets in one call, as the embedded backend has it

Inputs = dict[str, NDArray[Any]]
Run = Callable[[Inputs], NDArray[np.float32]]


@dataclass(frozen=True)
class Inference:
    """A row of the table."""

    graph: str
    T: int
    B: int
    processors: float  # windows per second, on all of them
    cuda: float  # windows per second
    difference: float  # largest of a probability


def windows(model: onnx.ModelProto, causal: int, T: int, B: int, *, full: bool) -> Inputs:
    """Return B windows as wide as the features that the model learned from; ``causal`` is the place of that feature."""
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    mean, scale = weights["model.encoding.mean"], weights["model.encoding.scale"]
    rng = np.random.default_rng([T, B])
    deviation = np.divide(1, scale, out=np.zeros_like(scale), where=scale > 0)
    features = (mean + deviation * rng.normal(size=(B, T, len(mean)))).astype(np.float32)
    features[:, :, causal] = rng.integers(0, 2, size=(B, 1))
    lengths = np.full((B, 1), T) if full else rng.integers(1, T + 1, size=(B, 1))
    return {INPUT_FEATURES: features, INPUT_LENGTHS: lengths}


def session(model: onnx.ModelProto, provider: str) -> Run:
    """Return what runs a graph on a provider, and on no other.

    Raises:
        RuntimeError: it does not work here; says why.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    opened, reasons = open_session(model.SerializeToString(), options, [provider])
    if reasons:
        raise RuntimeError(f"{provider} does not work here: {reasons[provider]}")
    return lambda inputs: opened.run([OUTPUT_PROBABILITIES], inputs)[0]  # type: ignore[no-any-return]


def in_parts(run: Run, inputs: Inputs) -> NDArray[np.float32]:
    """Run some windows as a processor does, `_AT_ONCE` at a time."""
    starts = range(0, len(inputs[INPUT_LENGTHS]), _AT_ONCE)
    return np.concatenate([run({name: part[at : at + _AT_ONCE] for name, part in inputs.items()}) for at in starts])


def rate(run: Callable[[], object], amount: int, threads: int = 1, seconds: float = SECONDS) -> float:
    """Return how much of ``amount`` per call is done in a second, by calls of several threads side by side."""
    for _ in range(3):
        run()
    begin = time.perf_counter()
    end = begin + seconds

    def work(_thread: int) -> int:
        calls = 0
        while time.perf_counter() < end:
            run()
            calls += 1
        return calls

    with ThreadPoolExecutor(threads) as pool:
        calls = sum(pool.map(work, range(threads)))
    return calls * amount / (time.perf_counter() - begin)


def measure(model: onnx.ModelProto, causal: int) -> Iterator[Inference]:
    """Yield the rows: each shape on the graph as it is, on windows of any length and on full ones, and its other forms.

    Raises:
        RuntimeError: CUDA does not work here.
    """
    cores = len(os.sched_getaffinity(0))
    by_processor, by_cuda, by_masked = session(model, CPU), session(model, CUDA), session(masked(model), CUDA)
    for T in LENGTHS:
        for B in BATCHES:
            mixed, full = (windows(model, causal, T, B, full=full) for full in (False, True))
            by_fixed = session(without_lengths(model, T, B), CUDA)
            for inputs, graphs in (
                (mixed, {"as bundled": by_cuda, "masks, no sequence_lens": by_masked}),
                (full, {"as bundled, full windows": by_cuda, "full windows, fixed shape": by_fixed}),
            ):
                expected = in_parts(by_processor, inputs)
                processors = rate(lambda inputs=inputs: in_parts(by_processor, inputs), B, threads=cores)
                for name, run in graphs.items():
                    difference = float(np.abs(run(inputs) - expected).max())
                    cuda = rate(lambda run=run, inputs=inputs: run(inputs), B)
                    yield Inference(name, T, B, processors, cuda, difference)
