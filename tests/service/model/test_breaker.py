"""The circuit breaker: when calls go through, and what opens and closes it."""

from __future__ import annotations

import pytest

from service.errors import ModelUnavailable
from service.model.breaker import FAILURES, Breaker


class Clock:
    """A clock that is set by hand."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def lets_in(breaker: Breaker) -> bool:
    try:
        breaker.enter()
    except ModelUnavailable:
        return False
    return True


def opened() -> tuple[Breaker, Clock]:
    clock = Clock()
    breaker = Breaker("epc_lstm/1", 1.0, clock)
    for _ in range(FAILURES):
        breaker.enter()
        breaker.failed("down")
    return breaker, clock


def test_failures_in_a_row_open_it_and_a_success_between_them_does_not() -> None:
    breaker = Breaker("epc_lstm/1")
    for _ in range(10):
        breaker.enter()
        breaker.failed("an accident")
        breaker.enter()
        breaker.succeeded()
    assert not breaker.is_open
    breaker, _ = opened()
    assert breaker.is_open
    with pytest.raises(ModelUnavailable, match="down"):
        breaker.enter()


def test_a_call_that_hung_opens_it_at_once() -> None:
    breaker = Breaker("epc_lstm/1")
    breaker.enter()
    assert breaker.failed("no answer", hung=True)
    assert not lets_in(breaker)


def test_after_a_rest_one_call_is_the_trial_and_decides() -> None:
    breaker, clock = opened()
    clock.now_s = 1.5
    assert [lets_in(breaker) for _ in range(3)] == [True, False, False]
    breaker.failed("down", trial=True)
    assert not lets_in(breaker), "it rests again"
    clock.now_s = 3
    assert lets_in(breaker)
    breaker.succeeded()
    assert not breaker.is_open
    assert [lets_in(breaker) for _ in range(3)] == [True, True, True]


def test_a_trial_whose_caller_left_says_nothing_and_the_next_call_is_the_trial() -> None:
    breaker, clock = opened()
    clock.now_s = 1.5
    trial = breaker.enter()
    assert trial
    breaker.left(False)  # a call that had begun before it opened
    assert not lets_in(breaker), "the trial is on its way"
    breaker.left(trial)
    assert breaker.is_open
    assert lets_in(breaker)


def test_a_wrong_model_is_asked_nothing_until_a_probe_is_right() -> None:
    clock = Clock()
    breaker = Breaker("epc_lstm/1", 1.0, clock)
    breaker.probed("another model")
    clock.now_s = 100
    with pytest.raises(ModelUnavailable, match="another model"):
        breaker.enter()
    breaker.succeeded()  # a call that had begun before
    assert breaker.is_open
    breaker.probed()
    assert lets_in(breaker)
