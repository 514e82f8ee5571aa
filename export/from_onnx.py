"""The network of a repository as torch again: what `to_onnx` wrote, read back, to go on training with.

Nothing is guessed: the exporter keeps the names of what it stores, an LSTM is stored in the order of ONNX, and a matrix
whose name it loses stands beside a bias that it keeps. What was read has to answer as the file does.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor

from export.to_onnx import ParityError, check_parity
from service.errors import ModelRepositoryError
from service.features.reference import Reference
from service.features.table import INDEX
from service.model.repository import Model
from training.finetuning.start import StartNetwork
from training.network.lstm import CalibratedModel, EpcLstm, ModelConfig
from training.runs.weights import weights_of_model

_CELLS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


def start_of_model(model: Model) -> StartNetwork:
    """Return the network of a repository.

    Raises:
        ModelRepositoryError: it is none that this project exported.
    """
    content = model.read_onnx()
    try:
        network = network_of(onnx.load_model_from_string(content))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.onnx"
            path.write_bytes(content)
            check_parity(network, path)
    except (KeyError, StopIteration, RuntimeError, ParityError) as error:
        raise ModelRepositoryError(
            f"{model.title} cannot be trained on: its graph is none that epc-sentinel export wrote ({error});"
            " give --from the run folder"
        ) from error
    return StartNetwork(weights_of_model(model), network, Reference.from_json(model.manifest.reference))


def network_of(proto: onnx.ModelProto) -> CalibratedModel:
    """Return the calibrated network of a graph.

    Raises:
        KeyError, StopIteration, RuntimeError: something is not there, or has another shape.
    """
    stored = {each.name: torch.from_numpy(numpy_helper.to_array(each).copy()) for each in proto.graph.initializer}
    features, pieces = stored["model.encoding.mean"].shape[0], stored.get("model.encoding.pieces.weight")
    ends, _, hidden = stored["model.recurrent.layers.0.r"].shape
    config = ModelConfig(
        features=features,
        hidden=hidden,
        layers=sum(name.startswith("model.recurrent.layers.") and name.endswith(".r") for name in stored),
        bidirectional=ends > 1,
        attention="model.attention.out.bias" in stored,
        pieces=0 if pieces is None else pieces.shape[0],
        causal_index=INDEX["causal"],
    )
    a, b = (_gathered(proto, stored, operator) for operator in ("Mul", "Add"))
    network = CalibratedModel(EpcLstm(config), a, b)
    weights = {name: _weight(name, proto, stored) for name in network.state_dict() if name not in {"a", "b"}}
    network.load_state_dict(weights | {"a": a, "b": b})
    return network.eval()


def _weight(name: str, proto: onnx.ModelProto, stored: dict[str, Tensor]) -> Tensor:
    if name in stored:
        return stored[name]
    if ".lstm." in name:
        return _of_lstm(name, stored)
    # A matrix product keeps its matrix transposed under a name of its own, and adds the bias of this name.
    bias = name.removesuffix("weight") + "bias"
    added = next(node for node in proto.graph.node if node.op_type == "Add" and bias in node.input)
    product = next(node for node in proto.graph.node if node.output[0] in added.input and node.op_type == "MatMul")
    return stored[product.input[1]].T.contiguous()


def _of_lstm(name: str, stored: dict[str, Tensor]) -> Tensor:
    layer, cell = name.split(".lstm.")
    end = int(cell.endswith("_reverse"))
    kind = next(kind for kind in _CELLS if cell.startswith(kind))
    if kind.startswith("weight"):
        return _ifco(stored[f"{layer}.{'w' if kind == 'weight_ih' else 'r'}"][end])
    both = stored[f"{layer}.b"][end].chunk(2)
    return _ifco(both[_CELLS.index(kind) - 2])


def _ifco(weight: Tensor) -> Tensor:
    """Return the gates of ONNX (input, output, forget, cell along axis 0) in the order of torch (i, f, c, o)."""
    i, o, f, c = weight.chunk(4)
    return torch.cat([i, f, c, o])


def _gathered(proto: onnx.ModelProto, stored: dict[str, Tensor], operator: str) -> Tensor:
    """Return what the mode chooses a row of [2, 5], which ``operator`` then applies to the logits."""
    maker = {output: node for node in proto.graph.node for output in node.output}
    for node in proto.graph.node:
        if node.op_type != operator:
            continue
        for name in node.input:
            widened = maker.get(name)
            if widened is None or widened.op_type != "Unsqueeze":
                continue
            gathered = maker.get(widened.input[0])
            if gathered is not None and gathered.op_type == "GatherND":
                return stored[gathered.input[0]]
    raise KeyError(f"no calibration ({operator})")
