"""The operators that choose, cut, join and turn arrays, count and compare."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate, pairwise

import numpy as np

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
)

_CASTS: dict[int, type[np.generic]] = {1: np.float32, 6: np.int32, 7: np.int64, 9: np.bool_}
"""`TensorProto.DataType` of casts."""


def _plain(function: Callable[..., Array]) -> Operator:
    """Return an operator without attributes through which no gradient passes."""
    return Operator(lambda _at, *inputs: (function(*inputs),))


def _where(_at: Attributes, chosen: Array, a: Array, b: Array) -> tuple[Array]:
    return (np.where(chosen, a, b),)


def _where_back(at: Attributes, inputs: Inputs, _y: Outputs, g: Gradients) -> Gradients:
    chosen, a, b = (of(inputs, index) for index in range(3))
    _, of_a, of_b = at[WANTED]
    return [
        None,
        shrunk_to(of(g) * chosen, a) if of_a else None,
        shrunk_to(of(g) * ~chosen, b) if of_b else None,
    ]


def _concat_back(at: Attributes, inputs: Inputs, _y: Outputs, g: Gradients) -> Gradients:
    axis = from_end(at["axis"], of(inputs))
    parts = _cut(of(g), [of([one]).shape[axis] for one in inputs], axis)
    return [part if part.any() else None for part in parts]  # SVMs of the kinds that nobody asks about, for one


def _split(at: Attributes, x: Array, parts: Array | None = None) -> tuple[Array, ...]:
    if parts is None:
        return tuple(np.split(x, at["num_outputs"], axis=at["axis"]))
    return tuple(_cut(x, parts.tolist(), at["axis"]))


def _cut(x: Array, sizes: list[int], axis: int) -> list[Array]:
    """Return the parts of ``x`` along an axis; `np.split` takes longer for small ones."""
    before, ends = (slice(None),) * (axis % x.ndim), accumulate(sizes, initial=0)
    return [x[(*before, slice(begin, end))] for begin, end in pairwise(ends)]


def _split_back(at: Attributes, _inputs: Inputs, y: Outputs, g: Gradients) -> Gradients:
    K = next(len(each) for each in g if each is not None)
    parts = [np.zeros((K, *one.shape), one.dtype) if each is None else each for one, each in zip(y, g, strict=True)]
    return [np.concatenate(parts, axis=from_end(at["axis"], y[0])), None]


def _reshape(_at: Attributes, x: Array, shape: Array) -> tuple[Array]:
    return (x.reshape(shape.tolist()),)


def _reshaped_back(_at: Attributes, inputs: Inputs, _y: Outputs, g: Gradients) -> Gradients:
    return [of(g).reshape(-1, *of(inputs).shape), *(None for _ in inputs[1:])]


def _unsqueeze(_at: Attributes, x: Array, axes: Array) -> tuple[Array]:
    sizes, added = iter(x.shape), x.ndim + len(axes)
    new = {axis % added for axis in axes.tolist()}
    return (x.reshape([1 if axis in new else next(sizes) for axis in range(added)]),)


def _transpose_back(at: Attributes, _inputs: Inputs, _y: Outputs, g: Gradients) -> Gradients:
    return [of(g).transpose(0, *(np.argsort(at["perm"]) + 1))]


def _gather_nd(_at: Attributes, x: Array, index: Array) -> tuple[Array]:
    return (x[_places(index)],)


def _places(index: Array) -> tuple[Array, ...]:
    """Return the places along each axis that an index [.., axes] names."""
    return tuple(index[..., axis] for axis in range(index.shape[-1]))


def _gather_nd_back(_at: Attributes, inputs: Inputs, _y: Outputs, g: Gradients) -> Gradients:
    x, index = of(inputs), of(inputs, 1)
    gradients, places = np.zeros((len(of(g)), *x.shape), dtype=x.dtype), _places(index)
    if len(places) == 1 and len(np.unique(places[0])) == places[0].size:  # columns of features, each once
        gradients[:, *places] = of(g)
    else:
        for gradient, one in zip(gradients, of(g), strict=True):
            np.add.at(gradient, places, one)
    return [gradients, None]


def _shape(at: Attributes, x: Array) -> tuple[Array]:
    return (np.array(x.shape[at.get("start", 0) : at.get("end")], dtype=np.int64),)


def _slice(_at: Attributes, x: Array, *bounds: Array) -> tuple[Array]:
    starts, ends, axes, steps = (bound.tolist() for bound in bounds)
    cut = [slice(None)] * x.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        cut[axis] = slice(start, end, step)
    return (x[tuple(cut)],)


LAYOUT: dict[str, Operator] = {
    "Where": Operator(_where, _where_back),
    "Concat": Operator(lambda at, *x: (np.concatenate(x, axis=at["axis"]),), _concat_back),
    "Split": Operator(_split, _split_back),
    "Reshape": Operator(_reshape, _reshaped_back),
    "Unsqueeze": Operator(_unsqueeze, _reshaped_back),
    "Squeeze": Operator(lambda _at, x, axes=None: (np.squeeze(x, axes_of(axes) or None),), _reshaped_back),
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
