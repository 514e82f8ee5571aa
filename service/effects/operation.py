"""What an operator is: what it answers, and how gradients pass back through it: several at once, one after the other
along an axis of their own, the first.

Meanings are those of the ONNX specification (opset 20) as far as export uses them. There are a few dozen, in
`arithmetic` and `layout`: enough for every network that the settings of a training allow, with attention or without, of
one direction or two, of any layers, and for the one-class SVMs. Others are refused by `network.Network`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from service.effects.onnx_file import Array

Attributes = Mapping[str, Any]  # those of the graph, and WANTED
Inputs = Sequence[Array | None]  # None: left out
Outputs = Sequence[Array]  # those that the graph names, then what the way back needs
Gradients = Sequence[Array | None]  # [K, ..]; None: nothing depends on it

Back = Callable[[Attributes, Inputs, Outputs, Gradients], Gradients]


WANTED = "wanted"
"""Beside the attributes of a node, on the way back: whether it needs the gradient, for each input. It is costly to sum
up what a weight would get that nobody asks about."""


class Operator(NamedTuple):
    """What an operator answers, and the gradients of its inputs for those of its outputs; None if it has none."""

    forward: Callable[..., tuple[Array, ...]]  # (attributes, *inputs)
    back: Back | None = None


def of(values: Sequence[Array | None], index: int = 0) -> Array:
    """Return a value that is there."""
    value = values[index]
    assert value is not None  # noqa: S101 - the graph was checked when it was read
    return value


def sigmoid(x: Array) -> Array:
    """Return 1 / (1 + exp(-x)), which overflows for no x."""
    y: Array = 0.5 + 0.5 * np.tanh(0.5 * x)
    return y


def axes_of(axes: Array | None) -> tuple[int, ...]:
    """Return the axes that an input names; none if it is left out."""
    return () if axes is None else tuple(axes.tolist())


def shrunk_to(gradients: Array, like: Array) -> Array:
    """Return the gradients [K, ..] of a value that was broadcast to the shape of one of ``gradients``."""
    if gradients.shape[1:] == like.shape:
        return gradients
    added = gradients.ndim - like.ndim
    axes = (*range(1, added), *(added + axis for axis, size in enumerate(like.shape) if size == 1))
    found: Array = gradients.sum(axis=axes).reshape(len(gradients), *like.shape)
    return found


def from_end(axis: int, like: Array) -> int:
    """Return an axis of ``like`` counted from the end, which is that of its gradients."""
    return axis - like.ndim if axis >= 0 else axis
