"""Harmless noise: returns, rare lanes, blind gates, late, missed and repeated scans, none of which is an anomaly."""

from __future__ import annotations

import numpy as np

from training.simulation.catalogue import Catalogue
from training.simulation.gates import go_blind
from training.simulation.networks.habits import Habits
from training.simulation.scans import DAY, HOUR, MAX_SCANS, MINUTE, NOISES, Scans, merged, new_scans, workday


def add_noise(scans: Scans, cat: Catalogue, rng: np.random.Generator) -> Scans:
    """Work in returns, blind gates, late, missed and repeated scans, of which no scan takes part in two."""
    scans = go_blind(_return_items(scans, cat.habits, rng), cat, rng)
    shares, end = cat.habits.noise, cat.habits.end
    n = len(scans)
    ends = np.r_[scans.item[1:] != scans.item[:-1], True]
    wait = np.where(ends, end - scans.time, np.r_[np.diff(scans.time), 0])
    clean = scans.noise == 0
    draw = rng.random(n)
    # Only stays are shortened by a late upload: a late outbound scan would make the transit impossibly fast.
    # They are about half of all scans.
    late = clean & (draw < shares.late * 2) & np.isin(scans.step, (1, 3, 5, 7)) & (wait > 2 * DAY)
    scans.time[late] += (rng.uniform(2, 16, n) * HOUR).astype(np.int64)[late]
    scans.noise[late] = NOISES.index("late_scan")
    clean_next = np.r_[clean[1:] & ~late[1:], False]
    missed = clean & ~ends & clean_next & (draw > 1 - shares.missed)
    missed[1:] &= ~missed[:-1]
    scans.noise[1:][missed[:-1]] = NOISES.index("missed_scan")
    again = (scans.noise == 0) & ~missed & (draw > 0.5) & (draw < 0.5 + shares.repeated) & (wait > HOUR // 2)
    again &= np.bincount(scans.item)[scans.item] < MAX_SCANS
    at = np.flatnonzero(again)
    at = at[np.diff(scans.item[at], prepend=-1) > 0]  # one per item
    repeated = scans.take(at)
    repeated.time += np.exp(rng.uniform(np.log(3), np.log(12 * MINUTE), len(at))).astype(np.int64)
    repeated.noise[:] = NOISES.index("re_read")
    return merged([scans.take(~missed), repeated])


def _return_items(scans: Scans, habits: Habits, rng: np.random.Generator) -> Scans:
    """Send some unsold items back one level: an outbound scan where they lie, an inbound one where they came from."""
    ends = np.r_[scans.item[1:] != scans.item[:-1], True]
    back = np.flatnonzero(ends & np.isin(scans.step, (5, 7)) & (habits.end - scans.time > 6 * DAY))
    # Some neighbours in a shipment go back together.
    split = (rng.random(len(back)) < 1 / 4) | (np.diff(scans.item[back], prepend=-2) > 1)
    team = np.cumsum(split)
    wanted = habits.noise.returned * len(scans) / 2 / max(len(back), 1)
    chosen = rng.random(int(team.max(initial=0)) + 1) < wanted
    days, hours = rng.uniform(1, 4, len(chosen)), rng.uniform(2, 16, len(chosen))
    keep = chosen[team]
    back, team = back[keep], team[keep]
    left = workday(scans.time[back] + (days[team] * DAY).astype(np.int64), *habits.work_hours)
    arrived = left + (hours[team] * HOUR).astype(np.int64)
    above = np.array([habits.before(step) for step in range(MAX_SCANS)])
    item, step, noise = scans.item[back], scans.step[back], NOISES.index("return")
    return merged(
        [
            scans,
            new_scans(item, step + 1, scans.place[back], left, noise),
            new_scans(item, above[step], scans.place[back - 1], arrived, noise),
        ]
    )
