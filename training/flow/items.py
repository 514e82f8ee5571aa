"""The stays of items as days, and the stock that they make at the end of any of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.events.codes import parse
from service.events.vocabulary import LEVELS
from service.events.zones import TimeZones
from service.flow.forecast.stock import AGES, LAGS, Stock
from service.flow.measures import DAY_US
from service.flow.series import FlowSeries
from service.flow.stays import Known, Stays

_Ids = NDArray[np.int64]
_Numbers = NDArray[np.float64]

NEVER = np.iinfo(np.int32).max
"""The day on which something happens that did not."""

_RECENT_DAYS = 84
"""What left before tells little of how long items stay now."""

_WEEKDAY_DAYS = 56

_PRIOR = 30.0
"""Items by which the hazard of all nodes of a step weighs in that of one node."""


@dataclass(frozen=True, slots=True, eq=False)
class ItemDays:
    """S stays in the order of (item, time), by keys of N nodes and P products."""

    node: _Ids  # [S] of N: a site, or the sales of one
    keys: _Ids  # [K, 2] node and product, of P
    key: _Ids  # [S] of K
    step: _Ids  # [N] level of each node
    came: _Ids  # [S] day since 1970 on the clock of the site
    left: _Ids  # [S] likewise, NEVER if it is still there
    known: _Ids  # [S] day on which it is known that it left
    since_h: _Numbers  # [S] hours from the first scan anywhere to coming here
    hours: _Numbers  # [S] of the stay, 0 if it is still there
    is_first: NDArray[np.bool_]  # [S] of its item
    series_key: _Ids  # [K] key of the series that it is a part of, -1: of none

    @classmethod
    def of(cls, stays: Stays, epc_codes: Sequence[str], zones: TimeZones, series: FlowSeries) -> ItemDays:
        """Return the days of stays of items with ``epc_codes``, of which ``series`` counts."""
        nodes, node = np.unique(
            np.stack([stays.location_id, stays.step.astype(np.int64), stays.sold.astype(np.int64)]),
            axis=1,
            return_inverse=True,
        )
        products, product = np.unique(parse(epc_codes).product[stays.epc], return_inverse=True)
        node = node.reshape(-1)
        keys, key = np.unique(node * len(products) + product.reshape(-1), return_inverse=True)
        pairs = np.stack(np.divmod(keys, len(products)), axis=1)
        is_first = np.r_[True, stays.epc[1:] != stays.epc[:-1]]
        gone = stays.has_left
        left_us = np.where(gone, stays.left_us, stays.last_us)
        next_us = np.where(np.r_[is_first[1:], True], left_us, np.r_[stays.arrived_us[1:], 0])
        known_us = np.where(stays.departure == Known.BY_RULE, np.maximum(next_us, left_us), left_us)
        came, left, known = (
            zones.local_us(us, stays.location_id) // DAY_US for us in (stays.arrived_us, left_us, known_us)
        )
        return cls(
            node=node,
            keys=pairs,
            key=key,
            step=nodes[1],
            came=came,
            left=np.where(gone, left, NEVER),
            known=np.where(gone, known, NEVER),
            since_h=(stays.arrived_us - stays.first_us) / 3.6e9,
            hours=np.where(gone, (left_us - stays.arrived_us) / 3.6e9, 0.0),
            is_first=is_first,
            series_key=_series_keys(nodes, products, pairs, series),
        )

    def stock(self, last_day: int, lateness: int = 2) -> Stock:
        """Return the stock at the end of a day that is complete, so by what is known ``lateness`` days later."""
        before = self.came <= last_day
        gone = before & (self.left <= last_day) & (self.known <= last_day + lateness)
        key, keys = self.key, len(self.keys)
        there = before & ~gone
        age = np.minimum(last_day - self.came[there], AGES - 1)
        just = gone & (self.left > last_day - LAGS)
        lag = last_day - self.left[just]
        out_h = self.since_h + self.hours
        nodes = len(self.step)
        hazard = self._hazard(last_day, before, gone)
        return Stock(
            last_day=last_day,
            node=self.keys[:, 0],
            product=self.keys[:, 1],
            series_key=self.series_key,
            there=_sums(key[there], age, keys, AGES),
            hours=_sums(key[there], age, keys, AGES, self.since_h[there]),
            left=_sums(key[just], lag, keys, LAGS),
            left_hours=_sums(key[just], lag, keys, LAGS, out_h[just]),
            hazard=hazard,
            weekday=self._weekday(last_day, before, gone, hazard),
            moves=self._moves(last_day, gone, nodes),
            entering=self._entering(last_day, before, key, keys),
        )

    def _hazard(self, last_day: int, before: NDArray[np.bool_], gone: NDArray[np.bool_]) -> _Numbers:
        """Return the share [N, AGES] that leaves at each age, of the last days; a node of few as its step does."""
        nodes, begin = len(self.step), last_day - _RECENT_DAYS
        recent = before & (np.where(gone, self.left, last_day) > begin)
        end = np.where(gone, self.left, last_day)[recent]
        node, came, gone = self.node[recent], self.came[recent], gone[recent]
        oldest = np.minimum(end - came, AGES - 1)
        youngest = np.clip(begin + 1 - came, 0, AGES - 1)  # the age at which it comes into sight
        exits = _sums(node[gone], oldest[gone], nodes, AGES)
        last_seen = _sums(node, oldest, nodes, AGES)
        first_seen = _sums(node, youngest, nodes, AGES)
        risk = first_seen.cumsum(axis=1) - (last_seen.cumsum(axis=1) - last_seen)
        of_step = np.zeros_like(exits)
        for step in np.unique(self.step):
            inside = self.step == step
            of_step[inside] = exits[inside].sum(axis=0) / np.maximum(risk[inside].sum(axis=0), 1.0)
        return np.clip((exits + _PRIOR * of_step) / (np.maximum(risk, 0) + _PRIOR), 0, 1)

    def _weekday(self, last_day: int, before: NDArray[np.bool_], gone: NDArray[np.bool_], hazard: _Numbers) -> _Numbers:
        """Return by how much [N, 7] more or less leaves on a weekday than by age alone, over 8 weeks, by step."""
        nodes, first = len(self.step), last_day - _WEEKDAY_DAYS + 1
        left, expected = np.zeros((nodes, 7)), np.zeros((nodes, 7))
        end = np.where(gone, self.left, NEVER)
        inside = np.flatnonzero(before & (end >= first))
        node, came, end = self.node[inside], self.came[inside], end[inside]
        for day in range(first, last_day + 1):
            there = (came <= day) & (end >= day)
            age = np.minimum(day - came[there], AGES - 1)
            expected[:, day % 7] += np.bincount(node[there], hazard[node[there], age], minlength=nodes)
            left[:, day % 7] += np.bincount(node[end == day], minlength=nodes)
        factor = np.ones((nodes, 7))
        for step in np.unique(self.step):
            inside = self.step == step
            factor[inside] = (left[inside].sum(axis=0) + 10) / (expected[inside].sum(axis=0) + 10)
        return factor

    def _moves(self, last_day: int, gone: NDArray[np.bool_], nodes: int) -> _Numbers:
        """Return the share [LAGS, N, N] of what leaves a node that comes to another so many days later."""
        follows = np.r_[~self.is_first[1:], False]
        next_node, next_came = np.r_[self.node[1:], 0], np.r_[self.came[1:], 0]
        settled = gone & (self.left > last_day - _RECENT_DAYS) & (self.left <= last_day - 7)
        total = np.bincount(self.node[settled], minlength=nodes).astype(np.float64)
        moved = settled & follows & (next_came <= last_day)
        lag = np.clip(next_came[moved] - self.left[moved], 0, LAGS - 1)
        place = (lag * nodes + self.node[moved]) * nodes + next_node[moved]
        counts = np.bincount(place, minlength=LAGS * nodes * nodes).reshape(LAGS, nodes, nodes)
        return counts / np.maximum(total, 1.0)[None, :, None]

    def _entering(self, last_day: int, before: NDArray[np.bool_], key: _Ids, keys: int) -> _Numbers:
        fresh = before & self.is_first & (self.came > last_day - 28)
        return _sums(key[fresh], self.came[fresh] % 7, keys, 7) / 4


def _series_keys(nodes: _Ids, products: _Ids, pairs: _Ids, series: FlowSeries) -> _Ids:
    """Return which key of ``series`` each pair [K, 2] of a node [3, N] and a product [P] is a part of; -1: of none."""
    number = {tuple(key): at for at, key in enumerate(series.keys.tolist())}
    sites, steps = nodes[0, pairs[:, 0]].astype(np.str_), np.array([*LEVELS, ""])[nodes[1, pairs[:, 0]]]
    of_product = products[pairs[:, 1]]
    names = zip(
        sites.tolist(), steps.tolist(), np.where(of_product >= 0, of_product.astype(np.str_), "").tolist(), strict=True
    )
    return np.array([number.get(name, -1) for name in names], dtype=np.int64)


def _sums(row: _Ids, column: _Ids, rows: int, columns: int, values: _Numbers | None = None) -> _Numbers:
    total = np.bincount(row * columns + column, values, minlength=rows * columns)
    return total.reshape(rows, columns).astype(np.float64)
