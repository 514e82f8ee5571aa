"""The median of what methods say: nobody chose it, so that no luck of a few weeks misleads it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from service.flow.forecast.past import FlowMethod, FlowPast
from service.flow.forecast.stock import StockFlow
from service.flow.forecast.windows import LSTM

_Numbers = NDArray[np.float64]

MEDIAN = "median"


def forecasts_of(
    methods: Mapping[str, FlowMethod], wanted: Iterable[str], past: FlowPast, days: int
) -> dict[str, _Numbers]:
    """Return the measures [S, days, 3] by each of the methods ``wanted``, which may be `MEDIAN`, too.

    The median is of all ``methods`` but the network, which may be where it does not answer now, and but stock flow
    where the past knows no items. Raises ValueError if what else is wanted needs items, and the past knows none.
    """
    names = set(wanted)
    middle = [name for name in methods if MEDIAN in names and _tells(name, past)]
    said = {name: methods[name].forecast(past, days) for name in {*names, *middle} - {MEDIAN}}
    if middle:
        median: _Numbers = np.median(np.stack([said[name] for name in middle]), axis=0)
        said[MEDIAN] = median
    return {name: said[name] for name in names}


def _tells(name: str, past: FlowPast) -> bool:
    return name != LSTM and (name != StockFlow.name or past.stock is not None)
