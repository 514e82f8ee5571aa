"""Models of every architecture that can be exported, with random weights, and their graph files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from export.to_onnx import export_onnx
from service.effects.network import Network, Trace
from service.effects.onnx_file import read_graph
from tests.support.processes import made_once
from training.network.lstm import CalibratedModel, EpcLstm, ModelConfig
from training.network.one_class_svm import Machine, OneClassSvms

F = 6
"""Features; the last one tells the mode."""

ARCHITECTURES = {
    "bilstm": ModelConfig(F, 8, pieces=7, attention=False),
    "attention": ModelConfig(F, 8, pieces=3),
    "two layers": ModelConfig(F, 8, layers=2),
    "lstm": ModelConfig(F, 8, bidirectional=False, attention=False),
    "three layers": ModelConfig(F, 6, layers=3),
}


@dataclass(frozen=True)
class Exported:
    """A model and what is read of its file."""

    torch: CalibratedModel | OneClassSvms
    path: Path
    network: Network

    def logits(self, features: Tensor, lengths: Tensor) -> Tensor:
        """Return the calibrated logits [B, T, 5] as torch says, in float64, so that it is the better of the two."""
        model = self.torch.double()
        mode = (features[:, 0, -1] > 0.5).long()
        raw = (
            model._logits(features, mode)
            if isinstance(model, OneClassSvms)
            else model.model(features, torch.clamp(lengths, max=features.shape[1]))
        )
        return model.a[mode].unsqueeze(1) * raw + model.b[mode].unsqueeze(1)


def exported(name: str, factory: pytest.TempPathFactory) -> Exported:
    """Return a model by the name of its architecture, or "svm", with weights of its own; tests only read its file."""
    torch.manual_seed(1)
    model = _svms() if name == "svm" else _network(ARCHITECTURES[name])
    file = f"{name}.onnx"
    path = made_once(factory, f"graph {name}", lambda folder: export_onnx(model, folder / file)) / file
    return Exported(model, path, Network(read_graph(path.read_bytes())))


def logits_of(network: Network, features: NDArray[np.float32], lengths: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return [B, T, 5] of all events, each asked for by itself; in the padding those of the last event."""
    (B, T, _), every = features.shape, np.arange(len(features)).repeat(features.shape[1])
    position = np.minimum(np.arange(T), lengths - 1).reshape(-1)
    found: NDArray[np.float32] = network.trace(features[every], lengths[every], position).logits.reshape(B, T, -1)
    return found


def gradient_of(trace: Trace, kind: NDArray[np.intp]) -> NDArray[np.float32]:
    """Return [B, T, F]: how the logit of one kind of each sequence changes with its features."""
    found: NDArray[np.float32] = trace.gradients(np.eye(5, dtype=np.float32)[None, kind])[0]
    return found


def some_input(seed: int, B: int, T: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return features [B, T, F] of both modes and lengths [B, 1]."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(B, T, F)).astype(np.float32)
    features[:, :, -1] = np.arange(B)[:, None] % 2
    lengths = rng.integers(1, T + 1, size=(B, 1))
    lengths[:2] = T
    return features, lengths


def _network(config: ModelConfig) -> CalibratedModel:
    bare = EpcLstm(config)
    with torch.no_grad():
        bare.encoding.mean.normal_()
        bare.encoding.scale.uniform_(0.5, 2.0)
    return CalibratedModel(bare.eval(), torch.rand(2, 5) + 0.5, torch.randn(2, 5)).eval()


def _svms() -> OneClassSvms:
    def machine(columns: list[int]) -> Machine:
        weights = torch.rand(2, 9).log()
        weights[0, :4] = weights[1, 4:] = -1e9  # vectors of one mode have no weight in the other
        return Machine(torch.tensor(columns), torch.randn(9, len(columns)), weights, torch.randn(2))

    machines = [machine(columns) for columns in ([0], [1, 3], [2, 3, 4], [4], [0, 5])]
    ceiling = torch.full((2, F), 8.0)
    ceiling[:, 3] = 0.2
    scales, platt = (torch.randn(2, F), torch.rand(2, F) + 0.5), (torch.rand(2, 5) + 0.5, torch.randn(2, 5))
    return OneClassSvms(*scales, machines, *platt, ceiling, causal_index=F - 1).eval()
