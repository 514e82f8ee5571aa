"""The months of a log in which as much comes as is usual: what lies before and after is a log that begins and ends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np

_TIMES = 2.0
"""Of the median month, the most that comes in a steady one, and its reciprocal the least."""


def steady_months(first_us: Iterable[int]) -> tuple[str, str]:
    """Return the first and the last day of the longest run of months each of which is within twice of their median.

    Args:
        first_us: when each case came, in microseconds.

    Raises:
        ValueError: no case came.
    """
    came = Counter((np.array(list(first_us), dtype="datetime64[us]")).astype("datetime64[M]").astype(int).tolist())
    if not came:
        raise ValueError("there are no cases")
    months = np.arange(min(came), max(came) + 1)
    count = np.array([came[month] for month in months.tolist()])
    runs = [
        (begin, end)
        for begin in range(len(months))
        for end in range(begin + 1, len(months) + 1)
        if _is_steady(count[begin:end])
    ]
    begin, end = max(runs, key=lambda run: run[1] - run[0])
    first, after = (np.datetime64(int(months[0]) + at, "M").astype("datetime64[D]") for at in (begin, end))
    return str(first), str(after - 1)


def _is_steady(count: np.ndarray[tuple[int], np.dtype[np.int64]]) -> bool:
    usual = float(np.median(count))
    return bool((count <= _TIMES * usual).all() and (count >= usual / _TIMES).all() and usual > 0)
