"""Daily flow of plants that do not exist, item by item, so that it obeys Little's law as a real one does.

Each series (plant x application x panel size) is a queue without an end: items come by chance around a rate that has a
year, a week and a wandering noise, and each stays its own time. All that is counted is counted of these items, so WIP
follows from what comes and how long it stays, and no number is drawn beside another that it has to agree with.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import IO

import numpy as np
from numpy.typing import NDArray

from service.errors import InvalidRequest

PLANT_COLUMNS = (
    "plant",
    "application",
    "panel_size",
    "day",
    "arrivals",
    "departures",
    "wip",
    "mean_wip",
    "dwell_h",
    "cycle_h",
    "complete",
)
"""Of the table that `write_plants` writes; those after the names mean the same as in a table of sites."""

MOST_SERIES, MOST_ITEMS, MOST_DAYS, MOST_STAY_DAYS = 500, 5_000_000, 3_660, 120.0
"""Items are what takes time: five million, some three seconds. A series at a time is in memory."""

_MOST_NAME = 60
_STAYS = 4.0  # shape of the gamma distribution of stays: as if four machines stood in a row
_WARM_UP = 6  # mean stays before the first day, after which hardly anything is left of the empty start
_WANDER = 0.9  # correlation of the noise of a day with that of the day before
_SPREAD = 0.3  # of the sizes of series around the base
_WEEK = np.array([0.2, 0.2, 0.2, 0.2, 0.2, -0.4, -0.6])  # Monday to Sunday, times the seasonality
_YEAR_DAYS = 365.25

_Counts = NDArray[np.int64]
_Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PlantPlan:
    """What is to be generated."""

    plants: Sequence[str] = ("P1", "P2")
    applications: Sequence[str] = ("TV", "Monitor", "Mobile")
    panel_sizes: Sequence[str] = ("32", "55", "65")
    historical_days: int = 545
    base_wip: float = 100.0  # items of a series, on average
    base_throughput: float = 50.0  # items per day of a series, on average
    seasonality: float = 0.2  # share by which the year moves the rate; half of it, about, by which the week does
    noise_level: float = 0.1  # standard deviation of the logarithm of rate and stay, beside the chance of single items
    seed: int = 0
    last_day: date = date(2025, 12, 31)

    def check(self) -> None:
        """Raise InvalidRequest that names each field that cannot be used."""
        wrong = [
            *_names("plants", self.plants),
            *_names("applications", self.applications),
            *_names("panel_sizes", self.panel_sizes),
            *_within("historical_days", self.historical_days, 1, MOST_DAYS),
            *_within("base_wip", self.base_wip, 1e-3, 1e6),
            *_within("base_throughput", self.base_throughput, 1e-3, 1e6),
            *_within("seasonality", self.seasonality, 0, 0.9),
            *_within("noise_level", self.noise_level, 0, 1),
            *_within("seed", self.seed, 0, 2**31 - 1),
        ]
        if not wrong:
            wrong = self._too_much()
        if wrong:
            raise InvalidRequest(wrong)

    def _too_much(self) -> list[tuple[str, str]]:
        stay = self.base_wip / self.base_throughput
        if stay > MOST_STAY_DAYS:
            text = f"is {stay:,.0f} days of base_throughput: give at most {MOST_STAY_DAYS:.0f} days of it"
            return [("base_wip", text)]
        series = len(self.plants) * len(self.applications) * len(self.panel_sizes)
        if series > MOST_SERIES:
            return [("panel_sizes", f"make {series} series with plants and applications: give at most {MOST_SERIES}")]
        items = series * (self.historical_days + _WARM_UP * stay) * self.base_throughput
        if items > MOST_ITEMS:
            return [("base_throughput", f"makes {items:,.0f} items of all series: give less, at most {MOST_ITEMS:,}")]
        return []


@dataclass(frozen=True, slots=True, eq=False)
class PlantDays:
    """The flow of S series on D days."""

    names: Sequence[tuple[str, str, str]]  # [S] plant, application, panel size
    day: _Counts  # [D] days since 1970
    arrivals: _Counts  # [S, D] items that came
    departures: _Counts  # [S, D] items that left
    wip: _Counts  # [S, D] items there as the day ends
    mean_wip: _Numbers  # [S, D] items there, averaged over the day
    dwell_h: _Numbers  # [S, D] mean stay of what left, NaN if nothing did

    @property
    def law_error(self) -> _Numbers:
        """How far each series [S] is from Little's law over all days: |WIP - departures x stay| by WIP."""
        stays_h = np.nansum(self.dwell_h * self.departures, axis=1)
        wip = self.mean_wip.mean(axis=1)
        error: _Numbers = np.abs(wip - stays_h / 24 / len(self.day)) / np.maximum(wip, 1e-12)
        return error


