"""How often a causal finding is wrong, by how much of its item is known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from service.events.vocabulary import KINDS
from service.model.manifest import ExpectedError
from training.samples.samples import Samples

KNOWN = 5
"""Known events of the item that are told apart: 1, 2, 3, 4, and 5 or more."""

_SHRINK = 10.0
"""A share counts as much as that of its kind when it is of this many findings: fewer are chance."""


def known_events(part: Samples) -> NDArray[np.intp]:
    """Return how many events of its item are known [N] with each row, itself included; `KNOWN` stands for more, too."""
    windows = part.windows
    known: NDArray[np.intp] = np.minimum(windows.length[windows.window_of], KNOWN)
    return known


def expected_error(known: NDArray[np.intp], labels: NDArray[np.float32], flags: NDArray[np.bool_]) -> ExpectedError:
    """Return the share [5][KNOWN] of the findings that are wrong, by kind and known events.

    ``known`` [N] are the `known_events` of causal samples that nothing was learned from, ``labels`` [N, 5] theirs, and
    ``flags`` [N, 5] what is found there at the balanced point.
    """
    wrong = flags & (labels < 0.5)
    shares = []
    for kind in range(len(KINDS)):
        found, mistaken = (
            np.bincount(known[which[:, kind]] - 1, minlength=KNOWN).astype(np.float64) for which in (flags, wrong)
        )
        of_kind = (mistaken.sum() + 1) / (found.sum() + 2)  # 1/2 where nothing was ever found
        shares.append(((mistaken + _SHRINK * of_kind) / (found + _SHRINK)).round(6).tolist())
    return shares
