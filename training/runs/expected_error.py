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


def expected_error(check: Samples, flags: NDArray[np.bool_]) -> ExpectedError:
    """Return the share [5][KNOWN] of the findings that are wrong, by kind and known events, the judged one included.

    ``check`` are the causal samples of the validation part, ``flags`` [N, 5] what is found there at the balanced point.
    """
    windows = check.windows
    known = np.minimum(windows.length[windows.window_of], KNOWN) - 1
    wrong = flags & (check.labels < 0.5)
    shares = []
    for kind in range(len(KINDS)):
        found, mistaken = (
            np.bincount(known[which[:, kind]], minlength=KNOWN).astype(np.float64) for which in (flags, wrong)
        )
        of_kind = (mistaken.sum() + 1) / (found.sum() + 2)  # 1/2 where nothing was ever found
        shares.append(((mistaken + _SHRINK * of_kind) / (found + _SHRINK)).round(6).tolist())
    return shares
