"""How raw features enter the network: normalised, and cut into the pieces of a piecewise linear encoding.

A feature with a heavy tail is one number that a linear layer can only scale. Its pieces, between quantiles of the
training data, tell apart what is common in it from what is rare (Gorishniy et al., 2022, "On embeddings for numerical
features in tabular deep learning"): a piece from e1 to e2 is (x - e1) / (e2 - e1) within 0 .. 1. They are where the
training begins: it moves their edges, and may mix features (worth 0.002 of causal macro AP on 20,000 EPCs).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

CLIP = 8.0
"""Normalised features are clipped to +-CLIP: beyond it, a feature only says "far out"."""

_CONSTANT = 1e-6
"""A feature that deviates less says nothing."""

_NARROWEST = 1e-2
"""Width of a piece, in deviations: a narrower one would magnify rounding errors."""


@dataclass(frozen=True, slots=True, eq=False)
class Scales:
    """What an encoding is made of, learned from a table of features."""

    mean: NDArray[np.float64]  # [F]
    scale: NDArray[np.float64]  # [F] 1 / standard deviation, 0 for a constant feature
    column: NDArray[np.intp]  # [P] feature of each piece
    low: NDArray[np.float64]  # [P] where it begins, in deviations from the mean
    slope: NDArray[np.float64]  # [P] 1 / its width, in the same unit


def learn_scales(table: NDArray[np.float32], bins: int) -> Scales:
    """Learn from ``table`` [N, F], with up to ``bins`` + 1 pieces for each feature (0: none at all)."""
    mean, deviation = table.mean(axis=0, dtype=np.float64), table.std(axis=0, dtype=np.float64)
    scale = np.where(deviation > _CONSTANT, 1 / np.maximum(deviation, _CONSTANT), 0.0)
    edges = [(_edges(column, bins) - m) * s for column, m, s in zip(table.T, mean, scale, strict=True)]
    wide = [e[np.diff(e, prepend=-np.inf) > _NARROWEST] for e in edges]
    pieces = [e if len(e) > 2 else e[:1] for e in wide]  # one piece alone is the feature itself
    return Scales(
        mean=mean,
        scale=scale,
        column=np.repeat(np.arange(len(pieces)), [len(e) - 1 for e in pieces]),
        low=np.concatenate([e[:-1] for e in pieces]),
        slope=np.concatenate([1 / np.diff(e) for e in pieces]),
    )


def _edges(values: NDArray[np.float32], bins: int) -> NDArray[np.float64]:
    """Return the edges of the pieces of one feature: its values if they are few, else quantiles.

    Many features have a usual value, often 0: it is an edge, and the quantiles are those of the other values.
    """
    if bins == 0:
        return np.zeros(1)
    distinct, count = np.unique(values, return_counts=True)
    if len(distinct) <= bins + 1:
        return distinct.astype(np.float64)
    usual = distinct[(count == count.max()) & (count > len(values) / bins)]  # one value, or none
    quantiles = np.quantile(values[~np.isin(values, usual)], np.linspace(0, 1, bins + 1))
    edges: NDArray[np.float64] = np.unique(np.append(quantiles, usual).astype(np.float64))
    return edges


class Encoding(nn.Module):
    """Normalised features, then their pieces."""

    mean: Tensor
    scale: Tensor

    def __init__(self, features: int, pieces: int) -> None:
        super().__init__()
        self.width = features + pieces
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("scale", torch.ones(features))
        self.pieces = nn.Linear(features, pieces) if pieces else None

    @torch.no_grad()
    def set_scales(self, scales: Scales) -> None:
        """Begin with what was learned."""
        self.mean.copy_(torch.from_numpy(scales.mean))
        self.scale.copy_(torch.from_numpy(scales.scale))
        if self.pieces is not None:  # hardsigmoid(v) is v / 6 + 1/2 within 0 .. 1
            slope = torch.from_numpy(scales.slope)
            self.pieces.weight.zero_()
            self.pieces.weight[torch.arange(len(slope)), torch.from_numpy(scales.column)] = (6 * slope).float()
            self.pieces.bias.copy_(-6 * slope * torch.from_numpy(scales.low) - 3)

    def forward(self, features: Tensor) -> Tensor:
        """Return [.., F + P] for raw features [.., F]."""
        normalised = (features - self.mean) * self.scale
        clipped = torch.clamp(normalised, -CLIP, CLIP)
        if self.pieces is None:
            return clipped
        # As a dense layer: onnxruntime multiplies by the matrix, nearly empty at first, three times faster than it
        # gathers columns, subtracts, multiplies and clips (1.5 against 4.4 us per event for 480 pieces).
        return torch.cat([clipped, functional.hardsigmoid(self.pieces(normalised))], dim=-1)
