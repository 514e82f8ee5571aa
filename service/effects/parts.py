"""The parts of a graph that a network is worked through in, there and back."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from service.effects.arithmetic import ARITHMETIC
from service.effects.layout import LAYOUT
from service.effects.onnx_file import Array, Node
from service.effects.operation import WANTED

OPERATORS = ARITHMETIC | LAYOUT

MIXING = {"LSTM", "Softmax"}
"""Operators that bring the events of a window together."""

ASKED = "asked"
"""The name of the further input that tells the last LSTM the one event of each window that is asked for."""

_INDEXED = {"Reshape", "Gather", "GatherND", "Slice", "Unsqueeze", "Squeeze", "Clip", "ReduceSum"}
"""Operators whose further inputs are shapes, places or bounds."""

_WHOLE = {"Shape", "Cast", "Range", "Greater", "GreaterOrEqual", "Less", "Not", "And", "Or"}
"""Operators that answer in whole numbers or with yes and no: their slope is 0."""

_AFFINE = {"Add", "Sum", "Sub", "Mul", "Gemm", "MatMul", "Where", "Reshape", "Unsqueeze", "Squeeze"}
"""Operators that make a + b * x of x, where their other inputs are no matter of x, and leave sequences in order."""


class Part:
    """The nodes that make the values ``results`` of the values ``sources``, and what those need beside."""

    def __init__(self, nodes: Sequence[Node], sources: Collection[str], results: Collection[str]) -> None:
        self.nodes = _needed(nodes, sources, results)
        self._forward = [OPERATORS[node.operator].forward for node in self.nodes]
        self.way = _on_the_way(self.nodes, sources, results)  # numbers of nodes
        self._sources = sources
        moved = {*sources, *(name for number in self.way for name in self.nodes[number].outputs)}
        wanted = {number: [name in moved for name in self.nodes[number].inputs] for number in self.way}
        self._wanted = {number: {**self.nodes[number].attributes, WANTED: one} for number, one in wanted.items()}

    def forward(self, values: Mapping[str, Array]) -> Pass:
        """Return a pass through the part, of values that have its sources."""
        known, kept = dict(values), []
        # Far out in a clipped branch an intermediate may overflow; infinite or not, it is clipped.
        with np.errstate(over="ignore", under="ignore"):
            for node, forward in zip(self.nodes, self._forward, strict=True):
                outputs = forward(node.attributes, *[known[name] if name else None for name in node.inputs])
                known.update(zip(filter(None, node.outputs), outputs, strict=False))
                kept.append(outputs)
        return Pass(self, known, kept)

    def back(self, through: Pass, gradients: Mapping[str, Array]) -> dict[str, Array]:
        """Return the gradient of each source that moves a result, for the ``gradients`` of the results."""
        found = dict(gradients)
        for number in reversed(self.way):
            node = self.nodes[number]
            given = [found.pop(name, None) for name in node.outputs]
            if all(one is None for one in given):
                continue
            back = OPERATORS[node.operator].back
            assert back is not None  # noqa: S101 - checked when the graph was read
            inputs = [through.values[name] if name else None for name in node.inputs]
            attributes = self._wanted[number]
            each = zip(
                node.inputs, attributes[WANTED], back(attributes, inputs, through.kept[number], given), strict=False
            )
            for name, wanted, one in each:
                if wanted and one is not None:
                    found[name] = found[name] + one if name in found else one
        return {name: found[name] for name in self._sources if name in found}


@dataclass(frozen=True, slots=True, eq=False)
class Pass:
    """One way through a part, which can be gone back several times."""

    part: Part
    values: dict[str, Array]
    kept: list[tuple[Array, ...]]  # outputs of each node, with what its way back needs

    def back(self, gradients: Mapping[str, Array]) -> dict[str, Array]:
        """Return `Part.back`."""
        return self.part.back(self, gradients)


def bends_of(nodes: Sequence[Node], source: str, result: str) -> frozenset[str]:
    """Return the last values that are affine in ``source``: all that it moves in ``result`` it moves through them."""
    moved, affine = {source}, {source}  # in any way, and affinely
    for node in nodes:
        by = [name for name in node.inputs if name in moved and node.operator != "Shape"]
        moved.update(node.outputs if by else ())
        if node.operator in _AFFINE and len(by) == 1 and by[0] in affine and by[0] in _through(node):
            affine.update(node.outputs)
    way = [nodes[number] for number in _on_the_way(nodes, {source}, {result})]
    bent = {name for node in way if affine.isdisjoint(node.outputs) for name in _through(node)}
    return frozenset(affine & (bent | {result}))


def cut(nodes: Sequence[Node], sources: Collection[str], result: str) -> tuple[Part, Part, str] | None:
    """Return the parts up to the last LSTM and behind it, and its answer; None if it does not come last.

    It comes last if all that moves ``result`` leads through it, and what is behind it brings no events together.
    """
    last = next((node for node in reversed(nodes) if node.operator in MIXING), None)
    if last is None or last.operator != "LSTM":
        return None
    memory = last.outputs[0]
    above = Part(nodes, {memory}, {result})
    around = _needed(nodes, {memory, *sources}, {result})
    if _on_the_way(around, sources, {result}):
        return None
    asked = replace(last, inputs=(*last.inputs, ASKED))
    return Part([asked if node is last else node for node in nodes], sources, {memory}), above, memory


def _needed(nodes: Sequence[Node], sources: Collection[str], results: Collection[str]) -> tuple[Node, ...]:
    """Return the nodes that ``results`` are made by, as far as they are not made before ``sources``, in their order."""
    wanted, found = {*results}.difference(sources), []
    for node in reversed(nodes):
        if wanted.intersection(node.outputs):
            found.append(node)
            wanted.update(set(node.inputs).difference(sources))
    return tuple(reversed(found))


def _on_the_way(nodes: Sequence[Node], sources: Iterable[str], results: Iterable[str]) -> list[int]:
    """Return the nodes through which ``sources`` change ``results``: not those that only choose, count or compare."""
    moved = {*sources}
    for node in nodes:
        if moved.intersection(_through(node)):
            moved.update(node.outputs)
    wanted, found = {*results}, []
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
