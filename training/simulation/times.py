"""jump: scans at impossible times."""

from __future__ import annotations

import numpy as np

from training.simulation.catalogue import Bools
from training.simulation.scans import DAY, END
from training.simulation.workbench import Workbench, secs


def _on_lane(w: Workbench) -> Bools:
    return np.asarray(w.inbound & w.follows & (w.lane >= 0))


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
    eligible = w.outbound & w.follows & (w.scans.time + longest < END)
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
    pos, team = w.pick(_on_lane(w) & (w.scans.time < END - 6 * DAY), quota)
    w.delay_from(pos, secs(w.draw(team, 40, 130)))
    w.label(pos)
