"""Which of the new EPCs are never learned from, and which only say how far to go."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

HELD_OUT = 0.3
"""Share of the new EPCs on whose verdicts champion and challenger are compared."""

PROVING = 0.1
"""Share of the new EPCs on whose verdicts it is chosen how far the weights go from the champion's."""


def held_out_of(codes: Sequence[str]) -> NDArray[np.bool_]:
    """Return which EPCs are held out, by their codes: the same ones in every retraining."""
    held_out: NDArray[np.bool_] = _draws(codes) < HELD_OUT
    return held_out


def proving_of(codes: Sequence[str]) -> NDArray[np.bool_]:
    """Return which EPCs, none of them held out, only say how far to go."""
    draws = _draws(codes)
    proving: NDArray[np.bool_] = (draws >= HELD_OUT) & (draws < HELD_OUT + PROVING)
    return proving


def _draws(codes: Sequence[str]) -> NDArray[np.float64]:
    draws = [hashlib.blake2b(code.encode(), digest_size=8).digest() for code in codes]
    return np.array([int.from_bytes(draw, "big") / 2**64 for draw in draws])
