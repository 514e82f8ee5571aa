"""jump: scans at impossible times."""

from __future__ import annotations

import numpy as np

from training.simulation.catalogue import Bools
from training.simulation.scans import DAY, HOUR
from training.simulation.workbench import Workbench, secs


def _on_lane(w: Workbench) -> Bools:
    return np.asarray(w.inbound & w.follows & (w.lane >= 0))


def fast_for_its_day(w: Workbench, quota: float) -> None:
    """At the lane's usual pace on a slow day, well ahead of all else that took the lane that day.

    There are at least eight of them, of which a run of neighbours may go ahead.
    """
    s, lanes = w.scans, w.cat.lanes
    pos = np.flatnonzero(_on_lane(w) & w.alive)
    left = s.time[pos - 1]
    slow = w.roads.of(s.place[pos], left) > 1
    pos, left = pos[slow], left[slow]
    _, same, count = np.unique(w.lane[pos] * 1000 + left // DAY, return_inverse=True, return_counts=True)
    quickest = np.full(len(count), w.cat.habits.end)
    np.minimum.at(quickest, same, s.time[pos] - left)
    order = np.argsort(same, kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order)) - np.searchsorted(same[order], same[order])
    begin = (w.rng.random(len(count)) * count).astype(np.int64)
    few = (rank - begin[same]) % count[same] < np.maximum(4, count[same] // 6)
    ahead = 0.65 * quickest[same] / HOUR
    eligible = np.zeros(len(s), dtype=bool)
    eligible[pos] = few & (count[same] >= 8) & (ahead > 0.5 * lanes.mean[w.lane[pos]])
    most = np.zeros(len(s))
    most[pos] = ahead
    pos, team = w.pick(eligible, quota)
    hours = np.maximum(w.draw(team, 0.45, 0.8) * lanes.mean[w.lane[pos]], 1.1 * lanes.shortest[w.lane[pos]])
    s.time[pos] = s.time[pos - 1] + secs(np.minimum(hours, most[pos]))
    w.label(pos)


def teleport(w: Workbench, quota: float) -> None:
    pos, team = w.pick(_on_lane(w) & (w.km > 60), quota)
    w.scans.time[pos] = w.scans.time[pos - 1] + secs(w.draw(team, 0.02, 0.2))
    w.label(pos)


def below_minimum(w: Workbench, quota: float) -> None:
    shortest = w.cat.lanes.shortest[w.lane]
    pos, team = w.pick(_on_lane(w) & (w.km < 110 * 0.45 * shortest), quota)  # never faster than 110 km/h
    w.scans.time[pos] = w.scans.time[pos - 1] + secs(w.draw(team, 0.45, 0.85) * shortest[pos])
    w.label(pos)


def _stall(w: Workbench, quota: float, factor: tuple[float, float], least: tuple[float, float]) -> None:
    """Stay ``factor`` times as long as the mates, and at least so many days longer; later scans move along."""
    longest = np.maximum(w.gap * (factor[1] - 1), least[1] * DAY)
    eligible = w.outbound & w.follows & (w.scans.time + longest < w.cat.habits.end)
    pos, team = w.pick(eligible, quota)
    more = np.maximum(w.gap[pos] * (w.draw(team, *factor) - 1), w.draw(team, *least) * DAY)
    w.delay_from(pos, more.astype(np.int64))
    w.label(pos)


def stalled_for_months(w: Workbench, quota: float) -> None:
    _stall(w, quota, factor=(1, 1), least=(50, 75))


def stalled_behind_mates(w: Workbench, quota: float) -> None:
    _stall(w, quota, factor=(2, 3), least=(12, 25))


def slow_transit(w: Workbench, quota: float) -> None:
    """Days on the road of a few hours that the mates took in normal time."""
    pos, team = w.pick(_on_lane(w) & (w.scans.time < w.cat.habits.end - 6 * DAY), quota)
    w.delay_from(pos, secs(w.draw(team, 40, 130)))
    w.label(pos)
