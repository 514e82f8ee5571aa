"""Days on which all roads into an area are slow: normal, and shared by everything that goes there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.simulation.catalogue import Catalogue, Floats, Ints, Lanes
from training.simulation.scans import DAY, HOUR

_SPREAD_LEFT = 0.4  # of the distance from the lane's mean: in a jam all take about as long
_MORE_DAYS = 60  # that legs may leave on; later ones arrive after the window


@dataclass(frozen=True, slots=True, eq=False)
class Congestion:
    """How many times as long a leg takes, by the region that it leads to and the day on which it leaves."""

    factor: Floats  # [regions, days after 2025-07-01], 1 on most days
    region: Ints  # [P] of Places
    lanes: Lanes

    def of(self, target: Ints, left: Ints) -> Floats:
        """Return the factor of legs to the places ``target`` that leave at ``left`` (seconds)."""
        day = np.clip(left // DAY, 0, self.factor.shape[1] - 1)
        return np.asarray(self.factor[self.region[target], day])

    def slowed(self, usual: Ints, lane: Ints, factor: Floats) -> Ints:
        """Return the seconds on the road of legs that usually take ``usual`` seconds; at most twice their maximum."""
        mean, most = self.lanes.mean[lane] * HOUR, 2 * self.lanes.longest[lane] * HOUR
        jammed = np.minimum(factor * (mean + _SPREAD_LEFT * (usual - mean)), np.maximum(most, usual))
        return np.where(factor > 1, jammed.astype(np.int64), usual)

    def usual(self, seconds: Ints, lane: Ints, factor: Floats) -> Ints:
        """Return what ``slowed`` made ``seconds`` of, at least the lane's minimum."""
        mean, least = self.lanes.mean[lane] * HOUR, self.lanes.shortest[lane] * HOUR
        free = np.maximum(mean + (seconds / factor - mean) / _SPREAD_LEFT, least)
        return np.where(factor > 1, np.ceil(free).astype(np.int64), seconds)


def congestion(cat: Catalogue, rng: np.random.Generator) -> Congestion:
    """Draw the slow days of each region."""
    habits, region = cat.habits, cat.places.region
    shape = (int(region.max()) + 1, habits.end // DAY + _MORE_DAYS)
    slow = rng.random(shape) < habits.slow_days
    return Congestion(np.where(slow, rng.uniform(*habits.slow_by, shape), 1.0), region, cat.lanes)
