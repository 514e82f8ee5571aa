"""Flow by site and day: what bands, advice and charts look at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.flow.measures import Flow

_Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class SiteDays:
    """K sites on T days without a gap; all steps and products together."""

    location_id: NDArray[np.int64]  # [K]
    step: NDArray[np.int8]  # [K] of most that leaves
    first_day: int  # since 1970
    complete: NDArray[np.int64]  # [K] days, of T, up to the last that is complete
    arrivals: _Numbers  # [K, T]
    departures: _Numbers  # [K, T]
    wip: _Numbers  # [K, T] as the day ends
    mean_wip: _Numbers  # [K, T]
    dwell_h: _Numbers  # [K, T] mean of what left, NaN if nothing did

    def __len__(self) -> int:
        return len(self.location_id)

    @property
    def days(self) -> int:
        """T."""
        return int(self.wip.shape[1])


def site_days(flow: Flow) -> SiteDays:
    """Return the flow of at least one row by site."""
    sites, at = np.unique(flow.location_id, return_inverse=True)
    first = int(flow.day.min())
    shape = len(sites), int(flow.day.max()) - first + 1
    place = at.reshape(-1) * shape[1] + flow.day - first

    def summed(column: NDArray[np.generic]) -> _Numbers:
        weights = column.astype(np.float64)
        return np.bincount(place, weights, minlength=shape[0] * shape[1]).astype(np.float64).reshape(shape)

    departures = summed(flow.departures)
    hours = summed(np.nan_to_num(flow.dwell_h * flow.departures))
    late = np.full(shape[0], shape[1])
    np.minimum.at(late, at.reshape(-1)[~flow.is_complete], (flow.day - first)[~flow.is_complete])
    with np.errstate(invalid="ignore", divide="ignore"):
        dwell = np.where(departures > 0, hours / departures, np.nan)
    step = np.full(shape[0], -1, dtype=np.int8)
    order = np.argsort(flow.departures, kind="stable")
    step[at.reshape(-1)[order]] = flow.step[order]
    return SiteDays(
        sites, step, first, late, summed(flow.arrivals), departures, summed(flow.wip), summed(flow.mean_wip), dwell
    )
