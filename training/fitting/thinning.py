"""Fewer pieces in the encoding of a fitted network: those that the other inputs of the projection say as well go.

An event's answer costs most where its features become pieces and these become units: two products of matrices that grow
with the pieces. Quantiles cut every feature alike, whether its pieces tell something or not, so a fitted network knows
better than its beginning which ones it needs.

Pieces go one at a time, the one first whose loss the others make up for best. What that costs, and how their weights
change, has a closed form (the optimal brain surgeon of Hassibi and Stork, 1993, for the squared error of a layer's
sums). The edges of the pieces that stay, and all that comes after the projection, are as they were.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from training.network.lstm import EpcLstm
from training.samples.samples import Draw, Samples

_ROWS = 200_000
"""Events by which the inputs are compared, of each pass; more told the same."""

_CHUNK = 10_000
_RIDGE = 1e-3
"""Of the mean square of an input. The pieces of a feature add up to the feature as far as the passes go: without a
ridge its weight would move between them as if that held everywhere, and go astray in a network unlike those."""


def thinned(model: EpcLstm, pieces: int, draw: Draw, seed: int) -> EpcLstm:
    """Return ``model`` with ``pieces`` of its pieces, or itself if it has no more.

    Args:
        model: a fitted network, which is not changed.
        pieces: how many stay, 1 or more.
        draw: gives the pass over the training part by which inputs of the projection are compared.
        seed: of the pass, and of the events that are drawn from it.
    """
    if model.config.pieces <= pieces:
        return model
    first = model.config.features
    weights = torch.cat([model.project.weight, model.project.bias[:, None]], dim=1).detach()  # [H, F + P + 1]
    stay, refitted = _surgery(
        _gram(model, draw(np.random.default_rng(seed)), seed), weights.double().cpu().numpy(), first, pieces
    )
    state = model.state_dict()
    for name in ("encoding.pieces.weight", "encoding.pieces.bias"):
        state[name] = state[name][torch.from_numpy(stay[first:-1])]
    state["project.weight"] = torch.from_numpy(refitted[:, stay][:, :-1]).float()
    state["project.bias"] = torch.from_numpy(refitted[:, -1]).float()
    thin = EpcLstm(replace(model.config, pieces=pieces))
    thin.load_state_dict(state)
    return thin.eval()


@torch.inference_mode()
def _gram(model: EpcLstm, passes: Sequence[Samples], seed: int) -> NDArray[np.float64]:
    """Return the mean products [F + P + 1, F + P + 1] of the projection's inputs and of 1, for the bias."""
    rng = np.random.default_rng(seed)
    width = model.encoding.width + 1
    total, rows = np.zeros((width, width)), 0
    for part in passes:
        drawn = rng.choice(len(part.features), min(_ROWS, len(part.features)), replace=False)
        for begin in range(0, len(drawn), _CHUNK):
            features = torch.from_numpy(part.features[drawn[begin : begin + _CHUNK]])
            inputs = np.ones((len(features), width))
            inputs[:, :-1] = model.encoding(features).numpy()
            total += inputs.T @ inputs
        rows += len(drawn)
    return total / rows


def _surgery(
    gram: NDArray[np.float64], weights: NDArray[np.float64], first: int, pieces: int
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Return which inputs [I] stay and the weights [H, I] of all, 0 of the others.

    ``gram`` [I, I] are the products of the inputs: pieces are from ``first`` on, but for the last one, the bias.
    """
    inverse = np.linalg.inv(gram + _RIDGE * np.diagonal(gram).mean() * np.eye(len(gram)))
    weights, stay = weights.copy(), np.ones(len(gram), dtype=np.bool_)
    for _ in range(len(gram) - 1 - first - pieces):
        own = np.where(stay, np.diagonal(inverse), 1.0)
        costs = np.where(stay, (weights**2).sum(axis=0) / own, np.inf)[first:-1]
        least = first + int(costs.argmin())
        row = inverse[least] / own[least]
        weights -= weights[:, least, None] * row
        inverse -= inverse[:, least, None] * row
        stay[least], weights[:, least] = False, 0.0
    return stay, weights
