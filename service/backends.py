"""Backends run the model: feature sequences in, probabilities out. One protocol; siblings never meet."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Backend(Protocol):
    """Runs one version of the model. Vendor exceptions never leave a backend."""

    async def infer(
        self, features: NDArray[np.float32], lengths: NDArray[np.int64], timeout_s: float | None
    ) -> NDArray[np.float32]:
        """Return probabilities [B, T, 5] for features [B, T, F] and lengths [B, 1], 1 <= length <= T.

        Raises:
            ModelUnavailable: the model cannot answer.
            DeadlineExceeded: ``timeout_s`` seconds passed (None: no limit).
        """
        ...

    async def close(self) -> None:
        """Free what the backend holds."""
        ...
