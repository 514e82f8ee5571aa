"""From where forecasts are tried, and which of the origins may decide what.

Time is split twice. What comes before the first split teaches the methods that are compared between the two; the
comparison chooses what answers, and how wide its intervals are. Only origins after the second one measure the choice,
with methods that learned from all that lies before it. A forecast counts for a choice only as far as its days lie
before the second split, too.
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

MOST_ORIGINS = 36
"""On each side of the split: origins a day apart say nearly the same."""

_LEARNING = 0.45
"""Of the days between LEAST_PAST and the second split, those before the first one."""


@dataclass(frozen=True, slots=True)
class Origins:
    """Days (since 1970), each the last one that a forecast knows."""

    deciding: NDArray[np.int64]  # their forecasts choose the method and its widths
    testing: NDArray[np.int64]  # theirs measure the choice
    learn_day: int  # the last day that what decides may have learned from
    split_day: int  # the last day that a choice may know
    days: int  # how far ahead they are tried


def origins_of(series: FlowSeries, share: float) -> Origins:
    """Return the origins of a history, ``share`` of which lies before the second split.

    Raises:
        DataError: it is too short.
    """
    least = LEAST_PAST + 3 * HORIZONS[1]
    if series.days < least:
        raise DataError(
            f"the history has {series.days} complete days: forecasts need {least}, of which {LEAST_PAST} are a past"
        )
    first = series.first_day + LEAST_PAST - 1
    split = min(max(series.first_day + int(series.days * share) - 1, first + 14), series.last_day - HORIZONS[1])
    learn_day = first + int((split - first) * _LEARNING)
    days = int(min(MOST_DAYS, max(HORIZONS[1], split - learn_day - 7)))
    return Origins(_spaced(learn_day, split - 1), _spaced(split, series.last_day - 1), learn_day, split, days)


def _spaced(first: int, last: int) -> NDArray[np.int64]:
    step = max(1, -(-(last - first + 1) // MOST_ORIGINS))
    step += step % 7 == 0  # origins of one weekday alone would know nothing of the others
    return np.arange(first, last + 1, step)
