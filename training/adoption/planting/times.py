"""jump: scans at impossible times."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from service.events.vocabulary import TYPES
from service.features.reference import LANE_QUANTILES
from training.adoption.planting.bed import DAY_US, HOUR_US, MINUTE_US, Bed, ScanMask

_LEAST_KM = 60.0


def _on_road(bed: Bed) -> ScanMask:
    """Return the scans that come from another place, one step after the one before."""
    moved = bed.place != np.append(-1, bed.place[:-1])
    return np.asarray(bed.inbound & bed.follows & moved)


def _quickest_us(bed: Bed) -> NDArray[np.float64]:
    """Return the 1 % quantile [N] of the time of each scan's lane, NaN where the lane is unknown."""
    reference = bed.reference
    scan = bed.place * TYPES + bed.type
    row = reference.lane.find(reference.lane_key(np.append(0, scan[:-1]), scan))
    low = np.append(reference.lane_gap[:, LANE_QUANTILES.index("low")], np.nan)[row]
    quickest: NDArray[np.float64] = np.expm1(low) * MINUTE_US
    return quickest


def teleport(bed: Bed) -> None:
    """There within minutes, from far away."""
    rows = bed.pick(_on_road(bed) & (bed.km > _LEAST_KM) & (bed.gap > HOUR_US))
    bed.delay_from(rows, (bed.uniform(rows, 0.02, 0.2) * HOUR_US).astype(np.int64) - bed.gap[rows])
    bed.label(rows)


def below_minimum(bed: Bed) -> None:
    """Quicker than anything ever was on that lane, at a speed that a truck can have."""
    quickest = _quickest_us(bed)
    possible = np.nan_to_num(bed.km) < 110 * 0.45 * quickest / HOUR_US
    rows = bed.pick(_on_road(bed) & possible & (quickest > 30 * MINUTE_US))
    bed.delay_from(rows, (bed.uniform(rows, 0.45, 0.85) * quickest[rows]).astype(np.int64) - bed.gap[rows])
    bed.label(rows)


def stalled_for_weeks(bed: Bed) -> None:
    """Left lying for a month or two."""
    _stall(bed, factor=(1, 1), days=(30, 75))


def stalled_behind_mates(bed: Bed) -> None:
    """Two or three times as long as it was, and two or three weeks longer at least."""
    _stall(bed, factor=(2, 3), days=(12, 25))


def _stall(bed: Bed, factor: tuple[float, float], days: tuple[float, float]) -> None:
    time = bed.columns["time_us"]
    longest = np.maximum(bed.gap * (factor[1] - 1), days[1] * DAY_US)
    rows = bed.pick(bed.outbound & bed.follows & (time + longest < bed.last_us))
    more = np.maximum(bed.gap[rows] * (bed.uniform(rows, *factor) - 1), bed.uniform(rows, *days) * DAY_US)
    bed.delay_from(rows, more.astype(np.int64))
    bed.label(rows)


def slow_transit(bed: Bed) -> None:
    """Days on a road of hours."""
    rows = bed.pick(_on_road(bed) & (bed.columns["time_us"] + 6 * DAY_US < bed.last_us))
    bed.delay_from(rows, (bed.uniform(rows, 40, 130) * HOUR_US).astype(np.int64))
    bed.label(rows)
