"""evtOrderErr: scans out of order."""

from __future__ import annotations

import numpy as np

from training.adoption.planting.bed import DAY_US, HOUR_US, MINUTE_US, Bed


def out_before_in(bed: Bed) -> None:
    """An item leaves before it came; both scans show it."""
    arrived = np.append(False, ((bed.gap > 30 * MINUTE_US) & bed.inbound & bed.follows)[:-1])
    rows = bed.pick(bed.outbound & bed.follows & arrived)
    time = bed.columns["time_us"]
    bed.move(rows, time[rows - 1] - (bed.uniform(rows, 0.1, 0.8) * bed.gap[rows - 1]).astype(np.int64))
    bed.label(rows)
    bed.label(rows - 1)


def in_twice(bed: Bed) -> None:
    """Received again where it is, hours or days later."""
    rows = bed.pick(bed.inbound & (bed.wait > 2 * DAY_US))
    later = bed.uniform(rows, 0.02, 0.5) * np.minimum(bed.wait[rows], 20 * DAY_US)
    bed.add(rows, bed.columns["time_us"][rows] + np.maximum(later, 5 * HOUR_US).astype(np.int64))


def out_twice(bed: Bed) -> None:
    """Sent off again, on its way already."""
    rows = bed.pick(bed.outbound & bed.followed & (bed.wait > 3 * HOUR_US))
    later = bed.uniform(rows, 0.3, 0.8) * np.minimum(bed.wait[rows], 2 * DAY_US)
    bed.add(rows, bed.columns["time_us"][rows] + later.astype(np.int64))


def swapped_pair(bed: Bed) -> None:
    """An arrival and the dispatch before it change their times."""
    rows = bed.pick(bed.inbound & bed.follows & (bed.level >= 2) & (bed.gap > 5 * MINUTE_US))
    time = bed.columns["time_us"]
    here, before = time[rows].copy(), time[rows - 1].copy()
    bed.move(rows, before)
    bed.move(rows - 1, here)
    bed.label(rows)
    bed.label(rows - 1)


def clock_rolled_back(bed: Bed) -> None:
    """A clock that is hours slow: the scan is written down in its turn, with a time before the scan before it."""
    before = np.append(False, (bed.gap > 8 * HOUR_US)[:-1])
    rows = bed.pick(bed.inbound & bed.follows & (bed.level >= 2) & before)
    early = (bed.uniform(rows, 0.2, 6) * HOUR_US).astype(np.int64)
    bed.columns["time_us"][rows] = bed.columns["time_us"][rows - 1] - early  # written_us stays
    bed.label(rows)
