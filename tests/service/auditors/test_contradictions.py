"""How often all err, by how often they contradict each other."""

from __future__ import annotations

import numpy as np
import pytest

from service.auditors.contradictions import LEAST_PAIRS, shown_error_rate

ERROR_RATE = 0.05


def test_two_who_judge_the_same_show_how_often_they_err() -> None:
    confirmed = (np.random.default_rng(1).random((4_000, 2)) < ERROR_RATE).sum(axis=1)
    two = np.full(4_000, 2)
    assert shown_error_rate(confirmed, two) == pytest.approx(ERROR_RATE, abs=0.01)
    assert shown_error_rate(np.minimum(confirmed, 1), np.ones_like(two)) == 0, "one alone contradicts nobody"
    assert shown_error_rate(confirmed[: LEAST_PAIRS - 1], two[: LEAST_PAIRS - 1]) == 0
    assert shown_error_rate(np.ones_like(two), two) == pytest.approx(0.4), "always: guesses, no worse"
