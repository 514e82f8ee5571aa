"""Forecasts that need no training: what every other one has to beat."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from service.flow.forecast.past import FlowPast

WEEK = 7


class SeasonalNaive:
    """Each day is like the same weekday of the last week."""

    name = "seasonal naive"
    least_days = WEEK

    def forecast(self, past: FlowPast, days: int) -> NDArray[np.float64]:
        """See `FlowMethod.forecast`."""
        week = past.stacked()[:, -WEEK:]
        usual = past.usual_cycle_h(WEEK)
        week[:, :, 2] = np.where(np.isnan(week[:, :, 2]), usual[:, None], week[:, :, 2])
        return week[:, np.arange(days) % WEEK]


class WeekdayMean:
    """Each day is like the mean of its weekday in the last 28 days."""

    name = "weekday mean"
    least_days = 4 * WEEK

    def forecast(self, past: FlowPast, days: int) -> NDArray[np.float64]:
        """See `FlowMethod.forecast`."""
        weeks = past.stacked()[:, -self.least_days :].reshape(len(past), 4, WEEK, 3)
        mean = weeks.mean(axis=1)  # [S, 7, 3]
        left = weeks[..., 1].sum(axis=1)  # [S, 7]
        hours = np.nan_to_num(weeks[..., 2] * weeks[..., 1]).sum(axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean[..., 2] = np.where(left > 0, hours / left, past.usual_cycle_h()[:, None])
        ahead: NDArray[np.float64] = mean[:, np.arange(days) % WEEK]
        return ahead


class LastDay:
    """All days are like the last one, but for cycle times, which are those of the last week: the stock stays."""

    name = "last value"
    least_days = WEEK

    def forecast(self, past: FlowPast, days: int) -> NDArray[np.float64]:
        """See `FlowMethod.forecast`."""
        last = past.stacked()[:, -1:]
        last[:, :, 1] = past.departures[:, -WEEK:].mean(axis=1, keepdims=True)
        last[:, :, 2] = past.usual_cycle_h(WEEK)[:, None]
        return np.repeat(last, days, axis=1)


BASELINES = (SeasonalNaive(), WeekdayMean(), LastDay())
"""What the served forecast is never much worse than."""
