"""What a manifest promises is an estimate, too, and a fall is told beyond the chance of both."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score  # type: ignore[import-untyped]

from service.feedback.baselines import Promised, has_fallen, promised
from service.feedback.estimators import Interval


@pytest.mark.parametrize(
    ("value", "anomalies", "low"),
    [(1.0, 770, 770 / 771), (1.0, 20, 20 / 21), (0.5, 100, 0.450248), (0.0, 100, 0.0)],  # Wilson's, of z = 1
)
def test_its_error_is_that_of_a_share_of_as_many(value: float, anomalies: int, low: float) -> None:
    assert promised(value, anomalies) == (value, pytest.approx(low, abs=1e-5))


def test_it_is_as_it_is_where_nobody_says_of_how_many() -> None:
    assert promised(0.9, 0) == Promised(0.9, 0.9)


def test_other_draws_of_the_same_detector_promise_too_much_as_often_as_an_error_of_one_side_says() -> None:
    rng = np.random.default_rng(1)

    def measured(anomalies: int) -> float:
        truth = np.arange(anomalies * 30) < anomalies
        return float(average_precision_score(truth, rng.normal(size=len(truth)) + 3.5 * truth))

    whole = measured(20_000)
    held = [promised(measured(100), 100).low <= whole for _ in range(200)]
    assert np.mean(held) >= 0.84


def test_a_fall_is_one_where_both_intervals_are_apart() -> None:
    assert not has_fallen(Interval(0.638, 0.451, 0.9996), promised(1.0, 770)), "of three, one flips his words"
    assert has_fallen(Interval(0.884, 0.801, 0.971), promised(0.989, 564))
