"""Logits to probabilities that mean what they say, and probabilities to findings."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from service.events.vocabulary import KINDS, OperatingPoint
from training.metrics.per_kind import expected_calibration_error
from training.network.calibration import PRECISION, platt, points, thresholds, thresholds_of_costs

A = np.array([0.3, 0.5, 1.0, 2.0, 4.0])
B = np.array([-1.0, 0.5, 0.0, -3.0, 1.0])
COLUMNS = range(len(KINDS))


def drawn(seed: int, n: int = 40_000) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float64]]:
    """Return logits, labels, and the probabilities that the labels were drawn with."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(-2, 2, (n, len(KINDS)))
    probability = 1 / (1 + np.exp(-(A * logits + B)))
    return logits.astype(np.float32), (rng.random(probability.shape) < probability).astype(np.float32), probability


def test_platt_finds_the_scale_that_labels_were_drawn_with() -> None:
    logits, labels, _ = drawn(0)
    a, b = platt(logits, labels)
    np.testing.assert_allclose(a, A, rtol=0.08)
    np.testing.assert_allclose(b, B, atol=0.2)


def test_calibrated_scores_are_frequencies_on_events_never_seen() -> None:
    a, b = platt(*drawn(0)[:2])
    logits, labels, _ = drawn(1)
    probability = 1 / (1 + np.exp(-(np.array(a) * logits + b)))
    raw = 1 / (1 + np.exp(-logits))
    errors = [expected_calibration_error(labels[:, k] > 0, probability[:, k]) for k in COLUMNS]
    assert max(errors) < 0.02
    assert max(expected_calibration_error(labels[:, k] > 0, raw[:, k]) for k in COLUMNS) > 0.05


def test_a_kind_without_examples_of_both_keeps_its_logits() -> None:
    logits, labels, _ = drawn(0, 100)
    labels[:, 1], labels[:, 3] = 0, 1
    a, b = platt(logits, labels)
    assert (a[1], b[1], a[3], b[3]) == (1, 0, 1, 0)
    assert a[0] != 1


def test_events_that_look_alike_do_not_overspend_the_budget() -> None:
    scores = np.linspace(0.1, 0.7, 1_000, dtype=np.float32)[:, None].repeat(len(KINDS), axis=1)
    scores[950:995, 0], scores[995:, 0] = 0.8, 0.9  # the 1 % quantile is among them: all or none
    scores[950:, 1] = 0.8  # nothing is above them
    found = thresholds(scores, np.zeros_like(scores), 0.01)
    flagged = (scores >= np.float32(found)).sum(axis=0)
    assert flagged.tolist() == [5, 0, 10, 10, 10]


@pytest.mark.parametrize("budget", [0.01, 0.1])
def test_thresholds_spend_the_budget_on_events_never_seen(budget: float) -> None:
    probability, labels = drawn(0)[2].astype(np.float32), drawn(0)[1]
    found = thresholds(probability, labels, budget)
    other, truth = drawn(1)[2], drawn(1)[1]
    for k in COLUMNS:
        share = (other[truth[:, k] < 0.5, k] >= found[k]).mean()
        inside = 0.05 < found[k] < 0.95
        assert share == pytest.approx(budget, rel=0.15) if inside else share <= budget or found[k] == 0.95


def test_thresholds_stay_where_a_finding_means_something() -> None:
    labels = np.zeros((100, 5), dtype=np.float32)
    assert thresholds(np.full((100, 5), 0.001, dtype=np.float32), labels, 0.01) == [0.05] * 5
    assert thresholds(np.full((100, 5), 0.999, dtype=np.float32), labels, 0.01) == [0.95] * 5
    assert thresholds(np.full((100, 5), 0.7, dtype=np.float32), np.ones_like(labels), 0.01) == [0.5] * 5


def f1_of(scores: NDArray[np.float64], truth: NDArray[np.bool_], threshold: float) -> float:
    flagged = scores >= threshold
    return float(2 * (flagged & truth).sum() / (flagged.sum() + truth.sum()))


def test_the_balanced_point_has_a_best_f1_and_the_precise_one_is_the_next_that_is_right() -> None:
    _, labels, probability = drawn(3)
    sensitive = [0.05] * 5
    found = points(probability.astype(np.float32), labels, sensitive)
    other, truth = drawn(4)[2], drawn(4)[1] > 0
    assert found[OperatingPoint.SENSITIVE] == sensitive
    reached: list[int] = []
    for k in COLUMNS:
        precise, balanced = (found[point][k] for point in (OperatingPoint.PRECISE, OperatingPoint.BALANCED))
        assert 0.05 <= balanced <= precise <= 0.99
        best = max(f1_of(probability[:, k], labels[:, k] > 0, each) for each in np.linspace(0.05, 0.99, 400))
        assert f1_of(probability[:, k], labels[:, k] > 0, balanced) >= best - 0.02, "as good as so few events can tell"
        assert f1_of(other[:, k], truth[:, k], balanced) >= best - 0.03, "and nearly so on other events"
        flagged = probability[:, k] >= precise
        careful = labels[flagged, k].sum() / (flagged.sum() + 1)
        if careful >= PRECISION:
            reached.append(k)
            lower = probability[:, k] >= balanced + 0.9 * (precise - balanced)
            assert precise == balanced or labels[lower, k].sum() / (lower.sum() + 1) < PRECISION
    assert reached, "of no kind: a test of nothing"


