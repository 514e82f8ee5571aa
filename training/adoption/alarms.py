"""From which score on a finding is raised: as the weights say within a budget, or for as many alarms as are wanted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.detect.detector import CERTAIN_KINDS, CERTAIN_SCORE
from service.detect.ensemble import SUSPICION
from service.events.vocabulary import KINDS, MODES, OperatingPoint
from service.model.manifest import Points, Thresholds, at_point

_SHARES = {OperatingPoint.PRECISE: 0.5, OperatingPoint.BALANCED: 1.0, OperatingPoint.SENSITIVE: 2.0}
"""Alarms of each operating point, of the wanted ones."""

BUDGET = 0.01
"""Of the events that were not set aside may be flagged, per kind."""


@dataclass(frozen=True, slots=True)
class AlarmCuts:
    """Where a model flags."""

    thresholds: Thresholds  # those of the sensitive point
    points: Points | None

    def of(self, mode: str, point: OperatingPoint = OperatingPoint.BALANCED) -> NDArray[np.float32]:
        """Return the thresholds [5] of an operating point."""
        return np.array(at_point(point, self.points, self.thresholds).of(mode), dtype=np.float32)


def cuts_within_budget(
    scores: Mapping[str, NDArray[np.float32]], normal: NDArray[np.bool_], source: AlarmCuts
) -> AlarmCuts:
    """Return the cuts of ``source``, each raised to where no more than `BUDGET` of the ``normal`` events are flagged.

    What is normal to the weights where they come from may be strange to them here: there they kept to the budget. For
    kinds of which something is certain it is 0.99 at most, so that it is always a finding.

    Args:
        scores: [N, 5] by mode.
        normal: [N] events that were not set aside.
        source: the cuts of the weights.
    """
    least = {mode: _at_budget(scores[mode][normal]) for mode in MODES}

    def raised(own: Thresholds) -> Thresholds:
        return Thresholds(
            **{mode: [max(pair) for pair in zip(own.of(mode), least[mode], strict=True)] for mode in MODES}
        )

    points = source.points and {point: raised(own) for point, own in source.points.items()}
    return AlarmCuts(raised(source.thresholds), points)


def _at_budget(scores: NDArray[np.float32]) -> list[float]:
    """Return the least cut of each kind within the budget, for scores [N, 5] of normal events."""
    allowed = min(int(BUDGET * len(scores)), len(scores) - 1)
    # Above the first score that is one too many, as in `_cut`.
    first = np.partition(scores, len(scores) - 1 - allowed, axis=0)[len(scores) - 1 - allowed]
    cuts = np.minimum(np.nextafter(first, np.float32(2)), 1.0)
    return [
        float(min(cut, CERTAIN_SCORE) if kind in CERTAIN_KINDS else cut) for kind, cut in zip(KINDS, cuts, strict=True)
    ]


def cuts_for_alarms(scores: Mapping[str, NDArray[np.float32]], alarms_per_10000: float) -> AlarmCuts:
    """Return the cuts that raise so many findings in 10,000 of the events with these scores [N, 5] by mode.

    All kinds share one cut, for scores are probabilities: no other cuts find more for as many alarms. It is 0.05 at
    least, below which findings would be noise, and for kinds of which something is certain 0.99 at most: that is
    always a finding. So where more codes than are wanted are forged for certain, there are more findings.
    """
    points = {
        point: Thresholds(**{mode: _cuts(scores[mode], share * alarms_per_10000) for mode in MODES})
        for point, share in _SHARES.items()
    }
    return AlarmCuts(points[OperatingPoint.SENSITIVE], points)


def _cuts(scores: NDArray[np.float32], alarms_per_10000: float) -> list[float]:
    cut = _cut(scores, alarms_per_10000)
    return [min(cut, CERTAIN_SCORE) if kind in CERTAIN_KINDS else cut for kind in KINDS]


def _cut(scores: NDArray[np.float32], alarms_per_10000: float) -> float:
    wanted = round(alarms_per_10000 / 10_000 * len(scores))
    falling = np.sort(scores, axis=None)[::-1]
    if wanted >= len(falling):
        return SUSPICION
    # Above the first score that is one too many: events that look alike have one score, and are all flagged or none.
    return float(np.clip(np.nextafter(falling[wanted], np.float32(2)), SUSPICION, 1.0))


def alarms_by_kind(scores: NDArray[np.float32], cuts: NDArray[np.float32]) -> dict[str, float]:
    """Return the findings in 10,000 events by kind, for scores [N, 5] and cuts [5]."""
    shares = (scores >= cuts).mean(axis=0) * 10_000
    return dict(zip(KINDS, (round(float(share), 2) for share in shares), strict=True))
