"""Limits per caller and for all callers together: the counting, and what a real gateway answers."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from service.api.limits import Rate, Slots
from service.errors import Overloaded


class Clock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def waits(rate: Rate, who: str, cost: float) -> float:
    """Return the seconds to wait that a refusal names, 0 if there is none."""
    try:
        rate.spend(who, cost)
    except Overloaded as error:
        return error.retry_after_s
    return 0.0


def test_a_rate_has_a_burst_and_then_its_rate() -> None:
    clock = Clock()
    rate = Rate("calls", per_s=10, burst_s=0.5, now_s=clock)
    assert [waits(rate, "a", 1) for _ in range(7)] == [0, 0, 0, 0, 0, 0.1, 0.1]
    assert waits(rate, "b", 1) == 0, "another caller has a balance of his own"
    passed = 0
    for _ in range(1000):  # ten seconds
        clock.now_s += 0.01
        passed += waits(rate, "a", 1) == 0
    assert passed == pytest.approx(100, abs=1)
    clock.now_s += 3600
    assert sum(waits(rate, "a", 1) == 0 for _ in range(100)) == 5, "no more than the burst is saved up"


def test_a_request_larger_than_the_burst_passes_and_is_paid_for() -> None:
    clock = Clock()
    rate = Rate("events", per_s=100, burst_s=1, now_s=clock)
    assert waits(rate, "a", 1_100) == 0
    assert waits(rate, "a", 1) == pytest.approx(10.01)
    clock.now_s += 10
    assert waits(rate, "a", 1) == pytest.approx(0.01, rel=0.1)
    clock.now_s += 0.02
    assert waits(rate, "a", 1) == 0
    assert waits(rate, "a", 1_100) == pytest.approx(0.99, rel=0.1), "not before the balance is full"


def test_callers_that_were_not_seen_for_long_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.api.limits._REMEMBERED", 3)
    rate = Rate("calls", per_s=1, burst_s=1, now_s=Clock())
    for who in "abcd":
        rate.spend(who, 1)
    assert waits(rate, "d", 1) > 0
    assert waits(rate, "a", 1) == 0


def test_slots_are_given_back_and_hold_for_each_and_for_all() -> None:
    slots = Slots("calls", total=3, per_caller=2)
    with ExitStack() as held:
        held.enter_context(slots.taken("a"))
        held.enter_context(slots.taken("a"))
        with pytest.raises(Overloaded, match="more than 2 calls of one caller"), slots.taken("a"):
            pass
        held.enter_context(slots.taken("b"))
        with pytest.raises(Overloaded, match="more than 3 calls at a time"), slots.taken("c"):
            pass
    with pytest.raises(KeyError), slots.taken("a"):
        raise KeyError  # a call that fails gives its slot back too
    with slots.taken("a"), slots.taken("a"):
        pass
