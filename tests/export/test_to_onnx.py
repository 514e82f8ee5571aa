"""The exported file answers as torch does, and the gate refuses one that does not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor

from export.to_onnx import TOLERANCE, ParityError, check_parity, export_onnx
from tests.servers.triton.fixture import FEATURES
from training.network.lstm import CalibratedModel, EpcLstm, ModelConfig, PaddedLstm
from training.network.one_class_svm import Machine, OneClassSvms

F = 6


def calibrated(model: EpcLstm) -> CalibratedModel:
    return CalibratedModel(model.eval(), torch.rand(2, 5) + 0.5, torch.randn(2, 5)).eval()


@pytest.mark.parametrize(
    "config",
    [
        ModelConfig(F, 8),
        ModelConfig(F, 8, pieces=3),
        ModelConfig(F, 8, layers=2, attention=False),
        ModelConfig(F, 8, bidirectional=False, attention=False),
        ModelConfig(F, 5, layers=3),
        ModelConfig(F, 1),
    ],
    ids=str,
)
def test_export_equals_torch(config: ModelConfig, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = calibrated(EpcLstm(config))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    difference = export_onnx(model, tmp_path / "model.onnx")
    assert difference <= TOLERANCE
    assert [file.name for file in tmp_path.iterdir()] == ["model.onnx"], "one self-contained file"
    assert all(isinstance(layer, PaddedLstm) for layer in model.model.recurrent.layers), (
        "the caller's model is untouched"
    )
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_export_of_the_svms_equals_torch(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)

    def machine(columns: list[int]) -> Machine:
        vectors = torch.randn(9, len(columns), generator=generator)
        weights = torch.rand(2, 9, generator=generator).log()
        return Machine(torch.tensor(columns), vectors, weights, torch.zeros(2))

    machines = [machine(columns) for columns in ([0], [1, 3], [2, 3, 4], [4], [0, 5])]
    model = OneClassSvms(
        *(torch.randn(2, F), torch.rand(2, F) + 0.5, machines, torch.rand(2, 5), torch.randn(2, 5)),
        ceiling=torch.full((2, F), 1.5),
        causal_index=5,
    )
    assert export_onnx(model, tmp_path / "model.onnx") <= 1e-5
    assert b"site-packages" not in (tmp_path / "model.onnx").read_bytes()
    assert b".py" not in (tmp_path / "model.onnx").read_bytes(), "a path of the exporting machine"
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    described = {t.name: (t.type, t.shape) for t in (*session.get_inputs(), *session.get_outputs())}
    assert described == {
        "features": ("tensor(float)", ["batch", "time", F]),
        "lengths": ("tensor(int64)", ["batch", 1]),
        "probabilities": ("tensor(float)", ["batch", "time", 5]),
    }
    features = np.random.default_rng(0).normal(size=(3, 4, F)).astype(np.float32)
    (wild,) = session.run(None, {"features": features, "lengths": np.array([[99], [2], [-1]])})
    (tame,) = session.run(None, {"features": features, "lengths": np.array([[4], [2], [1]])})
    np.testing.assert_array_equal(wild, tame)
    model.b[1] += 0.01
    with pytest.raises(ParityError):
        check_parity(model, tmp_path / "model.onnx")


def test_tensors_have_the_names_types_and_axes_of_the_contract(small_repository: Path) -> None:
    path = small_repository / "epc_lstm" / "1" / "model.onnx"
    onnx.checker.check_model(path, full_check=True)
    session = onnxruntime.InferenceSession(path)
    described = {t.name: (t.type, t.shape) for t in (*session.get_inputs(), *session.get_outputs())}
    assert described == {
        "features": ("tensor(float)", ["batch", "time", len(FEATURES)]),
        "lengths": ("tensor(int64)", ["batch", 1]),
        "probabilities": ("tensor(float)", ["batch", "time", 5]),
    }


def test_an_impossible_length_does_not_fail_the_batch_it_is_in(small_repository: Path) -> None:
    session = onnxruntime.InferenceSession(small_repository / "epc_lstm" / "1" / "model.onnx")
    features = np.random.default_rng(0).normal(size=(3, 4, len(FEATURES))).astype(np.float32)
    (wild,) = session.run(None, {"features": features, "lengths": np.array([[99], [2], [-1]])})
    (tame,) = session.run(None, {"features": features, "lengths": np.array([[4], [2], [1]])})
    np.testing.assert_array_equal(wild, tame)


def test_onnxruntime_does_not_fuse_the_slow_operator(small_repository: Path, tmp_path: Path) -> None:
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    onnxruntime.InferenceSession(small_repository / "epc_lstm" / "1" / "model.onnx", options)
    operators = {node.op_type for node in onnx.load(tmp_path / "optimized.onnx").graph.node}
    assert "LayerNormalization" in operators
    assert "SkipLayerNormalization" not in operators


class Leaky(EpcLstm):
    """A model whose answers depend on the padding."""

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        return super().forward(features, lengths) + 0.1 * features.mean(dim=(1, 2), keepdim=True)


def test_gate_refuses_a_model_that_looks_at_its_padding(tmp_path: Path) -> None:
    with pytest.raises(ParityError, match=r"B=\d+, T=\d+, garbage in the padding: .* differs from torch by 0\.\d+"):
        export_onnx(calibrated(Leaky(ModelConfig(F, 8))), tmp_path / "model.onnx")


def test_gate_refuses_a_file_of_other_weights(tmp_path: Path) -> None:
    model = calibrated(EpcLstm(ModelConfig(F, 8)))
    export_onnx(model, tmp_path / "model.onnx")
    with torch.no_grad():
        model.model.head.bias[3] += 0.01
    with pytest.raises(ParityError, match="zeros in the padding"):
        check_parity(model, tmp_path / "model.onnx")
