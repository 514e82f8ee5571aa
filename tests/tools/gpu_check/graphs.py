"""Other forms of the bundled graph: ``sequence_lens`` makes the LSTM of CUDA copy the lengths to the host each time."""

from __future__ import annotations

import copy

import numpy as np
import onnx
from onnx import helper, numpy_helper

from service.model.backend import INPUT_FEATURES, INPUT_LENGTHS, OUTPUT_PROBABILITIES

_WEIGHTS = ("w", "r", "b")  # inputs 1 to 3 of an LSTM, by direction on axis 0
_LENGTHS = 4  # the input ``sequence_lens``


def without_lengths(model: onnx.ModelProto, T: int, B: int) -> onnx.ModelProto:
    """Return the graph for exactly B windows of exactly T events: no ``sequence_lens``, all shapes known.

    It answers as the original as long as each window is full: the reverse direction would begin in the padding.
    """
    fixed = copy.deepcopy(model)
    for node in lstms(fixed):
        node.input[_LENGTHS] = ""
    sizes = {INPUT_FEATURES: (B, T), INPUT_LENGTHS: (B,), OUTPUT_PROBABILITIES: (B, T)}
    for tensor in (*fixed.graph.input, *fixed.graph.output):
        for dim, size in zip(tensor.type.tensor_type.shape.dim, sizes[tensor.name], strict=False):
            dim.dim_value = size
    return fixed


def masked(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the graph for windows of any lengths without ``sequence_lens``.

    Two forward LSTMs in the place of a bidirectional one: the second reads each window reversed within its length. What
    they make of the padding reaches nothing: it comes after the events, and the graph masks its own answers.
    """
    changed = copy.deepcopy(model)
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in changed.graph.initializer}
    nodes: list[onnx.NodeProto] = []
    for node in changed.graph.node:
        if node.op_type != "LSTM":
            nodes.append(node)
            continue
        made, constants = _two_forward(node, weights)
        nodes += made
        changed.graph.initializer.extend(constants)
    del changed.graph.node[:]
    changed.graph.node.extend(nodes)
    onnx.checker.check_model(changed)
    return changed


def lstms(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    """Return the LSTM nodes of a graph."""
    return [node for node in model.graph.node if node.op_type == "LSTM"]


def _two_forward(
    lstm: onnx.NodeProto, weights: dict[str, np.ndarray]
) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    """Return the nodes in the place of a bidirectional LSTM, X [T, B, H] to Y [T, 2, B, H], and their constants."""
    attributes = {a.name: helper.get_attribute_value(a) for a in lstm.attribute}
    if attributes.pop("direction") != b"bidirectional":
        raise ValueError(f"the LSTM {lstm.name} is not bidirectional")
    x, lengths, y = lstm.input[0], lstm.input[_LENGTHS], lstm.output[0]
    axis, name = f"{y}.axis", "{}.{}".format
    constants = [numpy_helper.from_array(np.array([1]), axis)]
    for part, source in zip(_WEIGHTS, lstm.input[1:_LENGTHS], strict=True):
        for half, direction in enumerate(("ahead", "back")):
            constants.append(numpy_helper.from_array(weights[source][half : half + 1], name(y, f"{direction}.{part}")))

    def run(source: str, direction: str) -> onnx.NodeProto:
        parts = [name(y, f"{direction}.{part}") for part in _WEIGHTS]
        return helper.make_node("LSTM", [source, *parts], [name(y, direction)], direction="forward", **attributes)

    def turn(source: str, target: str) -> onnx.NodeProto:
        return helper.make_node("ReverseSequence", [source, name(y, "long")], [target], time_axis=0, batch_axis=1)

    return [
        helper.make_node("Cast", [lengths], [name(y, "long")], to=onnx.TensorProto.INT64),
        run(x, "ahead"),  # [T, 1, B, H]
        turn(x, name(y, "turned")),
        run(name(y, "turned"), "back"),
        helper.make_node("Squeeze", [name(y, "back"), axis], [name(y, "flat")]),  # [T, B, H]
        turn(name(y, "flat"), name(y, "ordered")),
        helper.make_node("Unsqueeze", [name(y, "ordered"), axis], [name(y, "reverse")]),
        helper.make_node("Concat", [name(y, "ahead"), name(y, "reverse")], [y], axis=1),
    ], constants