def generate(plan: PlantPlan) -> PlantDays:
    """Return the flow that ``plan`` says; the same plan gives the same numbers.

    Raises:
        InvalidRequest: the plan cannot be; names each field.
    """
    plan.check()
    names = [(p, a, s) for p in plan.plants for a in plan.applications for s in plan.panel_sizes]
    last = (plan.last_day - date(1970, 1, 1)).days
    day = np.arange(last - plan.historical_days + 1, last + 1)
    sizes = np.random.default_rng([plan.seed, 1]).uniform(1 - _SPREAD, 1 + _SPREAD, (2, len(names)))
    sizes /= sizes.mean(axis=1, keepdims=True)  # on average, series are as the plan says
    seeds = np.random.SeedSequence(plan.seed).spawn(len(names))
    made = [
        _series(plan, day, rate, stay, np.random.default_rng(seed))
        for rate, stay, seed in zip(*sizes, seeds, strict=True)
    ]
    columns = (np.stack(column) for column in zip(*made, strict=True))
    return PlantDays(names, day, *columns)


def _series(
    plan: PlantPlan, day: _Counts, rate_size: float, stay_size: float, rng: np.random.Generator
) -> tuple[_Counts, _Counts, _Counts, _Numbers, _Numbers]:
    """Return arrivals, departures, WIP, mean WIP and mean stay in hours of one series, each [D]."""
    stay_days = plan.base_wip / plan.base_throughput * stay_size
    warm_up, days = int(np.ceil(_WARM_UP * stay_days)) + 1, len(day)
    dates = np.arange(day[0] - warm_up, day[-1] + 1)
    year = np.sin(2 * np.pi * (dates / _YEAR_DAYS + rng.uniform()))
    season = 1 + plan.seasonality * (year + _WEEK[(dates + 3) % 7])  # 1970 began on a Thursday
    rate = plan.base_throughput * rate_size * np.maximum(season, 0.0) * _noise(plan.noise_level, len(dates), rng)
    of_day = np.repeat(np.arange(len(dates)), rng.poisson(rate))
    came = of_day + rng.uniform(size=len(of_day)) - warm_up  # in days since the first one
    stay = stay_days * _noise(plan.noise_level, len(dates), rng)[of_day] * rng.gamma(_STAYS, 1 / _STAYS, len(of_day))
    left = came + stay
    (arrivals, came_area), (departures, left_area) = _by_day(came, days), _by_day(left, days)
    there_before = int(((came < 0) & (left >= 0)).sum())
    wip: _Counts = there_before + (arrivals - departures).cumsum()
    mean_wip: _Numbers = wip - arrivals + departures + came_area - left_area
    gone = (left >= 0) & (left < days)
    stays = np.bincount(left[gone].astype(np.int64), stay[gone], minlength=days)
    with np.errstate(invalid="ignore"):
        dwell_h = stays * 24 / departures
    return arrivals, departures, wip, mean_wip, dwell_h


def _by_day(moment: _Numbers, days: int) -> tuple[_Counts, _Numbers]:
    """Return how many moments each day [D] has, and the sum of what is left of the day at each."""
    inside = moment[(moment >= 0) & (moment < days)]
    of_day = inside.astype(np.int64)
    rest = np.bincount(of_day, 1 - (inside - of_day), minlength=days).astype(np.float64)
    return np.bincount(of_day, minlength=days), rest


def _noise(level: float, days: int, rng: np.random.Generator) -> _Numbers:
    """Return a factor [days] around 1 that wanders from day to day."""
    steps = rng.normal(size=days) * np.sqrt(1 - _WANDER**2)
    steps[0] /= np.sqrt(1 - _WANDER**2)
    wandering = np.empty(days)
    value = 0.0
    for at, step in enumerate(steps.tolist()):
        value = _WANDER * value + step
        wandering[at] = value
    return np.exp(level * wandering - level**2 / 2)


def plant_rows(data: PlantDays) -> Iterator[tuple[object, ...]]:
    """Yield a row of `PLANT_COLUMNS` per series and day."""
    days = data.day.astype("datetime64[D]").astype(str).tolist()
    for at, names in enumerate(data.names):
        columns = (data.arrivals[at], data.departures[at], data.wip[at], data.mean_wip[at], data.dwell_h[at])
        for day, came, left, wip, mean_wip, dwell_h in zip(days, *(column.tolist() for column in columns), strict=True):
            hours = "" if dwell_h != dwell_h else round(dwell_h, 3)  # noqa: PLR0124 - NaN: nothing left
            yield (*names, day, came, left, wip, round(mean_wip, 3), hours, hours, True)


def write_plants(data: PlantDays, out: IO[str]) -> None:
    """Write all rows as CSV."""
    table = csv.writer(out, lineterminator="\n")
    table.writerow(PLANT_COLUMNS)
    table.writerows(plant_rows(data))


def _names(field: str, names: Sequence[str]) -> list[tuple[str, str]]:
    if not names:
        return [(field, "is empty: give at least one name")]
    if any(not name.strip() or len(name) > _MOST_NAME or not name.isprintable() for name in names):
        return [(field, f"has a name that is empty, not printable or longer than {_MOST_NAME} characters")]
    if len(set(names)) < len(names):
        return [(field, "has a name twice: give each once")]
    return []


def _within(field: str, value: float, low: float, high: float) -> list[tuple[str, str]]:
    if low <= value <= high:
        return []
    return [(field, f"is {value:g}: give a number from {low:g} to {high:g}")]
