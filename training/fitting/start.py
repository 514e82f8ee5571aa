"""Weights that a training starts from, and what holds it near them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True, slots=True, eq=False)
class Anchor:
    """The weights that a training started from.

    Few labels tell little of 130,000 weights: what they do not tell stays as it was. The squared distance from the
    start, in the place of that from 0, is the L2-SP penalty of Li et al. (2018, "Explicit inductive bias for transfer
    learning").
    """

    weights: dict[str, Tensor]

    @classmethod
    def of(cls, model: nn.Module) -> Anchor:
        """Return the weights of ``model`` as they are now."""
        return cls({name: weight.detach().clone() for name, weight in model.named_parameters()})

    def distance(self, model: nn.Module) -> Tensor:
        """Return the squared distance of the weights of ``model``, a scalar."""
        parts = [((weight - self.weights[name]) ** 2).sum() for name, weight in model.named_parameters()]
        return torch.stack(parts).sum()
