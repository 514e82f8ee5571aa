"""Little's law: the items that are there are those that come, per time, by how long they stay.

Little (1961), "A proof for the queuing formula L = lambda W"; for windows of finite length, Little (2011), "Little's
Law as viewed on its 50th anniversary". With all that was there at any time in the window, and the time that it was
there in the window, the law is an identity. With departures and whole dwells, as reports have them, it is none: what
was there before the window and what still is there after it make the gap.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.flow.stays import Stays

_HOUR_US = 3.6e9

LEAST, MOST = 1e-9, 1e12
"""Of the numbers of a plan: what lies outside is a mistake, and products of it are no numbers any more."""


@dataclass(frozen=True, slots=True)
class LittlesLaw:
    """Little's law in a window of time. L: items, rates per hour, times in hours."""

    items: int  # there at any time in it
    mean_wip: float  # L, by counting who is there
    rate_per_h: float  # of those items
    time_in_window_h: float  # mean of those items, in the window alone
    departures_per_h: float
    dwell_h: float  # mean whole dwell of what left in the window; 0 if nothing did
    before_h: float  # of that, what lay before the window, all items together, by the length of the window
    remaining_h: float  # time in the window of what is still there as it ends, by the length of the window

    @property
    def identity_error(self) -> float:
        """L less rate times time, by L: 0 but for rounding."""
        return abs(self.mean_wip - self.rate_per_h * self.time_in_window_h) / max(self.mean_wip, 1e-12)

    @property
    def gap(self) -> float:
        """L less departures times whole dwell, in items: ``remaining_h - before_h``."""
        return self.mean_wip - self.departures_per_h * self.dwell_h


def little(stays: Stays, begin_us: int, end_us: int) -> LittlesLaw:
    """Return Little's law for ``stays`` in [begin_us, end_us).

    Raises:
        ValueError: the window is empty.
    """
    if end_us <= begin_us:
        raise ValueError("the window ends before it begins")
    there = stays.take((stays.arrived_us < end_us) & (stays.left_us > begin_us) & ~stays.sold)
    hours = (end_us - begin_us) / _HOUR_US
    left = there.has_left & (there.left_us <= end_us)
    came, went = np.maximum(there.arrived_us, begin_us), np.minimum(there.left_us, end_us)
    inside_h = (went - came) / _HOUR_US
    items, departures = len(there), int(left.sum())
    dwell_h = (there.left_us - there.arrived_us)[left] / _HOUR_US
    return LittlesLaw(
        items=items,
        mean_wip=_area_h(came, went) / hours,
        rate_per_h=items / hours,
        time_in_window_h=float(inside_h.mean()) if items else 0.0,
        departures_per_h=departures / hours,
        dwell_h=float(dwell_h.mean()) if departures else 0.0,
        before_h=float((came - there.arrived_us)[left].sum()) / _HOUR_US / hours,
        remaining_h=float(inside_h[~left].sum()) / hours,
    )


def _area_h(came_us: NDArray[np.int64], went_us: NDArray[np.int64]) -> float:
    """Return the area under the count of who is there, in item hours: by sweeping over the moments it changes at."""
    moments = np.concatenate([came_us, went_us])
    change = np.r_[np.ones(len(came_us), dtype=np.int64), -np.ones(len(went_us), dtype=np.int64)]
    order = np.argsort(moments, kind="stable")
    present = change[order].cumsum()[:-1]
    return float((present * np.diff(moments[order])).sum() / _HOUR_US) if len(moments) else 0.0


@dataclass(frozen=True, slots=True)
class Check:
    """Whether a plan obeys Little's law, and what would make it do so, the other two kept."""

    ratio: float  # WIP by throughput times cycle time; 1 obeys
    holds: bool
    wip: float  # items
    throughput_per_day: float
    cycle_days: float


def check_plan(wip: float, throughput_per_day: float, cycle_days: float, tolerance: float = 0.02) -> Check:
    """Return whether ``wip`` items, ``throughput_per_day`` and ``cycle_days`` can be at the same time.

    Raises:
        ValueError: a number is not from `LEAST` to `MOST`, or the tolerance is not from 0 to 1; the text names it.
    """
    for name, value in (("wip", wip), ("throughput", throughput_per_day), ("cycle time", cycle_days)):
        if not LEAST <= value <= MOST:
            raise ValueError(f"{name} is {value:g}: give a number from {LEAST:g} to {MOST:g}")
    if not 0 <= tolerance < 1:
        raise ValueError(f"tolerance is {tolerance:g}: give a share from 0 to 1, like 0.02")
    ratio = wip / (throughput_per_day * cycle_days)
    return Check(
        ratio=ratio,
        holds=abs(ratio - 1) <= tolerance,
        wip=throughput_per_day * cycle_days,
        throughput_per_day=wip / cycle_days,
        cycle_days=wip / throughput_per_day,
    )
