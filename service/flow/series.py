"""Daily series of work in progress, departures and cycle time, one per key: what forecasts learn from and start from.

A key is a value for each dimension: site, step and product of scans, or plant, application and panel size of plant
data. Series over a part of the dimensions are sums of theirs, and the cycle time is that of all that left.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from service.events.vocabulary import LEVELS
from service.flow.measures import MOST_DAYS, Flow, too_long

_Numbers = NDArray[np.float64]

SCAN_DIMENSIONS = ("site", "step", "product")
PLANT_DIMENSIONS = ("plant", "application", "panel_size")

MEASURES = ("wip", "throughput", "cycle_h")
"""What is forecast, in the order of the last axis wherever there is one: items as the day ends, items that leave on it,
mean hours from start to departure of what leaves."""


@dataclass(frozen=True, slots=True, eq=False)
class FlowSeries:
    """K keys of D dimensions over T days without a gap."""

    dimensions: tuple[str, ...]  # names [D]
    keys: NDArray[np.str_]  # [K, D]
    first_day: int  # days since 1970
    wip: _Numbers  # [K, T] items there as the day ends
    departures: _Numbers  # [K, T] items that left: the throughput
    cycle_h: _Numbers  # [K, T] mean of what left, in hours; NaN where nothing did

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def days(self) -> int:
        """T."""
        return int(self.wip.shape[1])

    @property
    def last_day(self) -> int:
        """The last of the days, since 1970."""
        return self.first_day + self.days - 1

    @classmethod
    def from_rows(  # noqa: PLR0913, PLR0917 - columns
        cls,
        dimensions: Sequence[str],
        keys: Sequence[NDArray[np.str_]],
        day: NDArray[np.int64],
        wip: NDArray[np.generic],
        departures: NDArray[np.generic],
        cycle_h: NDArray[np.generic],
    ) -> FlowSeries:
        """Return the series of R rows: a column [R] per dimension, days since 1970, and the measures.

        A key has nothing on days without a row of it. Cycle times of days without departures do not count.

        Raises:
            ValueError: there are no rows, two are of the same key and day, a number is negative or none, or there are
                more than `MOST_DAYS` days.
        """
        if not len(day):
            raise ValueError("there are no rows")
        values = [np.asarray(column).astype(np.float64) for column in (wip, departures)]
        for name, column in zip(("wip", "departures"), values, strict=True):
            if not (np.isfinite(column) & (column >= 0)).all():
                raise ValueError(f"{name} has a value that is negative or no number")
        first = int(day.min())
        days = int(day.max()) - first + 1
        if days > MOST_DAYS:
            raise ValueError(too_long(first, days))
        names, key = np.unique(np.stack([np.asarray(column, dtype=np.str_) for column in keys], axis=1), axis=0,
                               return_inverse=True)  # fmt: skip
        key = key.reshape(-1)
        shape = len(names), days
        place = key * shape[1] + (day - first)
        if len(np.unique(place)) < len(place):
            raise ValueError("two rows are of the same key and day")
        dense = [np.zeros(shape), np.zeros(shape), np.full(shape, np.nan)]
        cycle = np.where(values[1] > 0, np.asarray(cycle_h).astype(np.float64), np.nan)
        for whole, column in zip(dense, (*values, cycle), strict=True):
            whole.reshape(-1)[place] = column
        return cls(tuple(dimensions), names, first, *dense)

    @classmethod
    def from_flow(cls, flow: Flow) -> FlowSeries:
        """Return the series of measured scans up to the last day that is complete everywhere.

        Raises:
            ValueError: no day is complete.
        """
        late = flow.day[~flow.is_complete]
        kept = flow.take(flow.day < (late.min() if len(late) else np.iinfo(np.int64).max))
        steps = np.array([*LEVELS, ""])[kept.step]
        product = np.where(kept.product >= 0, kept.product.astype(np.str_), "")
        keys = kept.location_id.astype(np.str_), steps, product
        return cls.from_rows(SCAN_DIMENSIONS, keys, kept.day, kept.wip, kept.departures, kept.cycle_h)

    def values(self, dimension: str) -> list[str]:
        """Return the values of a dimension, sorted; numbers by size."""
        found = np.unique(self.keys[:, self.dimensions.index(dimension)]).tolist()
        return sorted(found, key=lambda value: (not value.isdecimal(), value.zfill(20) if value.isdecimal() else value))

    def members(self, chosen: Mapping[str, str]) -> NDArray[np.bool_]:
        """Return which keys [K] have the values that are chosen; all of them if none is."""
        found = np.ones(len(self), dtype=np.bool_)
        for dimension, value in chosen.items():
            found &= self.keys[:, self.dimensions.index(dimension)] == value
        return found

    def groups(self, dimensions: Sequence[str]) -> tuple[NDArray[np.str_], NDArray[np.bool_]]:
        """Return the values [S, N] of N dimensions that there are, and which keys [S, K] each group sums up."""
        at = [self.dimensions.index(name) for name in dimensions]
        if not at:
            return np.empty((1, 0), dtype=np.str_), np.ones((1, len(self)), dtype=np.bool_)
        names, group = np.unique(self.keys[:, at], axis=0, return_inverse=True)
        return names, np.arange(len(names))[:, None] == group.reshape(-1)[None, :]

    def summed(self, members: NDArray[np.bool_]) -> tuple[_Numbers, _Numbers, _Numbers]:
        """Return wip, departures and cycle_h [S, T] of S groups of keys [S, K]."""
        weight = members.astype(np.float64)
        wip, departures = weight @ self.wip, weight @ self.departures
        hours = weight @ np.nan_to_num(self.cycle_h * self.departures)
        with np.errstate(invalid="ignore", divide="ignore"):
            return wip, departures, np.where(departures > 0, hours / departures, np.nan)

    def until(self, day: int) -> FlowSeries:
        """Return what there is up to a day, with it."""
        kept = day - self.first_day + 1
        return FlowSeries(
            self.dimensions, self.keys, self.first_day, self.wip[:, :kept], self.departures[:, :kept],
            self.cycle_h[:, :kept],
        )  # fmt: skip

    def since(self, day: int) -> FlowSeries:
        """Return what there is from a day on, with it."""
        left_out = max(day - self.first_day, 0)
        return FlowSeries(
            self.dimensions, self.keys, self.first_day + left_out, self.wip[:, left_out:],
            self.departures[:, left_out:], self.cycle_h[:, left_out:],
        )  # fmt: skip

    def to_bytes(self) -> bytes:
        """Return the series as an npz file, in single precision."""
        buffer = io.BytesIO()
        np.savez_compressed(
            buffer,
            dimensions=np.array(self.dimensions),
            keys=self.keys,
            first_day=np.int64(self.first_day),
            **{name: getattr(self, name).astype(np.float32) for name in ("wip", "departures", "cycle_h")},
        )
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> FlowSeries:
        """Return what `to_bytes` wrote.

        Raises:
            ValueError, KeyError, OSError: it is something else.
        """
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            columns = [file[name].astype(np.float64) for name in ("wip", "departures", "cycle_h")]
            return cls(tuple(file["dimensions"].tolist()), file["keys"], int(file["first_day"]), *columns)

    def save(self, path: Path) -> None:
        """Write `to_bytes`."""
        path.write_bytes(self.to_bytes())
