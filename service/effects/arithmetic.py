"""The operators that make numbers of numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from service.effects.lstm import lstm, lstm_back
from service.effects.onnx_file import Array
from service.effects.operation import (
    WANTED,
    Attributes,
    Gradients,
    Inputs,
    Operator,
    Outputs,
    axes_of,
    from_end,
    of,
    shrunk_to,
    sigmoid,
)


def _smooth(function: Callable[..., Array], slope: Callable[[Array, Array], Array]) -> Operator:
    """Return an operator of one input x and one output y; ``slope`` (x, y) is dy/dx."""
    return Operator(lambda _at, x: (function(x),), lambda _at, inputs, y, g: [of(g) * slope(of(inputs), y[0])])


def _arithmetic(function: Callable[..., Array], slopes: Callable[[Array, Array], tuple[Any, Any]]) -> Operator:
    """Return an operator of two broadcast inputs a and b; ``slopes`` (a, b) are the slopes for them."""

    def back(at: Attributes, inputs: Inputs, _y: Outputs, g: Gradients) -> Gradients:
        pair = of(inputs), of(inputs, 1)
        each = zip(at[WANTED], slopes(*pair), pair, strict=True)
        return [shrunk_to(of(g) * slope, one) if wanted else None for wanted, slope, one in each]

    return Operator(lambda _at, a, b: (function(a, b),), back)


def _gemm(at: Attributes, x: Array, w: Array, b: Array) -> tuple[Array]:
    y = x @ (w.T if at.get("transB") else w)
    y += b
    return (y,)


def _gemm_back(at: Attributes, inputs: Inputs, _y: Outputs, g: Gradients) -> Gradients:
    w = of(inputs, 1)
    return [of(g) @ (w if at.get("transB") else w.T), None, None]


def _matmul_back(_at: Attributes, inputs: Inputs, _y: Outputs, g: Gradients) -> Gradients:
    a, b = of(inputs), of(inputs, 1)
    if b.ndim == 2:  # a matrix of weights, of which nobody asks
        return [of(g) @ b.T, None]
    return [of(g) @ b.swapaxes(-1, -2), a.swapaxes(-1, -2) @ of(g)]


def _clip(_at: Attributes, x: Array | None, low: Array | None = None, high: Array | None = None) -> tuple[Array]:
    return (np.clip(of([x]), low, high),)


def _clip_back(_at: Attributes, inputs: Inputs, y: Outputs, g: Gradients) -> Gradients:
    return [of(g) * (y[0] == inputs[0]), *(None for _ in inputs[1:])]  # faster than `np.where`


def _hard_sigmoid(at: Attributes, x: Array) -> tuple[Array]:
    y = x * np.float32(at["alpha"])
    y += np.float32(at["beta"])
    return (np.clip(y, 0, 1, out=y),)


def _hard_sigmoid_back(at: Attributes, _inputs: Inputs, y: Outputs, g: Gradients) -> Gradients:
    inside = y[0] > 0
    inside &= y[0] < 1
    slope = inside.astype(np.float32)
    slope *= np.float32(at["alpha"])
    return [of(g) * slope]


def _layer_norm(at: Attributes, x: Array, weight: Array, bias: Array) -> tuple[Array, ...]:
    centred = x - np.add.reduce(x, axis=-1, keepdims=True) / np.float32(x.shape[-1])
    variance = np.einsum("...i,...i", centred, centred)[..., None] / np.float32(x.shape[-1])
    deviation = np.sqrt(variance + np.float32(at["epsilon"]))
    normal = centred / deviation
    return normal * weight + bias, normal, deviation


def _layer_norm_back(_at: Attributes, inputs: Inputs, y: Outputs, g: Gradients) -> Gradients:
    _, normal, deviation = y
    scaled = of(g) * of(inputs, 1)
    along = np.einsum("...i,...i", scaled, normal)[..., None] / np.float32(normal.shape[-1])
    mean = np.add.reduce(scaled, axis=-1, keepdims=True) / np.float32(normal.shape[-1])
    return [(scaled - mean - normal * along) / deviation, None, None]


def _softmax(at: Attributes, x: Array) -> tuple[Array]:
    grown = np.exp(x - x.max(axis=at["axis"], keepdims=True))
    return (grown / grown.sum(axis=at["axis"], keepdims=True),)


def _softmax_back(at: Attributes, _inputs: Inputs, y: Outputs, g: Gradients) -> Gradients:
    weighted = of(g) * y[0]
    return [weighted - y[0] * weighted.sum(axis=from_end(at["axis"], y[0]), keepdims=True)]


def _reduce_sum(at: Attributes, x: Array, axes: Array | None = None) -> tuple[Array]:
    return (x.sum(axis=axes_of(axes), keepdims=bool(at.get("keepdims", 1))),)


def _reduce_sum_back(_at: Attributes, inputs: Inputs, _y: Outputs, g: Gradients) -> Gradients:
    x, axes = of(inputs), axes_of(inputs[1])
    kept = [1 if axis in axes or axis - x.ndim in axes else size for axis, size in enumerate(x.shape)]
    return [np.broadcast_to(of(g).reshape(-1, *kept), (len(of(g)), *x.shape)), None]


ARITHMETIC: dict[str, Operator] = {
    "Add": _arithmetic(np.add, lambda _a, _b: (1, 1)),
    "Sum": _arithmetic(np.add, lambda _a, _b: (1, 1)),
    "Sub": _arithmetic(np.subtract, lambda _a, _b: (1, -1)),
    "Mul": _arithmetic(np.multiply, lambda a, b: (b, a)),
    "Min": _arithmetic(np.minimum, lambda a, b: (a <= b, b < a)),
    "Max": _arithmetic(np.maximum, lambda a, b: (a >= b, b > a)),
    "Pow": _arithmetic(np.power, lambda a, b: (b * a ** (b - 1), 0)),
    "Exp": _smooth(np.exp, lambda _x, y: y),
    "Log": _smooth(np.log, lambda x, _y: 1 / x),
    "Relu": Operator(lambda _at, x: (np.maximum(x, 0),), lambda _at, inputs, _y, g: [of(g) * (of(inputs) > 0)]),
    "Sigmoid": _smooth(sigmoid, lambda _x, y: y * (1 - y)),
    "HardSigmoid": Operator(_hard_sigmoid, _hard_sigmoid_back),
    "Softmax": Operator(_softmax, _softmax_back),
    "LayerNormalization": Operator(_layer_norm, _layer_norm_back),
    "Clip": Operator(_clip, _clip_back),
    "Gemm": Operator(_gemm, _gemm_back),
    "MatMul": Operator(lambda _at, a, b: (a @ b,), _matmul_back),
    "LSTM": Operator(lstm, lstm_back),
    "ReduceSum": Operator(_reduce_sum, _reduce_sum_back),
}
