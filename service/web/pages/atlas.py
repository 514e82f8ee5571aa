"""What is usual: where places are and how long legs take, looked up in the reference of a model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from service.errors import ModelRepositoryError
from service.events.columns import type_codes
from service.events.vocabulary import type_index
from service.explain.norms import row_of
from service.features.keys import scan_key
from service.features.reference import Reference
from service.findings.records import ScanRow
from service.model.manifest import MANIFEST_FILE, MODEL_NAME
from service.model.repository import read_manifest, versions


@dataclass(frozen=True, slots=True)
class UsualLeg:
    """How long normal legs of a lane take, in minutes: 1 %, 50 % and 99 % of ``count`` legs."""

    low: float
    median: float
    high: float
    count: int


class Atlas:
    """Places and lanes of one reference; without one, nothing is known."""

    def __init__(self, reference: Reference | None) -> None:
        self._reference = reference

    @classmethod
    def at_hand(cls, repository: Path, version: int | None) -> Atlas:
        """Return that of a model in a repository, the newest version if ``version`` is None.

        Who only asks a gateway may have no model here; then nothing is known.
        """
        try:
            folder = repository / MODEL_NAME / str(version or versions(repository)[-1])
            return cls(Reference.from_json(read_manifest(folder / MANIFEST_FILE, str(folder)).reference))
        except (ModelRepositoryError, LookupError, TypeError, ValueError):  # who needs the model says what is wrong
            return cls(None)

    def coordinates(self, location_id: int) -> tuple[float, float] | None:
        """Return (latitude, longitude) of a place in degrees, None if nobody knows."""
        if self._reference is None:
            return None
        at = self._place(location_id)
        if at == len(self._reference.location_id):
            return None
        latitude, longitude = float(self._reference.latitude[at]), float(self._reference.longitude[at])
        return None if math.isnan(latitude) or math.isnan(longitude) else (latitude, longitude)

    def usual(self, scans: Sequence[ScanRow]) -> list[UsualLeg | None]:
        """Return for each scan [n] how long the leg to it usually takes, None where there is none or nobody knows."""
        return [None, *(self._lane(before, scan) for before, scan in pairwise(scans))][: len(scans)]

    def _lane(self, before: ScanRow, scan: ScanRow) -> UsualLeg | None:
        if self._reference is None:
            return None
        lane, gaps = self._reference.lane, self._reference.lane_gap
        row = row_of(lane, int(self._reference.lane_key(self._scan(before), self._scan(scan))[0]))
        if row is None or not gaps[row][2] > 0:
            return None
        low, median, high, _ = gaps[row].tolist()
        return UsualLeg(math.expm1(low), math.expm1(median), math.expm1(high), int(lane.count[row]))

    def _scan(self, scan: ScanRow) -> NDArray[np.int64]:
        return scan_key(np.array([self._place(scan.location_id)]), type_index(type_codes([scan.event_type])))

    def _place(self, location_id: int) -> int:
        assert self._reference is not None  # noqa: S101 - asked by those who looked
        return int(self._reference.place_of(np.array([location_id]))[0])
