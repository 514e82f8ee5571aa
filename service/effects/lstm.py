"""The ONNX operator LSTM in numpy, and how a gradient passes back through it.

Axes: T steps, B sequences, D directions (forward, reverse), I inputs, H units. Gates are in the order of ONNX: input,
output, forget, cell. h = output * tanh(c), c = forget * c_before + input * cell (Hochreiter & Schmidhuber, 1997, with
the forget gate of Gers et al., 2000). Both directions go through one loop.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from service.effects.onnx_file import Array

_INPUT, _OUTPUT, _FORGET, _CELL = range(4)


def lstm(_attributes: Mapping[str, Any], x: Array, w: Array, r: Array, b: Array, lengths: Array) -> tuple[Array, ...]:
    """Return (y [T, D, B, H] with 0 in the padding, what `lstm_back` needs).

    For x [T, B, I], w [D, 4H, I], r [D, 4H, H], b [D, 8H] and lengths [B].
    """
    T, B, _ = x.shape
    D, H = r.shape[0], r.shape[2]
    turned = _turned(T, lengths)
    # sigmoid(v) = (1 + tanh(v / 2)) / 2: with halved weights, one tanh serves all four gates.
    half = np.repeat(np.array([0.5, 0.5, 0.5, 1], dtype=x.dtype), H)
    gates = np.empty((T, D, B, 4 * H), dtype=x.dtype)
    for direction in range(D):
        given = x if direction == 0 else _turn(x, turned)
        bias = (b[direction, : 4 * H] + b[direction, 4 * H :]) * half
        projected = given.reshape(T * B, -1) @ (w[direction].T * half)
        np.add(projected.reshape(T, B, -1), bias, out=gates[:, direction])
    recurrent = np.ascontiguousarray(r.transpose(0, 2, 1)) * half  # [D, H, 4H]: twice as fast in the loop
    cells = np.empty((T, D, B, H), dtype=x.dtype)
    bent, y = np.empty_like(cells), np.empty_like(cells)  # bent: tanh of the cells
    for t in range(T):
        z = gates[t]
        if t:
            z += y[t - 1] @ recurrent
        np.tanh(z, out=z)
        sigmoids, candidate = z[..., : 3 * H], z[..., 3 * H :]
        sigmoids += 1
        sigmoids *= 0.5
        np.multiply(z[..., :H], candidate, out=cells[t])
        if t:
            cells[t] += z[..., 2 * H : 3 * H] * cells[t - 1]
        np.tanh(cells[t], out=bent[t])
        np.multiply(z[..., H : 2 * H], bent[t], out=y[t])
    answer = y if turned is None else np.where(_real(T, lengths), y, 0)
    if D > 1:
        answer[:, 1] = _turn(answer[:, 1], turned).copy()
    return answer, gates, cells, bent


def lstm_back(
    _attributes: Mapping[str, Any],
    inputs: Sequence[Array | None],
    outputs: Sequence[Array],
    gradients: Sequence[Array | None],
) -> list[Array | None]:
    """Return the gradient of x [T, B, I], None for the weights, for that of y [T, D, B, H]."""
    _, w, r, _, lengths = inputs
    assert w is not None and r is not None and lengths is not None  # noqa: S101, PT018 - it went forward with them
    (gradient,), (_, gates, cells, bent) = gradients, outputs
    assert gradient is not None  # noqa: S101 - the way back leads through here
    if not gradient[:, 1:].any():  # causal sequences pass over the reverse direction
        w, r, gradient = w[:1], r[:1], gradient[:, :1]
        gates, cells, bent = (part[:, :1] for part in (gates, cells, bent))
    T, D, B, H = cells.shape
    turned = _turned(T, lengths)
    above = np.where(_real(T, lengths), gradient, 0)  # a new array: it is changed below
    if D > 1:
        above[:, 1] = _turn(above[:, 1], turned).copy()
    slopes = _slopes(gates, cells, bent)
    through = (1 - bent * bent) * gates[..., H : 2 * H]  # dh/dc
    z = np.empty((T, D, B, 4, H), dtype=cells.dtype)
    h, c = above[-1], np.zeros((D, B, H), dtype=cells.dtype)
    for t in range(T - 1, -1, -1):
        c += h * through[t]
        np.multiply(slopes[t], c[:, :, None], out=z[t])
        np.multiply(slopes[t, :, :, _OUTPUT], h, out=z[t, :, :, _OUTPUT])
        if t:
            c *= gates[t, ..., 2 * H : 3 * H]
            h = above[t - 1]
            h += z[t].reshape(D, B, 4 * H) @ r
    x = np.zeros((T, B, w.shape[2]), dtype=cells.dtype)
    for direction in range(D):
        found = (z[:, direction].reshape(T * B, 4 * H) @ w[direction]).reshape(T, B, -1)
        x += found if direction == 0 else _turn(found, turned)
    return [x, None, None, None, None]


def _slopes(gates: Array, cells: Array, bent: Array) -> Array:
    """Return [T, D, B, 4, H]: by how much c (of the output gate: h) rises with what each gate is made of."""
    T, D, B, H = cells.shape
    gate = gates.reshape(T, D, B, 4, H)
    slopes: Array = gate * (1 - gate)
    candidate = gate[:, :, :, _CELL]
    slopes[:, :, :, _CELL] = (1 - candidate * candidate) * gate[:, :, :, _INPUT]
    slopes[:, :, :, _INPUT] *= candidate
    slopes[:, :, :, _OUTPUT] *= bent
    slopes[1:, :, :, _FORGET] *= cells[:-1]
    slopes[0, :, :, _FORGET] = 0
    return slopes


def _real(T: int, lengths: Array) -> Array:
    """Return bool [T, 1, B, 1], False in the padding."""
    real: Array = np.arange(T)[:, None, None, None] < lengths[:, None]
    return real


def _turned(T: int, lengths: Array) -> Array | None:
    """Return the step [T, B] that each one changes places with in the reverse direction; None: all are full."""
    if (lengths == T).all():
        return None
    steps = np.arange(T)[:, None]
    found: Array = np.where(steps < lengths, lengths - 1 - steps, steps)
    return found


def _turn(x: Array, turned: Array | None) -> Array:
    """Return x [T, B, ..] with each sequence read from its end; twice is as it was."""
    if turned is None:
        return x[::-1]
    found: Array = np.take_along_axis(x, turned[:, :, None], axis=0)
    return found
