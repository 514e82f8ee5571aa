"""Sites whose work in progress or dwell leaves the band that it had kept to.

The band is that of 28 days which end a week before the last complete one: Tukey's outer fences, quartiles less and
plus three times what is between them (Tukey, "Exploratory Data Analysis", 1977). Flow comes in shipments, so that
limits by standard deviations would be left every week. What stands still as a shipment that is known to have stalled
is not counted: that alarm has been raised, with its reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from service.flow.sites import SiteDays

BAND_DAYS, LAST_DAYS = 28, 7
FENCE = 3.0
"""Times the distance of the quartiles."""

SHIPMENTS = 2
"""So many shipments more or less than usual are no alarm: two may come on one day."""

_LEAST_DAYS = 14  # with a value, of BAND_DAYS
_LEAST_LEFT = 5  # departures of a day whose dwell counts
_LEAST_WIDTH = 0.1  # of the median: a flow that never changes has no width of its own

_Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class BandAlert:
    """A site outside of its band."""

    location_id: int
    measure: str  # "wip" or "dwell_h"
    day: int  # since 1970, the last complete one with a value
    value: float
    lower: float
    upper: float
    days: int  # in a row that it is outside, up to LAST_DAYS
    stalled_items: int  # that were not counted


@dataclass(frozen=True, slots=True, eq=False)
class Bands:
    """The bands of some sites, and who is outside."""

    measured: int  # sites and measures with a band
    alerts: list[BandAlert] = field(default_factory=list)


def out_of_band(sites: SiteDays, stalled: Mapping[int, int] | None = None) -> Bands:
    """Return who is outside of his band; ``stalled`` items by site were left out of ``sites``."""
    found: list[BandAlert] = []
    measured = 0
    for at in range(len(sites)):
        enough = np.where(sites.departures[at] >= _LEAST_LEFT, sites.dwell_h[at], np.nan)
        for name, values in (("wip", sites.mean_wip[at]), ("dwell_h", enough)):
            known = values[: int(sites.complete[at])]
            band = _band(known[-BAND_DAYS - LAST_DAYS : -LAST_DAYS], stock=name == "wip")
            if band is None or not len(last := _last(known)):
                continue
            measured += 1
            outside = (known[last] < band[0]) | (known[last] > band[1])
            if outside[-1]:
                streak = int(np.argmin(outside[::-1])) or len(outside)
                day = int(last[-1])
                found.append(
                    BandAlert(
                        location_id=int(sites.location_id[at]),
                        measure=name,
                        day=sites.first_day + day,
                        value=float(known[day]),
                        lower=band[0],
                        upper=band[1],
                        days=streak,
                        stalled_items=(stalled or {}).get(int(sites.location_id[at]), 0),
                    )
                )
    return Bands(measured, found)


def _band(values: _Numbers, *, stock: bool) -> tuple[float, float] | None:
    """Return the least and the most that is usual, None if nobody knows.

    A ``stock`` varies at least by chance, as counts do, and by two of the largest shipments of its band.
    """
    known = values[np.isfinite(values)]
    if len(known) < _LEAST_DAYS or known.max() <= 0:
        return None
    low, middle, high = np.quantile(known, [0.25, 0.5, 0.75]).tolist()
    reach = FENCE * max(high - low, _LEAST_WIDTH * middle, middle**0.5 if stock else 0.0)
    if stock:
        reach = max(reach, SHIPMENTS * float(np.abs(np.diff(known)).max()))
    return max(low - reach, 0.0), high + reach


def _last(values: _Numbers) -> NDArray[np.intp]:
    """Return those of the last days that have a value."""
    first = max(len(values) - LAST_DAYS, 0)
    return np.flatnonzero(np.isfinite(values[first:])) + first
