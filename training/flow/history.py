"""A history to learn from: daily series, and the items behind them if they are known."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from service.flow.forecast.past import FlowPast
from service.flow.forecast.stock import Stock
from service.flow.series import FlowSeries
from training.flow.items import ItemDays


@dataclass(frozen=True, slots=True, eq=False)
class FlowHistory:
    """What is known of a network's flow."""

    series: FlowSeries  # K keys
    items: ItemDays | None = None  # None: counts alone

    def stock(self, day: int) -> Stock | None:
        """Return the stock at the end of a day; None if no items are known."""
        return None if self.items is None else self.items.stock(day)


@dataclass(frozen=True, slots=True, eq=False)
class Rolling:
    """S sums of the keys of a history, as they were known at the end of any day."""

    history: FlowHistory
    members: NDArray[np.bool_]  # [S, K]
    whole: FlowPast  # with what came
    _stock: dict[int, NDArray[np.float64]] = field(default_factory=dict)  # by day: it takes a third of a second

    @classmethod
    def of(cls, history: FlowHistory, members: NDArray[np.bool_]) -> Rolling:
        """Return the sums of groups of keys [S, K]."""
        return cls(history, members, FlowPast.of(history.series, members))

    def past_at(self, day: int) -> FlowPast:
        """Return what was known at the end of a day."""
        known = day - self.history.series.first_day + 1
        whole = self.whole
        return FlowPast(day, whole.wip[:, :known], whole.departures[:, :known], whole.cycle_h[:, :known], self._at(day))

    def _at(self, day: int) -> NDArray[np.float64] | None:
        if self.history.items is None:
            return None
        if day not in self._stock:
            stock = self.history.stock(day)
            assert stock is not None  # noqa: S101 - there are items
            of_series = stock.ahead_of_series(len(self.history.series))
            self._stock[day] = np.tensordot(self.members.astype(np.float64), of_series, axes=1)
        return self._stock[day]
