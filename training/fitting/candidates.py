"""How far a network moves from the weights that it started from: half of the way, or what held-out items say.

What few labels teach is better here and there, and worse where they say nothing. Averages of the weights before and
after have much of both, and half of either is the usual one where nothing else tells (WiSE-FT: Wortsman et al., 2022,
"Robust fine-tuning of zero-shot models").
"""

from __future__ import annotations

import copy
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from training.metrics import ranking
from training.metrics.ranking import MACRO
from training.network.lstm import EpcLstm
from training.network.predict import predict
from training.samples.samples import Samples

_Network = TypeVar("_Network", bound=torch.nn.Module)

SHARES = (0.5, 0.25, 0.75, 0.0, 1.0)
"""Shares of the trained weights in an average with those of the start: the candidates, those nearest to half first."""

_RESAMPLES, _SEED = 200, 7

_LEAST_ITEMS = 20
"""Anomalous items of a mode; by fewer nothing is told."""

_ERRORS = 2.0
"""Standard errors of a difference up to which it may be chance: later items differ from labelled ones, too."""


def averaged(start: _Network, trained: _Network, share: float) -> _Network:
    """Return ``start`` with numbers of which ``share`` (0 .. 1) comes from ``trained``, another one of its shape."""
    mixed, other = copy.deepcopy(start), trained.state_dict()
    with torch.no_grad():
        for name, value in mixed.state_dict().items():  # shares its memory with the network
            if value.is_floating_point():
                value.lerp_(other[name].to(value), share)
    return mixed.eval()


def chosen(start: EpcLstm, trained: EpcLstm, check: list[Samples], epc: NDArray[np.integer]) -> tuple[EpcLstm, float]:
    """Return an average of both networks, and the share of ``trained`` in it.

    The one of the best macro AP on ``check``, or one nearer to half that is worse by less than chance: by no more than
    two standard errors of their difference, on the same resamples of the items. Of fewer than _LEAST_ITEMS that are
    anomalous in a mode nothing is told, and it is half. The trained network is the best epoch of the same items,
    which favours going on.

    Args:
        start: the network before.
        trained: the network after.
        check: samples by mode.
        epc: item of each of the events that ``check`` was made from.
    """
    items = [np.unique(epc[part.index], return_inverse=True)[1] for part in check]
    anomalous = [item[(part.labels >= 0.5).any(axis=1)] for part, item in zip(check, items, strict=True)]
    if min(len(np.unique(each)) for each in anomalous) < _LEAST_ITEMS:
        return averaged(start, trained, SHARES[0]), SHARES[0]
    candidates = [averaged(start, trained, share) for share in SHARES]
    values = np.stack([_macro_ap(each, check, items) for each in candidates])  # [C, 1 + R]
    if np.isnan(values[:, 0]).any():  # nothing tells
        return candidates[0], SHARES[0]
    behind = values[np.argmax(values[:, 0])] - values
    at = int(np.argmax(behind[:, 0] <= _ERRORS * np.nanstd(behind[:, 1:], axis=1)))  # the first; the best one is within
    return candidates[at], SHARES[at]


def _macro_ap(model: EpcLstm, check: list[Samples], items: list[NDArray[np.intp]]) -> NDArray[np.float64]:
    """Return the macro AP [1 + R], mean of both modes: of the items, then of their resamples."""
    found = []
    for part, item in zip(check, items, strict=True):
        weights = ranking.with_resamples(int(item.max()) + 1, _RESAMPLES, _SEED)
        found.append(ranking.rank(part.labels, predict(model, part), item, weights)[MACRO]["ap"])
    return np.asarray(np.mean(found, axis=0))
