"""Weights of a blend: shares of methods whose mean has the smallest absolute errors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_ROWS, _STEPS = 20_000, 300


def fit_weights(
    said: NDArray[np.float32],
    truth: NDArray[np.float32],
    importance: NDArray[np.float64],
    start: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """Return the shares [M] of M methods, by their forecasts [N, M], what came [N], and how much each row counts [N].

    Exponentiated gradient descent (Kivinen and Warmuth, 1997): shares stay shares without a projection. It begins with
    ``start``, by default equal ones, and with slower steps then: few data leave them about as they are.
    """
    if len(truth) > _ROWS:
        drawn = np.random.default_rng(0).choice(len(truth), _ROWS, replace=False)
        said, truth, importance = said[drawn], truth[drawn], importance[drawn]
    rows, came = said.astype(np.float64), truth.astype(np.float64)
    off = np.abs(rows - came[:, None]) * importance[:, None]
    counts = importance / max(float(off.mean(axis=1).sum()), 1e-12)  # the loss of a usual method is 1
    logs = np.zeros(rows.shape[1]) if start is None else np.log(start + 1e-3)
    rate = 2.0 if start is None else 0.5
    mean = best = _shares(logs)
    best_loss = np.inf
    for step in range(_STEPS):
        shares = _shares(logs)
        mean = 0.9 * mean + 0.1 * shares
        loss = float((np.abs(rows @ mean - came) * counts).sum())
        if loss < best_loss:
            best, best_loss = mean, loss
        slope = rows.T @ (np.sign(rows @ shares - came) * counts)
        logs -= rate / np.sqrt(1 + step / 10) * (slope - shares @ slope)
    return best


def _shares(logs: NDArray[np.float64]) -> NDArray[np.float64]:
    shares = np.exp(logs - logs.max())
    sized: NDArray[np.float64] = shares / shares.sum()
    return sized
