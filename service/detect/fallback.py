"""A new version of the model beside the one in use: which files it judges. One file always gets the same version."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.detect.detector import Detector


@dataclass(frozen=True, slots=True)
class ModelCanary:
    """A detector that judges a share of the files."""

    detector: Detector
    percent: float  # of the files, 0 to 100; files that it has stay with it when this grows

    def takes(self, file_id: NDArray[np.int64]) -> bool:
        """Return whether it judges a request of these files; a request of several is judged as its lowest file_id."""
        return share_of(int(file_id.min())) < self.percent


def share_of(file_id: int) -> float:
    """Return the place of a file in 0 .. 100, even over files and the same in every gateway."""
    digest = hashlib.blake2b(str(file_id).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64 * 100.0
