"""Which of the new EPCs are never learned from."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

HELD_OUT = 0.3
"""Share of the new EPCs on whose verdicts champion and challenger are compared."""


def held_out_of(codes: Sequence[str]) -> NDArray[np.bool_]:
    """Return which EPCs are held out, by their codes: the same ones in every retraining."""
    draws = [hashlib.blake2b(code.encode(), digest_size=8).digest() for code in codes]
    return np.array([int.from_bytes(draw, "big") / 2**64 < HELD_OUT for draw in draws], dtype=np.bool_)
