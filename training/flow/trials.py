"""Forecasts of each method from each origin, beside what came."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.flow.forecast.intervals import kind_of_series, width
from service.flow.forecast.middle import MEDIAN, forecasts_of
from service.flow.forecast.past import FlowMethod
from service.flow.series import MEASURES, FlowSeries
from service.progress import Progress
from training.flow.history import Rolling

MOST_SERIES = 80
"""Of each grain, those with the most departures: the rest is empty most of the time."""

STOCK = MEASURES[0]

WANDERING = (STOCK, MEASURES[2])
"""The measures whose errors of one stretch of time are alike: a stock is what it was the day before, but for what came
and left, and a cycle time is how long the throughput takes to use up a stock."""

_Numbers = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class FlowGroups:
    """S series of several grains: sums over the keys of a history."""

    grain: NDArray[np.str_]  # [S] the dimensions that a series has a value of, joined by commas
    name: list[str]  # [S] the values, joined by blanks
    members: NDArray[np.bool_]  # [S, K]


@dataclass(frozen=True, slots=True, eq=False)
class Trials:
    """What O origins, S series, H days ahead and 3 measures gave; NaN after the last day, and for cycles of nothing."""

    origin: NDArray[np.int64]  # [O] days since 1970
    groups: FlowGroups
    truth: _Numbers  # [O, S, H, 3]
    width: _Numbers  # [O, S, H, 3] what errors are divided by
    kind: NDArray[np.intp]  # [O, S] of the series, as it was known then
    forecasts: dict[str, _Numbers]  # [O, S, H, 3] by method

    @property
    def day(self) -> NDArray[np.int64]:
        """The day [O, H] that each forecast is of."""
        return self.origin[:, None] + 1 + np.arange(self.truth.shape[2])

    def origin_of(self, measure: str) -> NDArray[np.int64] | None:
        """Return the origins [O] of a measure whose errors are alike for a while; None of others."""
        return self.origin if measure in WANDERING else None


def groups_of(series: FlowSeries) -> FlowGroups:
    """Return the series of a history at every grain: all of it, each value of each dimension, each key."""
    grains: list[Sequence[str]] = [(), *((name,) for name in series.dimensions)]
    if len(series.dimensions) > 1:
        grains.append(series.dimensions)
    grain, names, members = [], [], []
    for dimensions in grains:
        values, inside = series.groups(dimensions)
        busiest = np.argsort(-(inside @ series.departures.sum(axis=1)), kind="stable")[:MOST_SERIES]
        grain += [",".join(dimensions)] * len(busiest)
        names += [" ".join(values[at].tolist()) for at in busiest]
        members.append(inside[busiest])
    return FlowGroups(np.array(grain), names, np.concatenate(members))


def try_out(  # noqa: PLR0913, PLR0917
    rolling: Rolling,
    groups: FlowGroups,
    methods: Sequence[FlowMethod],
    origins: NDArray[np.int64],
    days: int,
    progress: Progress,
) -> Trials:
    """Return the forecasts of ``methods`` and of their median from ``origins``, each from what was known then."""
    whole, first = rolling.whole, rolling.history.series.first_day
    came = np.pad(whole.stacked(), ((0, 0), (0, days), (0, 0)), constant_values=np.nan)
    shape = len(origins), len(groups.name), days, 3
    truth, widths = np.empty(shape, np.float32), np.empty(shape, np.float32)
    kind = np.empty(shape[:2], np.intp)
    of_name = {method.name: method for method in methods}
    forecasts = {name: np.empty(shape, np.float32) for name in (*of_name, MEDIAN)}
    for at, origin in enumerate(origins.tolist()):
        known = origin - first + 1
        past = rolling.past_at(origin)
        truth[at], widths[at], kind[at] = came[:, known : known + days], width(past, days), kind_of_series(past)
        for name, said in forecasts_of(of_name, forecasts, past, days).items():
            forecasts[name][at] = said
        progress("forecasts of the past", (at + 1) / len(origins))
    return Trials(origins, groups, truth, widths, kind, forecasts)
