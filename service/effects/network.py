"""An exported model in numpy: what it says, and how its logits change with the features.

The gateway runs models with onnxruntime or on a model server, which give no gradients. Here the graph of the same file
is worked through node by node, and back (reverse accumulation): exact gradients without torch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.effects.arithmetic import ARITHMETIC
from service.effects.layout import LAYOUT
from service.effects.onnx_file import Array, Graph, Node, read_graph
from service.effects.operation import sigmoid
from service.errors import EffectsUnavailable
from service.model.backend import INPUT_FEATURES, INPUT_LENGTHS, OUTPUT_PROBABILITIES, PROBE_TOLERANCE
from service.model.manifest import Manifest

OPERATORS = ARITHMETIC | LAYOUT

_INDEXED = {"Reshape", "Gather", "GatherND", "Slice", "Unsqueeze", "Squeeze", "Clip", "ReduceSum"}
"""Operators whose further inputs are shapes, places or bounds."""

_WHOLE = {"Shape", "Cast", "Range", "Greater", "GreaterOrEqual", "Less", "Not", "And", "Or"}
"""Operators that answer in whole numbers or with yes and no: their slope is 0."""

_MIXING = {"LSTM", "Softmax"}
"""Operators that bring the events of a window together."""

_GRAPH_ERRORS = (TypeError, ValueError, LookupError, AttributeError)
"""What a graph raises whose operators are known and used in a way that they are not known in."""


class Network:
    """A graph that can be asked for its calibrated logits and their gradients."""

    def __init__(self, graph: Graph) -> None:
        """Take a graph of export.

        Raises:
            EffectsUnavailable: it has an operator that is not known here, or does not end as export lets graphs end.
        """
        if unknown := sorted({node.operator for node in graph.nodes} - OPERATORS.keys()):
            raise EffectsUnavailable(f"its graph has the operators {', '.join(unknown)}, which are not known here")
        self._constants = graph.constants
        self._logits = _logits_of(graph)
        self._nodes = _needed(graph, self._logits)
        self.by_event = _MIXING.isdisjoint(node.operator for node in self._nodes)
        """Whether each event is judged by itself, whatever else is in its window."""
        self._way = _on_the_way(self._nodes, INPUT_FEATURES, self._logits)
        passed = {self._nodes[number].operator for number in self._way}
        if blocked := sorted(name for name in passed if OPERATORS[name].back is None):
            raise EffectsUnavailable(f"no gradient passes back through {', '.join(blocked)} in its graph")

    @classmethod
    def read(cls, onnx: bytes, manifest: Manifest) -> Network:
        """Return the network of a model file, proven to answer the probe of its manifest as every backend does.

        Raises:
            EffectsUnavailable: the file is not understood here, or is understood otherwise than by the backend.
        """
        network = cls(read_graph(onnx))
        golden = manifest.probe
        expected = np.array(golden.probabilities, dtype=np.float32)
        features, lengths = np.array(golden.features, dtype=np.float32), np.array(golden.lengths, dtype=np.int64)
        try:
            found = sigmoid(network.trace(features, lengths).logits)
        except _GRAPH_ERRORS as error:
            raise EffectsUnavailable("its graph uses an operator in a way that is not known here") from error
        found[np.arange(features.shape[1]) >= lengths] = 0  # of the padding, as the graph itself answers
        difference = float(np.abs(found - expected).max()) if found.shape == expected.shape else np.inf
        if not difference <= PROBE_TOLERANCE:
            raise EffectsUnavailable(
                f"its answer to the probe, worked out here, differs by {difference:.2g} from that of the backend"
            )
        return network

    def trace(self, features: NDArray[np.float32], lengths: NDArray[np.int64]) -> Trace:
        """Return what the network says of features [B, T, F] with lengths [B, 1]."""
        values: dict[str, Array] = {**self._constants, INPUT_FEATURES: features, INPUT_LENGTHS: lengths}
        kept: list[tuple[Array, ...]] = []
        # Far out in a clipped branch an intermediate may overflow; infinite or not, it is clipped.
        with np.errstate(over="ignore", under="ignore"):
            for node in self._nodes:
                inputs = [values[name] if name else None for name in node.inputs]
                outputs = OPERATORS[node.operator].forward(node.attributes, *inputs)
                values.update(zip(filter(None, node.outputs), outputs, strict=False))
                kept.append(outputs)
        return Trace(self, values, kept, values[self._logits])

    def gradient(self, trace: Trace, seed: Array) -> Array:
        """Return the gradient [B, T, F] of the sum of ``seed`` * logits [B, T, 5]; see `Trace.gradient`."""
        gradients: dict[str, Array] = {self._logits: seed}
        for number in reversed(self._way):
            node = self._nodes[number]
            given = [gradients.pop(name, None) for name in node.outputs]
            if all(one is None for one in given):
                continue
            back = OPERATORS[node.operator].back
            assert back is not None  # noqa: S101 - checked when the graph was read
            inputs = [trace.values[name] if name else None for name in node.inputs]
            found = back(node.attributes, inputs, trace.kept[number], given)
            for name, one in zip(node.inputs, found, strict=False):
                if one is not None and name not in self._constants:
                    gradients[name] = gradients[name] + one if name in gradients else one
        reached = gradients.get(INPUT_FEATURES)
        return np.zeros_like(trace.values[INPUT_FEATURES]) if reached is None else reached


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """A network's way through B sequences, which can be gone back several times."""

    network: Network
    values: dict[str, Array]
    kept: list[tuple[Array, ...]]  # outputs of each node, with what its way back needs
    logits: Array  # [B, T, 5] calibrated: probability = sigmoid(logit)

    def gradient(self, position: NDArray[np.intp], kind: NDArray[np.intp]) -> Array:
        """Return [B, T, F]: how the calibrated logit of one event and kind of each sequence changes with its features.

        For position [B] in 0 .. T - 1 and kind [B] in 0 .. 4.
        """
        seed = np.zeros_like(self.logits)
        seed[np.arange(len(seed)), position, kind] = 1
        return self.network.gradient(self, seed)


