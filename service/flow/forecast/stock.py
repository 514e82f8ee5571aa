"""What leaves and comes by the items that are there: how old they are, how long such ones stay, where they go next.

The stock of each key (a node, which is a site or the sales of one, and a product) is kept by age in days. A day ahead,
a share of each age leaves, the hazard of Kaplan and Meier (1958), moved by the weekday; what left comes to the next
node some days later, as others did before it; what is new to the network comes as on this weekday in the last weeks.
What stands still longer than 199 of 200 such items stay has stalled: nobody knows when it goes on, so it stays.
No package for survival is used: the hazards are two counts by age.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.flow.forecast.past import MOST_DAYS, FlowPast

_Numbers = NDArray[np.float64]

AGES = 120
"""Days of age that are told apart; older items are as those."""

STALLED = 0.005
"""An item has stalled at an age to which fewer of those at its node stay: ``Analyze`` says so with its next scan."""

LAGS = 21
"""Days on the way that are told apart, from 0 on; what takes longer is a last one."""


@dataclass(frozen=True, slots=True, eq=False)
class _Way:
    """U pairs of a node and a lag from which anything comes."""

    key: NDArray[np.int64]  # [U, P] of that node and each product, K where there is none
    lag: NDArray[np.int64]  # [U, 1]
    shares: _Numbers  # [N, U]
    cell: NDArray[np.int64]  # [N, P] the key of each node and product, K where there is none


@dataclass(frozen=True, slots=True, eq=False)
class Stock:
    """The items of K keys at the end of a day, and how items of N nodes move."""

    last_day: int  # days since 1970
    node: NDArray[np.int64]  # [K] of N
    product: NDArray[np.int64]  # [K] number of it, of P
    series_key: NDArray[np.int64]  # [K] key of the series that it is a part of, -1: of none
    there: _Numbers  # [K, AGES] items by whole days since they came
    hours: _Numbers  # [K, AGES] of them, the sum of hours from the first scan anywhere to coming here
    left: _Numbers  # [K, LAGS] items that left on the last days, the last day first
    left_hours: _Numbers  # [K, LAGS] of them, the sum of hours from the first scan to leaving
    hazard: _Numbers  # [N, AGES] share that leaves on a day, of those of an age, 0 .. 1
    weekday: _Numbers  # [N, 7] factor of the hazard, by day since 1970 modulo 7
    moves: _Numbers  # [LAGS, N, N] share of what leaves a node that comes to another so many days later
    entering: _Numbers  # [K, 7] items a day that are new to the network, by day modulo 7

    @property
    def stalled(self) -> _Numbers:
        """Items [K, AGES] by whole days since they came that stand still: no part of what is expected to leave."""
        stays = np.cumprod(1 - self.hazard, axis=1)  # to that age and beyond
        stood: _Numbers = np.where(stays[self.node] < STALLED, self.there, 0.0)
        return stood

    def stalled_of_series(self, series: int) -> _Numbers:
        """Return the items [keys] that stand still for each of the keys of a ``series`` of that many."""
        kept = self.series_key >= 0
        return np.bincount(self.series_key[kept], self.stalled.sum(axis=1)[kept], minlength=series).astype(np.float64)

    def ahead_of_series(self, series: int, days: int = MOST_DAYS) -> _Numbers:
        """Return `ahead` for each of the keys of a ``series`` of that many: [keys, 1 + days, 3]."""
        kept = self.series_key >= 0
        found = np.zeros((series, days + 1, 3))
        np.add.at(found, self.series_key[kept], self.ahead(days)[kept])
        return found

    def ahead(self, days: int = MOST_DAYS) -> _Numbers:
        """Return wip, departures and the hours of what leaves, summed, [K, 1 + days, 3]; first of the last day."""
        stalled = self.stalled
        standing = stalled.sum(axis=1)
        there, hours = self.there - stalled, np.where(stalled > 0, 0.0, self.hours)
        left, left_hours = self.left.copy(), self.left_hours.copy()
        found = np.zeros((len(self.node), days + 1, 3))
        found[:, 0, 0] = standing + there.sum(axis=1)
        same_day, later = self._ways()
        for at in range(days):
            weekday = (self.last_day + 1 + at) % 7
            share = np.minimum(self.hazard * self.weekday[:, weekday, None], 1.0)[self.node]
            for stock in (there, hours):
                stock[:, -1] += stock[:, -2]
                stock[:, 1:-1] = stock[:, :-2]
            left, left_hours = np.roll(left, 1, axis=1), np.roll(left_hours, 1, axis=1)
            there[:, 0], hours[:, 0] = self._coming(left, left_hours, later)
            there[:, 0] += self.entering[:, weekday]
            goes, goes_hours = there * share, hours * share
            there -= goes
            hours -= goes_hours
            now, now_hours = goes.sum(axis=1), goes_hours.sum(axis=1) + goes @ _STAY_H
            left[:, 0], left_hours[:, 0] = now, now_hours
            for stop in range(_STOPS_OF_A_DAY):
                came, came_hours = self._coming(now[:, None], now_hours[:, None], same_day)
                goes_on = share[:, 0] if stop < _STOPS_OF_A_DAY - 1 else 0.0 * share[:, 0]
                now, now_hours = came * goes_on, came_hours * goes_on
                there[:, 0] += came - now
                hours[:, 0] += came_hours - now_hours
                now_hours += now * _STAY_H[0]
                left[:, 0] += now
                left_hours[:, 0] += now_hours
            found[:, at + 1] = np.stack([standing + there.sum(axis=1), left[:, 0], left_hours[:, 0]], axis=1)
        return found

    def _ways(self) -> tuple[_Way, _Way]:
        """Return the moves of the same day, and those that take longer."""
        moves = self.moves.reshape(-1, len(self.hazard))  # [LAGS N, N]
        nodes = len(self.hazard)
        cell = np.full((nodes, int(self.product.max()) + 1), len(self.node))
        cell[self.node, self.product] = np.arange(len(self.node))
        used = np.flatnonzero(moves.any(axis=1))
        same = used < nodes
        of_same, of_later = (
            _Way(cell[some % nodes], (some // nodes)[:, None], moves[some].T, cell)
            for some in (used[same], used[~same])
        )
        return of_same, of_later

    def _coming(self, left: _Numbers, left_hours: _Numbers, way: _Way) -> tuple[_Numbers, _Numbers]:
        """Return the items [K] that come from other nodes on a day, and their hours since the first scan.

        ``left`` [K, days] holds what left so many days before.
        """
        came, since = np.zeros(len(self.node) + 1), np.zeros(len(self.node) + 1)
        lost = np.zeros((1, left.shape[1]))
        gone = np.concatenate([left, lost])[way.key, way.lag]  # [U, P]
        hours = np.concatenate([left_hours, lost])[way.key, way.lag] + gone * _WAY_H[way.lag]
        came[way.cell], since[way.cell] = way.shares @ gone, way.shares @ hours  # [N, P]
        return came[:-1], since[:-1]

    def to_bytes(self) -> bytes:
        """Return the stock as an npz file."""
        buffer = io.BytesIO()
        columns = {field.name: np.asarray(getattr(self, field.name)) for field in fields(self)}
        small: dict[str, NDArray[Any]] = {
            name: column.astype(np.float32) if column.dtype == np.float64 else column
            for name, column in columns.items()
        }
        np.savez_compressed(buffer, allow_pickle=False, **small)
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> Stock:
        """Return what `to_bytes` wrote.

        Raises:
            ValueError, KeyError, OSError: it is something else.
        """
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            columns = {field.name: file[field.name] for field in fields(cls)}
        last_day = int(columns.pop("last_day"))
        return cls(last_day, **{n: c.astype(np.float64) if c.dtype == np.float32 else c for n, c in columns.items()})


_STAY_H = 24.0 * np.maximum(np.arange(AGES), 0.25)
"""Hours that an item stays which leaves at an age in days: those that leave on the day they came stay a few."""

_WAY_H = 24.0 * np.maximum(np.arange(LAGS), 0.1)
"""Hours that an item is on the way which comes so many days after it left."""

_STOPS_OF_A_DAY = 4
"""Places that an item comes to on one day after the first, at most: at the last one it stays overnight."""


class StockFlow:
    """What is there leaves by its age, and goes where it usually goes; only of histories that know their items."""

    name = "stock flow"
    least_days = 28

    def forecast(self, past: FlowPast, days: int) -> _Numbers:
        """See `FlowMethod.forecast`.

        Raises:
            ValueError: the past knows no items.
        """
        if past.stock is None:
            raise ValueError("the history knows no items")
        wip, left, hours = np.moveaxis(past.stock[:, : days + 1], 2, 0)
        drift = past.wip[:, -1:] + wip[:, 1:] - wip[:, :1]  # from what was counted, which late scans have corrected
        with np.errstate(invalid="ignore", divide="ignore"):
            cycle = np.where(left > 1e-6, hours / left, past.usual_cycle_h()[:, None])
        return np.stack([np.maximum(drift, 0), left[:, 1:], cycle[:, 1:]], axis=2)
