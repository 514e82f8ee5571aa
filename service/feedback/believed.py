"""How likely is it that an event is anomalous, by the words of people who err?

Words are so many times likelier of an anomalous event than of a normal one: of a person a share ``e`` of whose words
is wrong, by chance alone, a word for it is (1 - e) / e times likelier (`service.auditors.errors`: who errs how often).
How many events are anomalous is told by the words themselves, in each group of alike events apart: the share by which
they are most likely (Dawid and Skene 1979, with known errors). Of one word each of people who err alike this is (share
of the confirmed - e) / (1 - 2 e), kept within 0 and 1 (Rogan and Gladen 1978). By share and words each event has its
probability (Bayes).

One word tells next to nothing where few events are anomalous: by 1,700 of them, a twentieth wrong, 0.5 % more or less
are anomalous, each of which stands for a hundred events. So calibrated scores are the probabilities before any word,
until the words of a group contradict them beyond chance (a likelihood ratio that chance gives one time in a hundred).
Two or three words that agree tell nearly all, and contradict soon.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_HALVINGS = 30
"""Of the range in which a share is looked for: to a billionth."""

_CONTRADICTED = 6.63
"""Twice the logarithm of a likelihood ratio that chance gives one time in a hundred (chi-squared, one degree)."""

_STEPS = 20
"""Evidence is told apart by a twentieth, so that many persons do not make as many cells as there are events."""

_MOST = 30.0
"""Evidence beyond is as good, and has numbers that can be computed with."""

_Numbers = NDArray[np.float64]


def believed(evidence: _Numbers, groups: NDArray[np.int64], counts: _Numbers, promised: _Numbers | None) -> _Numbers:
    """Return the probability [B, N] of each of N events to be anomalous, if each counts as often as in a row says.

    Args:
        evidence: logarithm of how many times likelier the words are of an anomalous event, [N]; not 0. Infinite: they
            are the truth; then those of all are.
        groups: number of the group of each event, [N], from 0.
        counts: how often each event counts, [B, N].
        promised: calibrated scores [N], 0 to 1; None: nothing promises anything.
    """
    if np.isinf(evidence).all():
        return np.broadcast_to((evidence > 0).astype(np.float64), counts.shape)
    evidence = np.clip(evidence, -_MOST, _MOST)
    alike = np.column_stack([groups, np.rint(evidence * _STEPS)])
    cells, cell_of = np.unique(alike, axis=0, return_inverse=True)
    cell_of = cell_of.reshape(-1)
    of_group = (cells[:, :1] == np.unique(cells[:, 0])).astype(np.float64)  # [C, G]
    odds = np.exp(np.bincount(cell_of, evidence) / np.bincount(cell_of))  # [C]
    by_cell = np.argsort(cell_of, kind="stable")
    begins = np.searchsorted(cell_of[by_cell], np.arange(len(cells)))
    weights = np.add.reduceat(counts[:, by_cell], begins, axis=1)  # [B, C]
    shares = _most_likely(weights, odds, of_group)
    found = _bayes((shares @ of_group.T), odds)[:, cell_of]
    if promised is None:
        return found
    odds_of, group_of = odds[cell_of], of_group[cell_of]  # [N], [N, G]
    most = (weights * np.log1p((shares @ of_group.T) * (odds - 1))) @ of_group  # logarithms of likelihoods, [B, G]
    as_promised = counts @ (np.log1p(promised * (odds_of - 1))[:, None] * group_of)
    with np.errstate(invalid="ignore"):
        words = np.nan_to_num((counts @ group_of) / (counts**2 @ group_of))  # that a unit of weight is
    is_contradicted = 2 * (most - as_promised) * words > _CONTRADICTED
    return np.where(is_contradicted @ group_of.T.astype(np.bool_), found, _bayes(promised, odds_of))


def _bayes(share: _Numbers, odds: _Numbers) -> _Numbers:
    """Return the probability after words of ``odds``, of the probability before."""
    after: _Numbers = share * odds / (share * odds + 1 - share)
    return after


def _most_likely(weights: _Numbers, odds: _Numbers, of_group: _Numbers) -> _Numbers:
    """Return the share [B, G] of anomalous events of each group by which weights [B, C] of words are most likely.

    Their likelihood has one peak: where its slope is 0, or at an end.
    """
    low, high = (np.full((len(weights), of_group.shape[1]), end) for end in (0.0, 1.0))
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        rises = (weights * (odds - 1) / (1 + (middle @ of_group.T) * (odds - 1))) @ of_group > 0
        low, high = np.where(rises, middle, low), np.where(rises, high, middle)
    return np.where(low == 0, low, high)  # the ends themselves, where the peak is there