def _logits_of(graph: Graph) -> str:
    """Return the name of the calibrated logits: what the sigmoid before the last choice (0 in the padding) takes."""
    made = {name: node for node in graph.nodes for name in node.outputs}
    last = made.get(OUTPUT_PROBABILITIES)
    before = made.get(last.inputs[1]) if last is not None and last.operator == "Where" else None
    if before is None or before.operator != "Sigmoid":
        raise EffectsUnavailable("its graph does not end with a sigmoid and the choice of the padding")
    return before.inputs[0]


def _needed(graph: Graph, result: str) -> tuple[Node, ...]:
    """Return the nodes that ``result`` is made by, in their order."""
    wanted, found = {result}, []
    for node in reversed(graph.nodes):
        if wanted.intersection(node.outputs):
            found.append(node)
            wanted.update(node.inputs)
    return tuple(reversed(found))


def _on_the_way(nodes: tuple[Node, ...], source: str, result: str) -> list[int]:
    """Return the nodes through which ``source`` changes ``result``: not those that only choose, count or compare."""
    moved = {source}
    for node in nodes:
        if moved.intersection(_through(node)):
            moved.update(node.outputs)
    wanted, found = {result}, []
    for number in range(len(nodes) - 1, -1, -1):
        if wanted.intersection(nodes[number].outputs) and moved.intersection(_through(nodes[number])):
            found.append(number)
            wanted.update(moved.intersection(_through(nodes[number])))
    return found[::-1]


def _through(node: Node) -> tuple[str, ...]:
    """Return the inputs with which the outputs of a node change gradually."""
    if node.operator in _WHOLE:
        return ()
    if node.operator == "Where":  # its first input chooses
        return node.inputs[1:]
    return node.inputs[:1] if node.operator in _INDEXED else node.inputs
