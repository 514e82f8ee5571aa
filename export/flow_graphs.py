"""The network and the trees of flow forecasts as ONNX files, and the proof that they answer as what was trained.

The graphs are written node by node: the exporter of torch gives other bytes each time, and knows no LightGBM.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import onnx
import onnxruntime  # type: ignore[import-untyped]
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from export.to_onnx import ParityError
from service.flow.forecast.onnx_forecast import INPUT_WINDOW, OUTPUT_MEASURES
from service.flow.forecast.windows import FEATURES
from service.flow.series import MEASURES
from training.flow.methods.learners import Learners
from training.flow.methods.network import answers
from training.flow.methods.trees import columns_of, trees_answer

TOLERANCE = 1e-4
"""Largest allowed difference, in units of the spread of a series; rounding alone."""

_OPSETS = (helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3))
_IR_VERSION = 9

_Nodes = list[onnx.NodeProto]
_Weights = dict[str, NDArray[Any]]


def lstm_graph(learned: Learners) -> bytes:
    """Return the network as an ONNX file: window [batch, L, F] to measures [batch, 3].

    Raises:
        ParityError: the file answers otherwise.
    """
    state = {name: tensor.numpy() for name, tensor in learned.lstm.state_dict().items()}
    nodes: _Nodes = [helper.make_node("Transpose", [INPUT_WINDOW], ["days"], perm=[1, 0, 2])]  # [L, B, F]
    weights: _Weights = {"axis_1": np.array([1]), "axis_0": np.array([0])}
    _add_lstm(nodes, weights, state, "first", "days", ("all_1", ""))
    nodes.append(helper.make_node("Squeeze", ["all_1", "axis_1"], ["days_1"]))
    _add_lstm(nodes, weights, state, "second", "days_1", ("", "last"))
    nodes.append(helper.make_node("Squeeze", ["last", "axis_0"], ["hidden_0"]))
    for number in (1, 2, 3):
        name = f"dense_{number}"
        weights[f"{name}.w"], weights[f"{name}.b"] = state[f"{name}.weight"], state[f"{name}.bias"]
        out = OUTPUT_MEASURES if number == 3 else f"linear_{number}"
        inputs = [f"hidden_{number - 1}", f"{name}.w", f"{name}.b"]
        nodes.append(helper.make_node("Gemm", inputs, [out], transB=1))
        if number < 3:
            nodes.append(helper.make_node("Relu", [out], [f"hidden_{number}"]))
    content = _file("flow_lstm", nodes, weights, learned.length)
    _check(content, learned.length, lambda rows: answers(learned.lstm, rows))
    return content


def _add_lstm(  # noqa: PLR0913, PLR0917
    nodes: _Nodes, weights: _Weights, state: _Weights, name: str, given: str, out: tuple[str, str]
) -> None:
    """Add a layer; torch has the gates as input, forget, cell, output, ONNX as input, output, forget, cell."""

    def ordered(values: NDArray[Any]) -> NDArray[Any]:
        i, f, c, o = np.split(values, 4)
        return np.concatenate([i, o, f, c])[None]

    weights[f"{name}.w"] = ordered(state[f"{name}.weight_ih_l0"])
    weights[f"{name}.r"] = ordered(state[f"{name}.weight_hh_l0"])
    biases = [ordered(state[f"{name}.{bias}_l0"]) for bias in ("bias_ih", "bias_hh")]
    weights[f"{name}.b"] = np.concatenate(biases, axis=1)
    units = weights[f"{name}.r"].shape[2]
    inputs = [given, f"{name}.w", f"{name}.r", f"{name}.b"]
    nodes.append(helper.make_node("LSTM", inputs, list(out), hidden_size=units))


def trees_graph(learned: Learners) -> bytes:
    """Return the trees as an ONNX file with the same input and output.

    Raises:
        ParityError: the file answers otherwise.
    """
    nodes: _Nodes = [
        helper.make_node("Flatten", [INPUT_WINDOW], ["flat"]),
        helper.make_node("Gather", ["flat", "columns"], ["seen"], axis=1),
    ]
    for number, booster in enumerate(learned.trees):
        nodes.append(
            helper.make_node(
                "TreeEnsembleRegressor",
                ["seen"],
                [f"measure_{number}"],
                domain="ai.onnx.ml",
                n_targets=1,
                **cast(dict[str, Any], _tree_attributes(booster.dump_model()["tree_info"])),
            )
        )
    outputs = [f"measure_{number}" for number in range(len(learned.trees))]
    nodes.append(helper.make_node("Concat", outputs, [OUTPUT_MEASURES], axis=1))
    content = _file("flow_trees", nodes, {"columns": columns_of(learned.length)}, learned.length)
    _check(content, learned.length, lambda rows: trees_answer(learned.trees, rows))
    return content


def _tree_attributes(trees: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """Return the attributes of ONNX of LightGBM's trees: nodes in the order they are met, children by number."""
    names = (
        "treeids",
        "nodeids",
        "featureids",
        "modes",
        "values",
        "truenodeids",
        "falsenodeids",
        "missing_value_tracks_true",
    )
    found: dict[str, list[Any]] = {f"nodes_{name}": [] for name in names}
    targets: dict[str, list[Any]] = {f"target_{name}": [] for name in ("treeids", "nodeids", "ids", "weights")}

    def add(tree: int, node: dict[str, Any], number: int) -> int:
        """Add a node and all below it; return the next free number."""
        is_leaf = "leaf_value" in node
        at = len(found["nodes_treeids"])
        row = (tree, number, 0, "LEAF", 0.0, 0, 0, 0)
        if not is_leaf:
            # thresholds are rounded down to single precision: what was <= stays so
            limit = np.float32(node["threshold"])
            limit = np.nextafter(limit, np.float32(-np.inf)) if limit > node["threshold"] else limit
            row = (tree, number, node["split_feature"], "BRANCH_LEQ", float(limit), 0, 0, 0)
        for name, value in zip(found, row, strict=True):
            found[name].append(value)
        if is_leaf:
            for name, value in zip(targets, (tree, number, 0, float(node["leaf_value"])), strict=True):
                targets[name].append(value)
            return number + 1
        right = add(tree, node["left_child"], number + 1)
        found["nodes_truenodeids"][at], found["nodes_falsenodeids"][at] = number + 1, right
        return add(tree, node["right_child"], right)

    for tree, one in enumerate(trees):
        add(tree, one["tree_structure"], 0)
    return found | targets


def _file(name: str, nodes: _Nodes, weights: _Weights, length: int) -> bytes:
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info(INPUT_WINDOW, TensorProto.FLOAT, ["batch", length, len(FEATURES)])],
        [helper.make_tensor_value_info(OUTPUT_MEASURES, TensorProto.FLOAT, ["batch", len(MEASURES)])],
        [numpy_helper.from_array(np.ascontiguousarray(values), key) for key, values in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=_OPSETS, ir_version=_IR_VERSION, producer_name="epc-sentinel")
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def _check(content: bytes, length: int, expected: Any) -> None:  # noqa: ANN401 - rows to measures
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    rows = np.random.default_rng(0).normal(size=(64, length, len(FEATURES))).astype(np.float32)
    (found,) = session.run([OUTPUT_MEASURES], {INPUT_WINDOW: rows})
    worst = float(np.abs(found - expected(rows)).max())
    if not worst <= TOLERANCE:
        raise ParityError(f"the exported file differs by {worst:.2g} from what was trained, allowed is {TOLERANCE:.2g}")
