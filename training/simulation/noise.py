"""Harmless noise: returns, rare lanes, blind gates, late, missed and repeated scans, none of which is an anomaly."""

from __future__ import annotations

import numpy as np

from training.simulation.catalogue import Catalogue
from training.simulation.gates import go_blind
from training.simulation.scans import DAY, END, HOUR, MAX_SCANS, MINUTE, NOISES, Scans, merged, new_scans, workday

_SHARE_LATE, _SHARE_MISSED, _SHARE_REPEATED, _SHARE_RETURNED = 0.012, 0.012, 0.012, 0.006  # of events


def add_noise(scans: Scans, cat: Catalogue, rng: np.random.Generator) -> Scans:
    """Work in returns, blind gates, late, missed and repeated scans, of which no scan takes part in two."""
    scans = go_blind(_return_items(scans, rng), cat, rng)
    n = len(scans)
    ends = np.r_[scans.item[1:] != scans.item[:-1], True]
    wait = np.where(ends, END - scans.time, np.r_[np.diff(scans.time), 0])
    clean = scans.noise == 0
    draw = rng.random(n)
    # Only stays are shortened by a late upload: a late outbound scan would make the transit impossibly fast.
    # They are about half of all scans.
    late = clean & (draw < _SHARE_LATE * 2) & np.isin(scans.step, (1, 3, 5, 7)) & (wait > 2 * DAY)
    scans.time[late] += (rng.uniform(2, 16, n) * HOUR).astype(np.int64)[late]
    scans.noise[late] = NOISES.index("late_scan")
    clean_next = np.r_[clean[1:] & ~late[1:], False]
    missed = clean & ~ends & clean_next & (draw > 1 - _SHARE_MISSED)
    missed[1:] &= ~missed[:-1]
    scans.noise[1:][missed[:-1]] = NOISES.index("missed_scan")
    again = (scans.noise == 0) & ~missed & (draw > 0.5) & (draw < 0.5 + _SHARE_REPEATED) & (wait > HOUR // 2)
    again &= np.bincount(scans.item)[scans.item] < MAX_SCANS
    at = np.flatnonzero(again)
    at = at[np.r_[True, np.diff(scans.item[at]) > 0]]  # one per item
    repeated = scans.take(at)
    repeated.time += np.exp(rng.uniform(np.log(3), np.log(12 * MINUTE), len(at))).astype(np.int64)
    repeated.noise[:] = NOISES.index("re_read")
    return merged([scans.take(~missed), repeated])


def _return_items(scans: Scans, rng: np.random.Generator) -> Scans:
    """Send some unsold items back one level: an outbound scan where they lie, an inbound one where they came from."""
    ends = np.r_[scans.item[1:] != scans.item[:-1], True]
    back = np.flatnonzero(ends & np.isin(scans.step, (5, 7)) & (END - scans.time > 6 * DAY))
    # Some neighbours in a shipment go back together.
    split = (rng.random(len(back)) < 1 / 4) | (np.diff(scans.item[back], prepend=-2) > 1)
    team = np.cumsum(split)
    wanted = _SHARE_RETURNED * len(scans) / 2 / max(len(back), 1)
    chosen = rng.random(int(team.max(initial=0)) + 1) < wanted
    days, hours = rng.uniform(1, 4, len(chosen)), rng.uniform(2, 16, len(chosen))
    keep = chosen[team]
    back, team = back[keep], team[keep]
    left = workday(scans.time[back] + (days[team] * DAY).astype(np.int64), 7, 22)
    arrived = left + (hours[team] * HOUR).astype(np.int64)
    item, step, noise = scans.item[back], scans.step[back], NOISES.index("return")
    return merged(
        [
            scans,
            new_scans(item, step + 1, scans.place[back], left, noise),
            new_scans(item, step - 2, scans.place[back - 1], arrived, noise),
        ]
    )