def test_at_the_balanced_point_precision_and_recall_are_close_where_f1_lets_them() -> None:
    _, labels, probability = drawn(5)
    found = points(probability.astype(np.float32), labels, [0.05] * 5)[OperatingPoint.BALANCED]
    gaps = []
    for k in COLUMNS:
        flagged, truth = probability[:, k] >= found[k], labels[:, k] > 0
        best = max(np.linspace(0.05, 0.99, 400), key=lambda each: f1_of(probability[:, k], truth, each))
        gap = [abs(truth[some].mean() - some[truth].mean()) for some in (flagged, probability[:, k] >= best)]
        assert gap[0] <= gap[1]
        gaps.append(gap[0])
    assert np.median(gaps) < 0.05


def test_points_lie_between_the_scores_that_they_tell_apart() -> None:
    scores = np.repeat(np.array([[0.02], [0.1], [0.3], [0.8], [0.9]], np.float32), 5, axis=1)
    labels = np.repeat(np.array([[0], [0], [0], [1], [1]], np.float32), 5, axis=1)
    found = points(scores, labels, [0.05] * 5)
    assert found[OperatingPoint.BALANCED] == found[OperatingPoint.PRECISE] == pytest.approx([0.55] * 5)
    labels[4] = 0  # the highest score is wrong: no threshold is right in 99 of 100
    found = points(scores, labels, [0.05] * 5)
    assert found[OperatingPoint.BALANCED] == found[OperatingPoint.PRECISE] == pytest.approx([0.55] * 5)


def test_a_kind_without_anomalies_has_points_in_the_middle() -> None:
    found = points(np.full((9, 5), 0.2, np.float32), np.zeros((9, 5), np.float32), [0.05, 0.05, 0.7, 0.05, 0.05])
    assert found[OperatingPoint.BALANCED] == found[OperatingPoint.PRECISE] == [0.5, 0.5, 0.7, 0.5, 0.5]


def test_no_point_is_above_the_score_of_a_malformed_code() -> None:
    scores = np.repeat(np.array([[0.995], [0.999]], np.float32), 5, axis=1)
    found = points(scores, np.repeat(np.array([[0], [1]], np.float32), 5, axis=1), [0.05] * 5)
    assert found[OperatingPoint.PRECISE] == [0.99] * 5


def test_soft_labels_count_as_what_the_rules_would_flag() -> None:
    probability = drawn(0)[2].astype(np.float32)
    hard = drawn(0)[1]
    soft = np.where(hard > 0, 0.6, 0.3).astype(np.float32)
    assert thresholds(probability, soft, 0.01) == thresholds(probability, hard, 0.01)
    logits = drawn(0)[0]
    assert platt(logits, soft) == platt(logits, hard)


@pytest.mark.parametrize(("miss", "alarm"), [(1.0, 1.0), (10.0, 1.0), (1.0, 5.0)])
def test_thresholds_of_costs_cost_least(miss: float, alarm: float) -> None:
    _, labels, probability = drawn(2)
    found = thresholds_of_costs([(miss, alarm)] * len(KINDS))

    def cost(kind: int, threshold: float) -> float:
        flagged, truth = probability[:, kind] >= threshold, labels[:, kind] > 0
        return float(miss * (truth & ~flagged).mean() + alarm * (~truth & flagged).mean())

    for k in COLUMNS:
        others = [cost(k, other) for other in np.linspace(0.02, 0.98, 49)]
        assert cost(k, found[k]) <= min(others) + 0.005 * max(miss, alarm)
        assert cost(k, found[k]) < 0.7 * max(others)


def test_a_few_findings_that_happen_to_be_right_are_no_precision() -> None:
    """The highest score is right, the next one wrong, and four of five after that: one finding is no point."""
    labels = np.zeros((1_000, 5), dtype=np.float32)
    probability = np.full((1_000, 5), 0.01, dtype=np.float32)
    probability[:200] = np.linspace(0.9, 0.5, 200, dtype=np.float32)[:, None]
    labels[:200] = (np.arange(200) % 5 != 1)[:, None]
    precise = points(probability, labels, [0.05] * 5)[OperatingPoint.PRECISE]
    assert all((probability[:, k] >= precise[k]).sum() > 20 for k in COLUMNS)
