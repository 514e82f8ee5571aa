"""Rows that learned methods are taught by: windows of many series and days, and what came."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.flow.forecast.past import FlowPast
from service.flow.forecast.windows import FlowWindows

_Rows = NDArray[np.float32]

_LIMIT = 6.0
"""Targets are no further from their anchor, in units of the spread: what happens once teaches little."""


@dataclass(frozen=True, slots=True, eq=False)
class FlowSamples:
    """B rows in the order of the days they know."""

    rows: _Rows  # [B, L, F]
    target: _Rows  # [B, 3] NaN for cycle times of days on which nothing left
    origin: NDArray[np.int64]  # [B] the last day that a row knows


def draw_samples(  # noqa: PLR0913, PLR0917
    past_at: Callable[[int], FlowPast],
    whole: FlowPast,
    origins: NDArray[np.int64],
    last_day: int,
    days: int,
    length: int,
    generator: np.random.Generator,
    most: int,
) -> FlowSamples:
    """Return rows of each of ``origins``, of days up to ``last_day`` that are at most ``days`` ahead; ``most`` in all.

    ``whole`` is the same series with what came.
    """
    rows, targets, known = [], [], []
    each = max(1, most // max(len(origins), 1))
    came = whole.stacked()
    first = whole.last_day - whole.days + 1
    for origin in origins.tolist():
        ahead = min(days, last_day - origin)
        if ahead < 1:
            continue
        windows = FlowWindows.of(past_at(origin), ahead, length)
        at = origin - first + 1
        target = (came[:, at : at + ahead] - windows.anchor) / windows.scale
        count = len(windows.rows)
        drawn = generator.choice(count, min(each, count), replace=False)
        rows.append(windows.rows[drawn])
        targets.append(target.reshape(-1, 3)[drawn].clip(-_LIMIT, _LIMIT).astype(np.float32))
        known.append(np.full(len(drawn), origin))
    return FlowSamples(np.concatenate(rows), np.concatenate(targets), np.concatenate(known))
