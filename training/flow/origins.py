"""From where forecasts are tried, and which of the origins may decide what.

Time is split once. What comes before the split chooses and sets widths; only origins after it measure. A forecast from
before the split counts for a choice only as far as its days lie before the split, too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.flow.forecast.past import MOST_DAYS
from service.flow.series import FlowSeries
from training.errors import DataError

HORIZONS = (1, 7, 14, 30)
"""Days ahead of which the tables tell."""

LEAST_PAST = 42
"""Days of history before the first origin."""

MOST_ORIGINS = 40
"""On each side of the split: origins a day apart say nearly the same."""


@dataclass(frozen=True, slots=True)
class Origins:
    """Days (since 1970), each the last one that a forecast knows."""

    deciding: NDArray[np.int64]  # their forecasts choose the method and its widths
    testing: NDArray[np.int64]  # theirs measure the choice
    split_day: int  # the last day that a choice may know
    days: int  # how far ahead they are tried


def origins_of(series: FlowSeries, share: float) -> Origins:
    """Return the origins of a history, ``share`` of which lies before the split.

    Raises:
        DataError: it is too short.
    """
    least = LEAST_PAST + 2 * HORIZONS[1]
    if series.days < least:
        raise DataError(
            f"the history has {series.days} complete days: forecasts need {least}, of which {LEAST_PAST} are a past"
        )
    split = max(series.first_day + int(series.days * share), series.first_day + LEAST_PAST + HORIZONS[1]) - 1
    split = min(split, series.last_day - HORIZONS[1])
    days = int(min(MOST_DAYS, max(HORIZONS[1], split - series.first_day - LEAST_PAST)))
    return Origins(
        _spaced(series.first_day + LEAST_PAST - 1, split - 1),
        _spaced(split, series.last_day - 1),
        split,
        days,
    )


def _spaced(first: int, last: int) -> NDArray[np.int64]:
    step = max(1, -(-(last - first + 1) // MOST_ORIGINS))
    while step > 1 and step % 7 in (0,):  # origins of one weekday alone would know nothing of the others
        step += 1
    return np.arange(first, last + 1, step)
