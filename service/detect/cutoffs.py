"""From which probability on a score is a finding: by operating point, or by what misses and false alarms cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from service.detect.detector import CERTAIN_SCORE
from service.events.vocabulary import KINDS, MODES, OperatingPoint
from service.model.manifest import Points, Thresholds, at_point

Costs = Mapping[str, tuple[float, float]]
"""(cost of a miss, cost of a false alarm) by kind; a kind that is not named has none."""


@dataclass(frozen=True, slots=True)
class Preference:
    """What counts where a request names no operating point."""

    point: OperatingPoint = OperatingPoint.BALANCED
    costs: Costs = field(default_factory=dict)  # they decide in the place of the point, for their kinds

    @property
    def name(self) -> str:
        """The name for the log."""
        return f"{self.point}, costs" if self.costs else str(self.point)


class Cutoffs:
    """The thresholds of one detector."""

    def __init__(self, thresholds: Thresholds, points: Points | None, preference: Preference) -> None:
        """Args: ``points`` are those of the manifest; every point that it lacks is ``thresholds``."""
        self._of = {point: _table(at_point(point, points, thresholds)) for point in OperatingPoint}
        self._preferred = self._of[preference.point].copy()  # [2, 5]
        for kind, (miss, alarm) in preference.costs.items():
            # No higher than the score of a malformed code, which is a finding whatever it costs.
            self._preferred[:, KINDS.index(kind)] = min(cost_threshold(miss, alarm), CERTAIN_SCORE)
        self._preference = preference

    def of(self, point: OperatingPoint | None, *, causal: bool) -> NDArray[np.float32]:
        """Return the thresholds [5] of a point, None for what is preferred."""
        table = self._preferred if point is None else self._of[point]
        row: NDArray[np.float32] = table[int(causal)]
        return row

    def name(self, point: OperatingPoint | None) -> str:
        """Return what the log calls the point."""
        return self._preference.name if point is None else str(point)


def cost_threshold(miss: float, alarm: float) -> float:
    """Return the probability from which flagging costs less than passing over (Elkan, 2001).

    Flagging an event of probability p costs (1 - p) * alarm, passing it p * miss: equal at alarm / (alarm + miss).
    """
    return alarm / (alarm + miss)


def _table(thresholds: Thresholds) -> NDArray[np.float32]:
    """Return the thresholds as [2, 5], by mode and kind."""
    return np.array([thresholds.of(mode) for mode in MODES], dtype=np.float32)
