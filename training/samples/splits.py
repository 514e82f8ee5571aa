"""The split of the EPCs: who is learned from, who is calibrated on, who is tested on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from service.events.columns import Events

SPLITS = ("train", "validation", "test")

_SHARES = (0.70, 0.135, 0.135)

_BUFFER = 0.01  # of a period's EPCs, dropped after each split: shipments at the border belong to neither

_PERIODS = 4


def split_epcs(events: Events, turn: float = 0.0) -> NDArray[np.int8]:
    """Return the split [U] of each EPC (an index into SPLITS, -1 in the buffers).

    EPCs are ordered by first scan and cut into periods. In each period training comes first, then validation, then
    test, with buffers between. One cut through the whole time would leave validation and test the youngest items
    alone, whose journeys the end of the data has cut off before most kinds of anomalies can happen. ``turn`` 0 .. 1
    starts each period that much later, its head moved to its end: turns 1/7 apart and more test different EPCs.
    """
    split = np.full(len(events.epc_codes), -1, dtype=np.int8)
    for period in np.array_split(np.argsort(first_scans(events), kind="stable"), _PERIODS):
        ring = np.roll(period, -round(turn * len(period)))
        begin = 0
        for number, share in enumerate(_SHARES):
            end = begin + round(share * len(period))
            split[ring[begin:end]] = number
            begin = end + round(_BUFFER * len(period))
    return split


def rows_of_others(events: Events, codes: Sequence[str] | NDArray[np.str_]) -> NDArray[np.intp]:
    """Return the positions of the events whose EPC code is none of ``codes``."""
    other = ~np.isin(np.array(events.epc_codes, dtype=np.str_), np.asarray(codes, dtype=np.str_))
    return np.flatnonzero(other[events.epc])


def first_scans(events: Events) -> NDArray[np.int64]:
    """Return the time [U] of the first scan of each EPC, in microseconds since 1970."""
    first = np.full(len(events.epc_codes), np.iinfo(np.int64).max)
    np.minimum.at(first, events.epc, events.time_us)
    return first


def ordinals(values: NDArray[np.generic]) -> NDArray[np.intp]:
    """Return the place [U] of each value in their order; of equal ones the first comes first."""
    place = np.empty(len(values), dtype=np.intp)
    place[np.argsort(values, kind="stable")] = np.arange(len(values))
    return place


def normal_events(labels: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return which events [N] are normal in all kinds that are known: what reference tables are learned from."""
    normal: NDArray[np.bool_] = np.fmax.reduce(labels, axis=1, initial=0.0) < 0.5
    return normal
