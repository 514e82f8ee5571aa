"""A calibrated model as one ONNX file, and the proof that the file answers as torch does.

The TorchScript exporter is deprecated and the dynamo exporter cannot trace `nn.LSTM` with a free time axis. So it gets
the ONNX operator itself: `LSTM` with ``sequence_lens`` reverses within each length and skips the padding.
"""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import numpy as np
import onnx
import onnxruntime  # type: ignore[import-untyped]
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.export import Dim

from service.model.backend import INPUT_FEATURES, INPUT_LENGTHS, OUTPUT_PROBABILITIES
from training.network.lstm import CalibratedModel, PaddedLstm
from training.network.one_class_svm import OneClassSvms

TOLERANCE = 1e-4
"""Largest allowed absolute difference of a probability between torch and the exported file.

Rounding alone: a steep piece of the encoding multiplies by up to 600, and both sum in orders of their own. The bundled
model differs by 1e-6, one of a few steps of training by 1e-5.
"""

_SHAPES = ((1, 1), (1, 32), (2, 3), (3, 16), (8, 8), (17, 5), (64, 4), (64, 32))
"""(B, T) that the parity gate tries."""


class ParityError(Exception):
    """The exported file does not answer as the torch model does; it must not be published."""


def export_onnx(model: CalibratedModel | OneClassSvms, path: Path) -> float:
    """Write ``model`` to ``path`` as one self-contained .onnx file and check it against torch.

    Inputs ``features`` float32 [batch, time, F] and ``lengths`` int64 [batch, 1]; output ``probabilities`` float32
    [batch, time, 5]. ``model`` is not changed.

    Returns:
        The largest absolute difference of a probability that the parity gate saw.

    Raises:
        ParityError: the file differs from torch by more than `TOLERANCE`; the file is left for inspection.
    """
    reference = copy.deepcopy(model).eval().cpu()
    graph = copy.deepcopy(reference)
    if isinstance(graph, CalibratedModel):
        recurrent = graph.model.recurrent
        recurrent.layers = nn.ModuleList(_OnnxLstm(cast(PaddedLstm, layer)) for layer in recurrent.layers)
    batch, time = Dim("batch"), Dim("time")
    example = (torch.zeros(3, 8, _scales(reference)[0].shape[-1]), torch.tensor([[8], [5], [2]]))
    with _quiet_exporter():
        program = torch.onnx.export(
            graph,
            example,
            input_names=[INPUT_FEATURES, INPUT_LENGTHS],
            output_names=[OUTPUT_PROBABILITIES],
            dynamic_shapes=({0: batch, 1: time}, {0: batch}),
            dynamo=True,
            verbose=False,
        )
    if program is None:
        raise RuntimeError("the exporter gave no program")
    proto = program.model_proto
    _keep_residual_apart(proto)
    _forget_the_exporter(proto)
    onnx.save(proto, path)
    return check_parity(reference, path)


def _forget_the_exporter(proto: onnx.ModelProto) -> None:
    """Take out what the exporter notes: with paths of this machine in it, equal runs gave unequal files."""
    graph = proto.graph
    for noted in (proto, graph, *graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer):
        del noted.metadata_props[:]


def check_parity(model: CalibratedModel | OneClassSvms, path: Path, seed: int = 0) -> float:
    """Return the largest absolute difference between ``model`` and the file at ``path`` over many shapes.

    Every input is tried with zeros and with garbage in its padding: both must give torch's answer of the clean one.

    Raises:
        ParityError: with the shape and the numbers of the worst case.
    """
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(seed)
    worst = 0.0
    for B, T in _SHAPES:
        clean, garbage, lengths = _random_input(rng, B, T, model)
        with torch.inference_mode():
            expected = model(torch.from_numpy(clean), torch.from_numpy(lengths)).numpy()
        for padding, features in (("zeros", clean), ("garbage", garbage)):
            (found,) = session.run([OUTPUT_PROBABILITIES], {INPUT_FEATURES: features, INPUT_LENGTHS: lengths})
            if found.shape != expected.shape:
                raise ParityError(f"B={B}, T={T}: the file answers {found.shape}, torch answers {expected.shape}")
            difference = float(np.abs(found - expected).max())
            if not difference <= TOLERANCE:  # also catches NaN
                raise ParityError(
                    f"B={B}, T={T}, {padding} in the padding: the file differs from torch by {difference:.2g}, "
                    f"allowed is {TOLERANCE:.2g}"
                )
            worst = max(worst, difference)
    return worst


