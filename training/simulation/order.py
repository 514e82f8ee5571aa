"""evtOrderErr: scans out of order."""

from __future__ import annotations

import numpy as np

from training.simulation.scans import DAY, HOUR, MINUTE
from training.simulation.workbench import Workbench, secs


def out_before_in(w: Workbench, quota: float) -> None:
    arrived_by_lane = np.r_[False, (w.gap > 30 * MINUTE)[:-1] & w.inbound[:-1] & w.follows[:-1]]
    pos, team = w.pick(w.outbound & w.follows & arrived_by_lane, quota / 2)
    early = (w.draw(team, 0.1, 0.8) * w.gap[pos - 1]).astype(np.int64)
    w.scans.time[pos] = w.scans.time[pos - 1] - early
    w.label(pos)
    w.label(pos - 1)


def double_in(w: Workbench, quota: float) -> None:
    s = w.scans
    pos, team = w.pick(w.room(1) & w.inbound & (w.wait > 2 * DAY), quota)
    time = s.time[pos] + np.maximum(5 * HOUR, w.draw(team, 0.02, 0.5) * np.minimum(w.wait[pos], 20 * DAY)).astype(
        np.int64
    )
    w.add(w.items_of(pos), s.step[pos], s.place[pos], time)


def double_out(w: Workbench, quota: float) -> None:
    s = w.scans
    pos, team = w.pick(w.room(1) & w.outbound & w.followed & (w.wait > 3 * HOUR) & (w.wait < 2 * DAY), quota)
    time = s.time[pos] + (w.draw(team, 0.3, 0.8) * w.wait[pos]).astype(np.int64)
    w.add(w.items_of(pos), s.step[pos], s.place[pos], time)


def swapped_pair(w: Workbench, quota: float) -> None:
    s = w.scans
    pos, _ = w.pick(w.inbound & w.follows & (s.step >= 3), quota / 2)
    s.time[pos], s.time[pos - 1] = s.time[pos - 1].copy(), s.time[pos].copy()
    w.label(pos)
    w.label(pos - 1)


def clock_rolled_back(w: Workbench, quota: float) -> None:
    s = w.scans
    pos, team = w.pick(w.inbound & w.follows & (s.step >= 3) & np.r_[False, w.gap[:-1] > 8 * HOUR], quota)
    s.time[pos] = s.time[pos - 1] - secs(w.draw(team, 0.2, 6))
    w.label(pos)
