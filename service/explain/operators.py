"""The ONNX operators of the exported graphs in numpy: what they answer, and how a gradient passes back through them.

Meanings are those of the ONNX specification (opset 20) as far as export uses them. There are a few dozen: every network
that the settings of a training allow, with attention or without, of one direction or two, of any layers, and the
one-class SVMs. A graph with any other operator is refused by `network.Network`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from service.explain.lstm import lstm, lstm_back
from service.explain.onnx_file import Array

Attributes = Mapping[str, Any]
Inputs = Sequence[Array | None]  # None: left out
Outputs = Sequence[Array]  # those that the graph names, then what the way back needs
Gradients = Sequence[Array | None]  # None: nothing depends on it

Back = Callable[[Attributes, Inputs, Outputs, Gradients], Gradients]


class Operator(NamedTuple):
    """What an operator answers, and the gradients of its inputs for those of its outputs; None if it has none."""

    forward: Callable[..., tuple[Array, ...]]  # (attributes, *inputs)
    back: Back | None = None


_CASTS: dict[int, type[np.generic]] = {1: np.float32, 6: np.int32, 7: np.int64, 9: np.bool_}
"""`TensorProto.DataType` of casts."""


def _shrunk(gradient: Array, like: Array) -> Array:
    """Return the gradient of a value that was broadcast to the shape of ``gradient``."""
    if gradient.shape == like.shape:
        return gradient
    added = gradient.ndim - like.ndim
    axes = (*range(added), *(added + axis for axis, size in enumerate(like.shape) if size == 1))
    shrunk: Array = gradient.sum(axis=axes).reshape(like.shape)
    return shrunk


def _plain(function: Callable[..., Array]) -> Operator:
    """Return an operator without attributes through which no gradient passes."""
    return Operator(lambda _at, *inputs: (function(*inputs),))


def _smooth(function: Callable[..., Array], slope: Callable[[Array, Array], Array]) -> Operator:
    """Return an operator of one input x and one output y; ``slope`` (x, y) is dy/dx."""
    return Operator(lambda _at, x: (function(x),), lambda _at, inputs, y, g: [_of(g) * slope(_of(inputs), y[0])])


def _of(values: Sequence[Array | None], index: int = 0) -> Array:
    """Return a value that is there."""
    value = values[index]
    assert value is not None  # noqa: S101 - the graph was checked when it was read
    return value


def sigmoid(x: Array) -> Array:
    """Return 1 / (1 + exp(-x)), which overflows for no x."""
    y: Array = 0.5 + 0.5 * np.tanh(0.5 * x)
    return y


def _arithmetic(function: Callable[..., Array], slopes: Callable[[Array, Array], tuple[Any, Any]]) -> Operator:
    """Return an operator of two broadcast inputs a and b; ``slopes`` (a, b) are the slopes for them."""

    def back(_at: Attributes, inputs: Inputs, _y: Outputs, g: Gradients) -> Gradients:
        pair = _of(inputs), _of(inputs, 1)
        return [_shrunk(_of(g) * slope, one) for slope, one in zip(slopes(*pair), pair, strict=True)]

    return Operator(lambda _at, a, b: (function(a, b),), back)


def _gemm(at: Attributes, x: Array, w: Array, b: Array) -> tuple[Array]:
    return (x @ (w.T if at.get("transB") else w) + b,)


def _gemm_back(at: Attributes, inputs: Inputs, _y: Outputs, g: Gradients) -> Gradients:
    w = _of(inputs, 1)
    return [_of(g) @ (w if at.get("transB") else w.T), None, None]


def _matmul_back(_at: Attributes, inputs: Inputs, _y: Outputs, g: Gradients) -> Gradients:
    a, b = _of(inputs), _of(inputs, 1)
    if b.ndim == 2:  # a matrix of weights, of which nobody asks
        return [_of(g) @ b.T, None]
    return [_of(g) @ b.swapaxes(-1, -2), a.swapaxes(-1, -2) @ _of(g)]


def _clip(_at: Attributes, x: Array | None, low: Array | None = None, high: Array | None = None) -> tuple[Array]:
    return (np.clip(_of([x]), low, high),)


def _clip_back(_at: Attributes, inputs: Inputs, _y: Outputs, g: Gradients) -> Gradients:
    (clipped,) = _clip(_at, *inputs)
    return [np.where(clipped == inputs[0], _of(g), 0), *(None for _ in inputs[1:])]


def _hard_sigmoid(at: Attributes, x: Array) -> tuple[Array]:
    y = x * np.float32(at["alpha"])
    y += np.float32(at["beta"])
    return (np.clip(y, 0, 1, out=y),)


def _hard_sigmoid_back(at: Attributes, _inputs: Inputs, y: Outputs, g: Gradients) -> Gradients:
    return [np.where((y[0] > 0) & (y[0] < 1), _of(g) * np.float32(at["alpha"]), 0)]


def _where(_at: Attributes, chosen: Array, a: Array, b: Array) -> tuple[Array]:
    return (np.where(chosen, a, b),)


def _where_back(_at: Attributes, inputs: Inputs, _y: Outputs, g: Gradients) -> Gradients:
    chosen, a, b = (_of(inputs, index) for index in range(3))
    gradient = _of(g)
    return [None, _shrunk(np.where(chosen, gradient, 0), a), _shrunk(np.where(chosen, 0, gradient), b)]


def _concat_back(at: Attributes, inputs: Inputs, _y: Outputs, g: Gradients) -> Gradients:
    ends = np.cumsum([_of([one]).shape[at["axis"]] for one in inputs])[:-1]
    return list(np.split(_of(g), ends, axis=at["axis"]))


def _split(at: Attributes, x: Array, parts: Array | None = None) -> tuple[Array, ...]:
    cut = at["num_outputs"] if parts is None else np.cumsum(parts)[:-1]
    return tuple(np.split(x, cut, axis=at["axis"]))


def _split_back(at: Attributes, _inputs: Inputs, y: Outputs, g: Gradients) -> Gradients:
    parts = [np.zeros_like(one) if each is None else each for one, each in zip(y, g, strict=True)]
    return [np.concatenate(parts, axis=at["axis"]), None]


def _layer_norm(at: Attributes, x: Array, weight: Array, bias: Array) -> tuple[Array, ...]:
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = np.einsum("...i,...i", centred, centred)[..., None] / np.float32(x.shape[-1])
    deviation = np.sqrt(variance + np.float32(at["epsilon"]))
    normal = centred / deviation
    return normal * weight + bias, normal, deviation


def _layer_norm_back(_at: Attributes, inputs: Inputs, y: Outputs, g: Gradients) -> Gradients:
    _, normal, deviation = y
    scaled = _of(g) * _of(inputs, 1)
    along = np.einsum("...i,...i", scaled, normal)[..., None] / np.float32(normal.shape[-1])
    return [(scaled - scaled.mean(axis=-1, keepdims=True) - normal * along) / deviation, None, None]


def _softmax(at: Attributes, x: Array) -> tuple[Array]:
    grown = np.exp(x - x.max(axis=at["axis"], keepdims=True))
    return (grown / grown.sum(axis=at["axis"], keepdims=True),)


def _softmax_back(at: Attributes, _inputs: Inputs, y: Outputs, g: Gradients) -> Gradients:
    weighted = _of(g) * y[0]
    return [weighted - y[0] * weighted.sum(axis=at["axis"], keepdims=True)]


def _axes(axes: Array | None) -> tuple[int, ...]:
    return () if axes is None else tuple(axes.tolist())


def _reduce_sum(at: Attributes, x: Array, axes: Array | None = None) -> tuple[Array]:
    return (x.sum(axis=_axes(axes), keepdims=bool(at.get("keepdims", 1))),)


def _reduce_sum_back(_at: Attributes, inputs: Inputs, _y: Outputs, g: Gradients) -> Gradients:
    x, axes = _of(inputs), _axes(inputs[1])
    kept = [1 if axis in axes or axis - x.ndim in axes else size for axis, size in enumerate(x.shape)]
    return [np.broadcast_to(_of(g).reshape(kept), x.shape), None]


def _reshape(_at: Attributes, x: Array, shape: Array) -> tuple[Array]:
    return (x.reshape(shape.tolist()),)


def _reshaped_back(_at: Attributes, inputs: Inputs, _y: Outputs, g: Gradients) -> Gradients:
    return [_of(g).reshape(_of(inputs).shape), *(None for _ in inputs[1:])]


def _transpose_back(at: Attributes, _inputs: Inputs, _y: Outputs, g: Gradients) -> Gradients:
    return [_of(g).transpose(np.argsort(at["perm"]))]


def _gather_nd(_at: Attributes, x: Array, index: Array) -> tuple[Array]:
    return (x[tuple(np.moveaxis(index, -1, 0))],)


def _gather_nd_back(_at: Attributes, inputs: Inputs, _y: Outputs, g: Gradients) -> Gradients:
    x, index = _of(inputs), _of(inputs, 1)
    gradient, places = np.zeros_like(x), tuple(np.moveaxis(index, -1, 0))
    if len(places) == 1 and len(np.unique(places[0])) == places[0].size:  # columns of features, each once
        gradient[places] = _of(g)
    else:
        np.add.at(gradient, places, _of(g))
    return [gradient, None]


def _shape(at: Attributes, x: Array) -> tuple[Array]:
    return (np.array(x.shape[at.get("start", 0) : at.get("end")], dtype=np.int64),)


def _slice(_at: Attributes, x: Array, *bounds: Array) -> tuple[Array]:
    starts, ends, axes, steps = (bound.tolist() for bound in bounds)
    cut = [slice(None)] * x.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        cut[axis] = slice(start, end, step)
    return (x[tuple(cut)],)


OPERATORS: dict[str, Operator] = {
    "Add": _arithmetic(np.add, lambda _a, _b: (1, 1)),
    "Sum": _arithmetic(np.add, lambda _a, _b: (1, 1)),
    "Sub": _arithmetic(np.subtract, lambda _a, _b: (1, -1)),
    "Mul": _arithmetic(np.multiply, lambda a, b: (b, a)),
    "Min": _arithmetic(np.minimum, lambda a, b: (a <= b, b < a)),
    "Max": _arithmetic(np.maximum, lambda a, b: (a >= b, b > a)),
    "Pow": _arithmetic(np.power, lambda a, b: (b * a ** (b - 1), 0)),
    "Exp": _smooth(np.exp, lambda _x, y: y),
    "Log": _smooth(np.log, lambda x, _y: 1 / x),
    "Relu": Operator(
        lambda _at, x: (np.maximum(x, 0),), lambda _at, inputs, _y, g: [np.where(_of(inputs) > 0, _of(g), 0)]
    ),
    "Sigmoid": _smooth(sigmoid, lambda _x, y: y * (1 - y)),
    "HardSigmoid": Operator(_hard_sigmoid, _hard_sigmoid_back),
    "Softmax": Operator(_softmax, _softmax_back),
    "LayerNormalization": Operator(_layer_norm, _layer_norm_back),
    "Clip": Operator(_clip, _clip_back),
    "Gemm": Operator(_gemm, _gemm_back),
    "MatMul": Operator(lambda _at, a, b: (a @ b,), _matmul_back),
    "LSTM": Operator(lstm, lstm_back),
    "Where": Operator(_where, _where_back),
    "Concat": Operator(lambda at, *x: (np.concatenate(x, axis=at["axis"]),), _concat_back),
    "Split": Operator(_split, _split_back),
    "ReduceSum": Operator(_reduce_sum, _reduce_sum_back),
    "Reshape": Operator(_reshape, _reshaped_back),
    "Unsqueeze": Operator(lambda _at, x, axes: (np.expand_dims(x, _axes(axes)),), _reshaped_back),
    "Squeeze": Operator(lambda _at, x, axes=None: (np.squeeze(x, _axes(axes) or None),), _reshaped_back),
    "Transpose": Operator(lambda at, x: (x.transpose(at["perm"]),), _transpose_back),
    "GatherND": Operator(_gather_nd, _gather_nd_back),
    "Gather": Operator(lambda at, x, index: (np.take(x, index, axis=at.get("axis", 0)),)),
    "Shape": Operator(_shape),
    "Slice": Operator(_slice),
    "Cast": Operator(lambda at, x: (x.astype(_CASTS[at["to"]]),)),
    "Range": _plain(np.arange),
    "Greater": _plain(np.greater),
    "GreaterOrEqual": _plain(np.greater_equal),
    "Less": _plain(np.less),
    "Not": _plain(np.logical_not),
    "And": _plain(np.logical_and),
    "Or": _plain(np.logical_or),
}
