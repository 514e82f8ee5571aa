"""Little's law: an identity in every window, and in plans a check."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.flow.little import check_plan, little
from service.flow.stays import STILL_THERE, Known, Stays

HOUR_US = 3_600_000_000


def stays(arrived_us: list[int], left_us: list[int]) -> Stays:
    """Return stays at one place."""
    n, left = len(arrived_us), np.array(left_us, dtype=np.int64)
    there = left == STILL_THERE
    came = np.array(arrived_us, dtype=np.int64)
    return Stays(
        epc=np.arange(n, dtype=np.int32),
        location_id=np.ones(n, dtype=np.int64),
        step=np.ones(n, dtype=np.int8),
        arrived_us=came,
        left_us=left,
        arrival=np.zeros(n, dtype=np.int8),
        departure=np.where(there, Known.STILL_THERE, Known.SCANNED).astype(np.int8),
        first_us=came,
        sold=np.zeros(n, dtype=np.bool_),
        last_us=int(np.where(there, came, left).max(initial=0)),
    )


@given(
    st.lists(st.tuples(st.integers(0, 10**12), st.integers(0, 10**12) | st.none()), max_size=30),
    st.integers(0, 10**12),
    st.integers(1, 10**12),
)
def test_the_law_is_an_identity_in_every_window(items: list[tuple[int, int | None]], begin: int, length: int) -> None:
    came = [first for first, _ in items]
    left = [STILL_THERE if stay is None else first + stay for first, stay in items]
    window = little(stays(came, left), begin, begin + length)
    assert window.identity_error < 1e-9
    assert abs(window.gap - (window.remaining_h - window.before_h)) <= 1e-9 * max(window.mean_wip, window.before_h, 1)
    counted = sum(max(min(end, begin + length) - max(first, begin), 0) for first, end in zip(came, left, strict=True))
    assert abs(window.mean_wip - counted / length) < 1e-9 * max(window.mean_wip, 1)


def test_where_flow_is_steady_departures_and_dwell_obey_it_too() -> None:
    rng = np.random.default_rng(5)
    came = (np.arange(200_000) * HOUR_US // 20).tolist()
    left = [first + int(stay) for first, stay in zip(came, rng.exponential(50 * HOUR_US, len(came)), strict=True)]
    window = little(stays(came, left), 1_000 * HOUR_US, 9_000 * HOUR_US)
    assert abs(window.gap) < 0.02 * window.mean_wip
    assert window.mean_wip == pytest.approx(20 * 50, rel=0.02)


def test_an_empty_window_is_refused() -> None:
    with pytest.raises(ValueError, match="ends before it begins"):
        little(stays([0], [1]), 5, 5)


def test_a_plan_that_holds_and_what_would_make_another_hold() -> None:
    assert check_plan(100, 50, 2).holds
    assert check_plan(101, 50, 2).holds
    found = check_plan(100, 50, 2.5)
    assert not found.holds
    assert (found.ratio, found.wip, found.throughput_per_day, found.cycle_days) == (0.8, 125, 40, 2)


@pytest.mark.parametrize(
    ("plan", "named"),
    [
        ((0, 1, 1), "wip"),
        ((1, -1, 1), "throughput"),
        ((1, 1, float("nan")), "cycle time"),
        ((1, 1, 1, 1.5), "tolerance"),
        ((1, 1, 1, float("nan")), "tolerance"),
        ((1, 1e308, 1e308), "throughput"),
        ((1, 1e-300, 1e-300), "throughput"),
    ],
)
def test_impossible_numbers_are_named(plan: tuple[float, ...], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        check_plan(*plan)