def _random_input(
    rng: np.random.Generator, B: int, T: int, model: CalibratedModel | OneClassSvms
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int64]]:
    """Return features [B, T, F] with clean padding, the same with garbage in it, lengths [B, 1]; both modes occur."""
    mean, scale, causal_index = _scales(model)
    spread = 3.0 / np.where(scale > 0, scale, 1.0)  # in the deviations that the model knows: far out and common, both
    garbage = (mean + rng.normal(size=(B, T, len(mean))) * spread).astype(np.float32)
    garbage[:, :, causal_index] = rng.integers(0, 2, size=(B, 1))
    lengths = rng.integers(1, T + 1, size=(B, 1))
    padding = np.arange(T) >= lengths  # [B, T]
    clean = np.where(padding[:, :, None], np.float32(0), garbage)
    garbage[padding] *= 1e3
    return clean, garbage, lengths


def _scales(model: CalibratedModel | OneClassSvms) -> tuple[NDArray[np.float32], NDArray[np.float32], int]:
    """Return (mean [F], 1 / deviation [F]) as the model knows them, and the feature that chooses the mode."""
    if isinstance(model, OneClassSvms):
        return model.mean[0].numpy(), model.scale[0].numpy(), model.causal_index
    encoding, config = model.model.encoding, model.model.config
    return encoding.mean.numpy(), encoding.scale.numpy(), config.causal_index


class _OnnxLstm(nn.Module):
    """`PaddedLstm` as the ONNX operator; runs in the exporter only."""

    w: Tensor
    r: Tensor
    b: Tensor

    def __init__(self, source: PaddedLstm) -> None:
        super().__init__()
        lstm = source.lstm
        self.hidden = lstm.hidden_size
        self.ends = ("l0", "l0_reverse") if lstm.bidirectional else ("l0",)
        for name, keys in {"w": ("weight_ih",), "r": ("weight_hh",), "b": ("bias_ih", "bias_hh")}.items():
            rows = [torch.cat([_iofc(getattr(lstm, f"{key}_{end}")) for key in keys]) for end in self.ends]
            self.register_buffer(name, torch.stack(rows))

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Return [B, T, D] for x [B, T, width] and lengths int64 [B, 1]."""
        B, T = x.shape[:2]
        y = torch.onnx.ops.symbolic(
            "LSTM",
            (x.transpose(0, 1), self.w, self.r, self.b, lengths.reshape(-1).to(torch.int32)),
            attrs={"hidden_size": self.hidden, "direction": "bidirectional" if len(self.ends) > 1 else "forward"},
            dtype=x.dtype,
            shape=(T, len(self.ends), B, self.hidden),
        )
        return y.permute(2, 0, 1, 3).flatten(2)  # [T, directions, B, H] -> [B, T, D]


def _keep_residual_apart(proto: onnx.ModelProto) -> None:
    """Make the addition before a LayerNormalization a Sum, which is the same but is not fused with it.

    onnxruntime fuses Add and LayerNormalization into SkipLayerNormalization, slower on CPU than the two of them (1.4 ms
    against 0.3 to 0.5 ms for 2,048 events at hidden 64).
    """
    normalised = {node.input[0] for node in proto.graph.node if node.op_type == "LayerNormalization"}
    for node in proto.graph.node:
        if node.op_type == "Add" and node.output[0] in normalised:
            node.op_type = "Sum"


def _iofc(weight: Tensor) -> Tensor:
    """Return torch's gates (input, forget, cell, output along axis 0) in the order of ONNX (i, o, f, c)."""
    i, f, c, o = weight.detach().chunk(4)
    return torch.cat([i, o, f, c])


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Silence warnings that say nothing about this model: torchvision is absent, torch calls its own old functions."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        logger.setLevel(level)
