"""jump: scans at impossible times."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from service.events.vocabulary import TYPES
from service.features.reference import LANE_QUANTILES
from training.adoption.planting.bed import DAY_US, HOUR_US, MINUTE_US, Bed, ScanMask

_LEAST_KM = 60.0

_COMPANY = 8
"""Scans on a lane on a day that say how slow the day is there."""

_SLOW_DAY = 1.0
"""Quickest time of a slow day, in usual times of the lane, at least."""


def _on_road(bed: Bed) -> ScanMask:
    """Return the scans that come from another place, one step after the one before, beyond the yard of the factory."""
    moved = bed.place != np.append(-1, bed.place[:-1])
    return np.asarray(bed.inbound & bed.follows & moved & (bed.level >= 2))


def _of_lane_us(bed: Bed, quantile: str) -> NDArray[np.float64]:
    """Return a quantile [N] of the time of each scan's lane, NaN where the lane is unknown."""
    reference = bed.reference
    scan = bed.place * TYPES + bed.type
    row = reference.lane.find(reference.lane_key(np.append(0, scan[:-1]), scan))
    gap = np.append(reference.lane_gap[:, LANE_QUANTILES.index(quantile)], np.nan)[row]
    time_us: NDArray[np.float64] = np.expm1(gap) * MINUTE_US
    return time_us


def teleport(bed: Bed) -> None:
    """There within minutes, from far away."""
    rows = bed.pick(_on_road(bed) & (bed.km > _LEAST_KM) & (bed.gap > HOUR_US))
    bed.delay_from(rows, (bed.uniform(rows, 0.02, 0.2) * HOUR_US).astype(np.int64) - bed.gap[rows])
    bed.label(rows)


def below_minimum(bed: Bed) -> None:
    """Quicker than anything ever was on that lane, at a speed that a truck can have."""
    quickest = _of_lane_us(bed, "low")
    possible = np.nan_to_num(bed.km) < 110 * 0.45 * quickest / HOUR_US
    rows = bed.pick(_on_road(bed) & possible & (quickest > 30 * MINUTE_US))
    bed.delay_from(rows, (bed.uniform(rows, 0.45, 0.85) * quickest[rows]).astype(np.int64) - bed.gap[rows])
    bed.label(rows)


def fast_for_its_day(bed: Bed) -> None:
    """As quick as is usual on the lane, on a day on which all others who took it were slow."""
    usual, road = _of_lane_us(bed, "median"), np.flatnonzero(_on_road(bed) & bed.alive)
    road = road[np.isfinite(usual[road])]
    left_day = (bed.columns["time_us"][road] - bed.gap[road]) // DAY_US
    from_to = np.stack([bed.place[road - 1], bed.place[road], left_day], axis=1)
    same, count = np.unique(from_to, axis=0, return_inverse=True, return_counts=True)[1:]
    quickest = np.full(len(count), np.iinfo(np.int64).max)
    np.minimum.at(quickest, same.ravel(), bed.gap[road])
    slow = (count >= _COMPANY) & (quickest > _SLOW_DAY * np.bincount(same.ravel(), usual[road]) / count)
    eligible: ScanMask = np.zeros(len(bed.item), dtype=np.bool_)
    eligible[road[slow[same.ravel()]]] = True
    most = np.zeros(len(bed.item))
    most[road] = 0.65 * quickest[same.ravel()]
    rows = bed.pick(eligible & (most > 0.5 * np.nan_to_num(usual)))
    wanted = np.minimum(bed.uniform(rows, 0.45, 0.8) * usual[rows], most[rows])
    quick = np.maximum(wanted, 1.1 * _of_lane_us(bed, "low")[rows])
    bed.move(rows, bed.columns["time_us"][rows] - bed.gap[rows] + quick.astype(np.int64))
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
