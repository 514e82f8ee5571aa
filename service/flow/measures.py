"""Work in progress, arrivals, departures, dwell and cycle time by site, step, product and day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from service.errors import InvalidRequest
from service.events.codes import parse
from service.events.zones import TimeZones
from service.flow.stays import Known, Stays

DAY_US = 86_400_000_000

SURE_SHARE = 0.95
"""A day counts as complete if so much of what leaves on it would have been seen at the next place by the last scan."""

MOST_DAYS, MOST_CELLS = 3_660, 100_000_000
"""Of what is measured: one scan of a clock that was wrong must not cost the memory of millennia without any. Cells are
days of a site, step and product."""

_Numbers = NDArray[np.float64]
_Ids = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Flow:
    """R rows in the order of (site, step, product, day); days without stock and scans have none."""

    location_id: _Ids  # [R]
    step: NDArray[np.int8]  # [R]
    product: _Ids  # [R] of the code, -1 for malformed ones
    day: _Ids  # [R] days since 1970 on the wall clock of the site
    arrivals: _Ids  # [R] items that came
    departures: _Ids  # [R] items that left
    departures_by_rule: _Ids  # [R] of these, those without a scan of it
    wip: _Ids  # [R] items there as the day ends
    mean_wip: _Numbers  # [R] items there, averaged over the day
    dwell_h: _Numbers  # [R] mean stay of what left, NaN if nothing did
    cycle_h: _Numbers  # [R] mean age, since the first scan anywhere, of what left; NaN if nothing did
    is_complete: NDArray[np.bool_]  # [R] False for the last days, whose departures are known only later

    def __len__(self) -> int:
        return len(self.day)

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_]) -> Flow:
        """Return some of the rows."""
        return Flow(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})


def measure(stays: Stays, epc_codes: Sequence[str], zones: TimeZones, most_cells: int = MOST_CELLS) -> Flow:
    """Return the measures of stays of items with ``epc_codes``; sales are no stays, and count where they are sold.

    Memory is that of sites x products x days, whatever the number of events.

    Raises:
        InvalidRequest: there are more than `MOST_DAYS` days, or more than ``most_cells`` of those; of the field data.
    """
    product = parse(epc_codes).product[stays.epc]
    keys = np.stack([stays.location_id, stays.step.astype(np.int64), product])
    groups, group = np.unique(keys, axis=1, return_inverse=True)
    group = group.reshape(-1)
    left = stays.has_left
    arrived_us = zones.local_us(stays.arrived_us, stays.location_id)
    left_us = zones.local_us(np.where(left, stays.left_us, stays.last_us), stays.location_id)
    first_day = int(arrived_us.min()) // DAY_US
    days = int(max(left_us.max(), arrived_us.max())) // DAY_US - first_day + 1
    if days > MOST_DAYS:
        raise InvalidRequest([("data", too_long(first_day, days))])
    if groups.shape[1] * days > most_cells:
        raise InvalidRequest(
            [
                (
                    "data",
                    f"has {groups.shape[1]:,} sites with their steps and products, on {days:,} days each: give at most"
                    f" {most_cells:,} of these days",
                )
            ]
        )
    came, went = _Days(group, arrived_us, first_day, days), _Days(group[left], left_us[left], first_day, days)
    shape = groups.shape[1], days
    arrivals, departures = came.counts(shape), went.counts(shape)
    wip = (arrivals - departures).cumsum(axis=1)
    rest = came.sums(shape, came.rest_of_day) - went.sums(shape, went.rest_of_day)
    mean_wip = wip - arrivals + departures + rest
    dwell_us, cycle_us = (stays.left_us - since for since in (stays.arrived_us, stays.first_us))
    by_rule = went.sums(shape, (stays.departure[left] == Known.BY_RULE).astype(np.float64))
    with np.errstate(invalid="ignore"):
        dwell, cycle = (went.sums(shape, us[left] / 3.6e9) / departures for us in (dwell_us, cycle_us))
    at, day = np.nonzero((arrivals > 0) | (departures > 0) | (mean_wip > 1e-9))
    complete_until_us = stays.last_us - _lateness_us(stays)
    return Flow(
        location_id=groups[0, at],
        step=groups[1, at].astype(np.int8),
        product=groups[2, at],
        day=day + first_day,
        arrivals=arrivals[at, day],
        departures=departures[at, day],
        departures_by_rule=by_rule[at, day].astype(np.int64),
        wip=wip[at, day],
        mean_wip=mean_wip[at, day],
        dwell_h=dwell[at, day],
        cycle_h=cycle[at, day],
        is_complete=zones.instant_us((day + first_day + 1) * DAY_US, groups[0, at]) <= complete_until_us,
    )


def too_long(first_day: int, days: int) -> str:
    """Return what is wrong with so many days from a day since 1970 on."""
    first, last = (np.datetime64(day, "D") for day in (first_day, first_day + days - 1))
    return (
        f"is from {first} to {last}, {days:,} days: at most {MOST_DAYS:,} can be measured; if a clock was wrong,"
        " leave its scans out"
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Days:
    """M moments of groups, by day."""

    group: NDArray[np.intp]  # [M]
    local_us: _Ids  # [M]
    first_day: int
    days: int

    @property
    def rest_of_day(self) -> _Numbers:
        """What is left [M] of the day of each moment, 0 .. 1."""
        return 1 - (self.local_us % DAY_US) / DAY_US

    def counts(self, shape: tuple[int, int]) -> _Ids:
        """Return how many moments [G, D] of each group there are on each day."""
        return np.bincount(self._place(), minlength=shape[0] * shape[1]).reshape(shape)

    def sums(self, shape: tuple[int, int], values: _Numbers) -> _Numbers:
        """Return the sums [G, D] of ``values`` [M]."""
        total = np.bincount(self._place(), values, minlength=shape[0] * shape[1]).astype(np.float64)
        return total.reshape(shape)

    def _place(self) -> NDArray[np.int64]:
        return self.group.astype(np.int64) * self.days + self.local_us // DAY_US - self.first_day


def _lateness_us(stays: Stays) -> int:
    """Return after how long a departure is known: the time by which SURE_SHARE of the items reach the next place.

    A departure without a scan is known by the arrival at the next place alone, so that the last days lack some.
    """
    follows = stays.epc[1:] == stays.epc[:-1]
    on_way = (stays.arrived_us[1:] - stays.left_us[:-1])[follows]
    return int(np.quantile(on_way, SURE_SHARE)) if len(on_way) else 0
