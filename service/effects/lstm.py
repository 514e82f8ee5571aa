"""The ONNX operator LSTM in numpy, and how a gradient passes back through it.

Axes: T steps, B sequences, D directions (forward, reverse), I inputs, H units. Gates are in the order of ONNX: input,
output, forget, cell. h = output * tanh(c), c = forget * c_before + input * cell (Hochreiter & Schmidhuber, 1997, with
the forget gate of Gers et al., 2000). Each direction reads S of the T steps: those up to the last one that is asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from service.effects.onnx_file import Array

_INPUT, _OUTPUT, _FORGET, _CELL = range(4)


def lstm(  # noqa: PLR0913, PLR0917 - the inputs of the operator
    _attributes: Mapping[str, Any],
    x: Array,
    w: Array,
    r: Array,
    b: Array,
    lengths: Array,
    asked: Array | None = None,
) -> tuple[Array, ...]:
    """Return (y [T, D, B, H] with 0 in the padding, what `lstm_back` needs).

    For x [T, B, I], w [D, 4H, I], r [D, 4H, H], b [D, 8H] and lengths [B]. With ``asked`` [B], a step of each sequence,
    y [1, D, B, H] is of that step alone.
    """
    (T, B, _), (D, _, H) = x.shape, r.shape
    turned = _turned(T, lengths)
    y = np.zeros((T if asked is None else 1, D, B, H), dtype=x.dtype)
    kept: list[Array] = []
    for direction in range(D):
        given = _turn(x, turned) if direction else x
        last = _last(T, lengths, asked, direction)
        read = _read(given[: last.max(initial=0) + 1], w[direction], r[direction], b[direction])
        if asked is None:
            said = read[0].transpose(0, 2, 1)
            np.copyto(y[:, direction], _turn(said, turned) if direction else said, where=_real(T, lengths))
        else:
            y[0, direction] = read[0][last, :, np.arange(B)]
        kept += read[1:]
    return y, *kept


def _read(x: Array, w: Array, r: Array, b: Array) -> tuple[Array, Array, Array, Array]:
    """Return (y [S, H, B], gates [S, 4H, B], cells [S, H, B], tanh of the cells) of x [S, B, I] in one direction.

    Sequences come last: so each gate lies in one piece, and weights are used as they are stored.
    """
    (S, B, _), H = x.shape, r.shape[1]
    # sigmoid(v) = (1 + tanh(v / 2)) / 2: with halved weights, one tanh serves all four gates.
    half = np.repeat(np.array([0.5, 0.5, 0.5, 1], dtype=x.dtype), H)[:, None]
    gates: Array = (w * half) @ x.transpose(0, 2, 1)
    gates += (b[: 4 * H] + b[4 * H :])[:, None] * half
    recurrent = r * half
    cells = np.empty((S, H, B), dtype=x.dtype)
    bent, y = np.empty_like(cells), np.empty_like(cells)
    remembered, more = np.empty((H, B), dtype=x.dtype), np.empty((4 * H, B), dtype=x.dtype)
    for t in range(S):
        z, cell = gates[t], cells[t]
        if t:
            z += np.matmul(recurrent, y[t - 1], out=more)
        np.tanh(z, out=z)
        sigmoids, candidate = z[: 3 * H], z[3 * H :]
        sigmoids += 1
        sigmoids *= 0.5
        np.multiply(z[:H], candidate, out=cell)
        if t:
            cell += np.multiply(z[2 * H : 3 * H], cells[t - 1], out=remembered)
        np.tanh(cell, out=bent[t])
        np.multiply(z[H : 2 * H], bent[t], out=y[t])
    return y, gates, cells, bent


def lstm_back(
    _attributes: Mapping[str, Any],
    inputs: Sequence[Array | None],
    outputs: Sequence[Array],
    gradients: Sequence[Array | None],
) -> list[Array | None]:
    """Return the gradients [K, T, B, I] of x, None for the weights, for those of y, each of which is as `lstm` answers.

    They are those of K * B sequences, of which each B went the same way.
    """
    x, w, r, _, lengths, *further = inputs
    (given,), asked = gradients, further[0] if further else None
    assert x is not None and w is not None and r is not None and lengths is not None  # noqa: S101, PT018 - it went forward with them
    assert given is not None  # noqa: S101 - the way back leads through here
    (T, B, _), (D, _, H), K = x.shape, r.shape, len(given)
    gradient = given.transpose(1, 2, 0, 3, 4).reshape(-1, D, K * B, H)
    lengths, asked = np.tile(lengths, K), asked if asked is None else np.tile(asked, K)
    turned, found = _turned(T, lengths), np.zeros((T, K * B, x.shape[2]), dtype=x.dtype)
    for direction in range(D):
        above = gradient[:, direction]
        if not above.any():  # causal sequences pass over the reverse direction
            continue
        gates, cells, bent = outputs[1 + 3 * direction : 4 + 3 * direction]
        if asked is None:
            above = np.where(_real(T, lengths), above, 0)
            above = np.ascontiguousarray((_turn(above, turned) if direction else above).transpose(0, 2, 1))
        else:
            last = _last(T, lengths, asked, direction)
            above, answer = np.zeros((len(cells), H, K * B), dtype=x.dtype), above[0]
            above[last, :, np.arange(K * B)] = answer
        read = _read_back(above, w[direction], r[direction], (gates, cells, bent))
        if direction and turned is not None:
            rest = np.zeros((T - len(read), *read.shape[1:]), dtype=read.dtype)
            found += _turn(np.concatenate([read, rest]), turned)
        else:
            (found[::-1] if direction else found)[: len(read)] += read
    return [found.reshape(T, K, B, -1).transpose(1, 0, 2, 3), *(None for _ in inputs[1:])]


def _read_back(above: Array, w: Array, r: Array, kept: tuple[Array, Array, Array]) -> Array:
    """Return the gradients of x [S, K * B, I] for those of y, ``above`` [S, H, K * B]; ``kept`` is of `_read`."""
    gates, cells, bent = (one[:, :, None] for one in kept)
    S, H, _, B = cells.shape
    slopes = _slopes(*kept)[:, :, :, None]
    through = 1 - bent * bent
    through *= gates[:, H : 2 * H]  # dh/dc
    h = above.reshape(S, H, -1, B)
    K = h.shape[2]
    z, c = np.empty((S, 4, H, K, B), dtype=h.dtype), np.zeros((H, K, B), dtype=h.dtype)
    for t in range(S - 1, -1, -1):
        c += h[t] * through[t]
        np.multiply(slopes[t], c, out=z[t])
        np.multiply(slopes[t, _OUTPUT], h[t], out=z[t, _OUTPUT])
        if t:
            c *= gates[t, 2 * H : 3 * H]
            h[t - 1] += (r.T @ z[t].reshape(4 * H, K * B)).reshape(H, K, B)
    x: Array = z.reshape(S, 4 * H, K * B).transpose(0, 2, 1) @ w
    return x


def _slopes(gates: Array, cells: Array, bent: Array) -> Array:
    """Return [S, 4, H, B]: by how much c (of the output gate: h) rises with what each gate is made of."""
    S, H, B = cells.shape
    gate = gates.reshape(S, 4, H, B)
    slopes: Array = np.empty_like(gate)
    sigmoids, candidate, of_candidate = gate[:, :_CELL], gate[:, _CELL], slopes[:, _CELL]
    np.subtract(1, sigmoids, out=slopes[:, :_CELL])
    slopes[:, :_CELL] *= sigmoids
    np.multiply(candidate, candidate, out=of_candidate)
    np.subtract(1, of_candidate, out=of_candidate)
    of_candidate *= gate[:, _INPUT]
    slopes[:, _INPUT] *= candidate
    slopes[:, _OUTPUT] *= bent
    slopes[1:, _FORGET] *= cells[:-1]
    slopes[0, _FORGET] = 0
    return slopes


def _last(T: int, lengths: Array, asked: Array | None, direction: int) -> Array:
    """Return the step [B] that is the last that a direction has to read, counted as it reads."""
    if asked is None:
        return np.full(len(lengths), T - 1)
    last: Array = lengths - 1 - asked if direction else asked
    return last


def _real(T: int, lengths: Array) -> Array:
    """Return bool [T, B, 1], False in the padding."""
    real: Array = np.arange(T)[:, None, None] < lengths[:, None]
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
