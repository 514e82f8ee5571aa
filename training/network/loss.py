"""What the training minimises: a focal loss that knows that some labels are wrong."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from service.events.vocabulary import KINDS

_LEAST, _MOST = 1e-4, 0.5  # share of wrong labels; at a half, labels say nothing
_FIRST = 0.02


class LabelNoise(nn.Module):
    """The share of wrong labels of each kind, learned with the weights.

    A network that has to explain every label learns the wrong ones by heart: among rare anomalies, 5 % wrong labels are
    most of the positive ones. So it is asked for what is true, and what a label says is true with some error: the
    forward correction of Patrini et al. (2017, "Making deep neural networks robust to label noise"), the same share of
    anomalies and of normal events. Not part of the model that is exported.
    """

    def __init__(self) -> None:
        super().__init__()
        first = (_FIRST - _LEAST) / (_MOST - _LEAST)
        self.raw = nn.Parameter(torch.full((len(KINDS),), math.log(first / (1 - first))))

    def share(self) -> Tensor:
        """Return the shares [5], 0.0001 .. 0.5."""
        return _LEAST + (_MOST - _LEAST) * torch.sigmoid(self.raw)

    def forward(self, logits: Tensor) -> Tensor:
        """Return the probabilities that the labels say "anomalous", for logits [.., 5] of being it."""
        share = self.share()
        return share + (1 - 2 * share) * torch.sigmoid(logits)


def focal_loss(probabilities: Tensor, targets: Tensor, gamma: float) -> Tensor:
    """Return the mean focal loss (Lin et al., 2017) against targets [.., 5] in 0 .. 1 (soft ones too), NaN if unknown.

    ``probabilities`` [.., 5] are strictly between 0 and 1. What is unknown has no part in it: the mean is over the
    events of which something is known, 0 if there is none.
    """
    known = torch.isfinite(targets)
    targets = torch.where(known, targets, 0.0)
    cross_entropy = -(targets * torch.log(probabilities) + (1 - targets) * torch.log1p(-probabilities))
    miss = (probabilities - targets).abs()
    lost = torch.where(known, miss**gamma * cross_entropy, 0.0)
    return lost.sum() / known.any(dim=-1).sum().clamp(min=1)
