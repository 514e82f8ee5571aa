"""Metrics at thresholds, of calibration and of consistency, against numbers worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from training.metrics import per_kind as metrics
from training.metrics.ranking import MACRO

F32 = np.float32


def five(column: list[float], kind: int = 0) -> np.ndarray:
    table = np.zeros((len(column), 5), dtype=F32)
    table[:, kind] = column
    return table


def test_findings_of_one_kind_by_hand() -> None:
    labels = five([1, 1, 1, 0, 0, 0, 0, 0])
    flags = five([1, 1, 0, 1, 0, 0, 0, 0]) > 0
    row = metrics.at_thresholds(labels, flags, miss_cost=10)["epcFake"]
    assert row == pytest.approx(
        {
            "precision": 2 / 3,
            "recall": 2 / 3,
            "f1": 2 / 3,
            "specificity": 4 / 5,
            "hamming_loss": 2 / 8,
            "cost_weighted_accuracy": (10 * 2 + 4) / (10 * 3 + 5),
            "true_positives": 2,
            "false_positives": 1,
            "false_negatives": 1,
            "true_negatives": 4,
        }
    )


def test_a_missed_anomaly_costs_what_was_said() -> None:
    labels, missed, alarmed = five([1, 0]), five([0, 0]) > 0, five([1, 1]) > 0
    for cost in (1.0, 10.0):
        rows = [metrics.at_thresholds(labels, flags, cost)["epcFake"] for flags in (missed, alarmed)]
        assert 1 - rows[0]["cost_weighted_accuracy"] == pytest.approx(cost * (1 - rows[1]["cost_weighted_accuracy"]))


def test_macro_is_the_mean_over_the_kinds_where_a_metric_is_defined() -> None:
    labels = five([1, 0, 0, 0]) + five([0, 1, 1, 0], kind=1)
    flags = five([1, 0, 0, 0]) + five([0, 1, 0, 0], kind=1) > 0
    table = metrics.at_thresholds(labels, flags)
    assert math.isnan(table["jump"]["recall"])
    assert table[MACRO]["recall"] == pytest.approx((1 + 0.5) / 2)
    assert table[MACRO]["hamming_loss"] == pytest.approx(1 / 20), "the Hamming loss counts all five kinds"


def test_soft_labels_count_from_a_half_on() -> None:
    soft, hard = five([0.5, 0.49, 0.9]), five([1, 0, 1])
    scores = five([0.7, 0.2, 0.1])
    assert str(metrics.per_kind(soft, scores)) == str(metrics.per_kind(hard, scores))
    assert str(metrics.at_thresholds(soft, scores > 0.5)) == str(metrics.at_thresholds(hard, scores > 0.5))


def test_calibration_error_is_the_gap_between_probability_and_frequency() -> None:
    truth = np.array([True, False, False, False] * 25)
    assert metrics.expected_calibration_error(truth, np.full(100, 0.25, F32)) == pytest.approx(0.0)
    assert metrics.expected_calibration_error(truth, np.full(100, 0.75, F32)) == pytest.approx(0.5)
    half_off = np.array([1.0, 0.0, 0.0, 0.4] * 25, dtype=F32)
    assert metrics.expected_calibration_error(truth, half_off) == pytest.approx(0.1)
    table = metrics.calibration_errors(np.repeat(truth[:, None], 5, 1).astype(F32), np.full((100, 5), 0.75, F32))
    assert table[MACRO]["ece"] == pytest.approx(0.5)


def test_temporal_consistency_is_the_share_of_findings_that_last() -> None:
    causal = five([1, 1, 0, 0, 0]) > 0
    later = five([1, 0, 1, 1, 0]) > 0
    found = metrics.temporal_consistency(causal, later)
    assert found["epcFake"]["temporal_consistency"] == pytest.approx(2 * 1 / (2 + 3))
    assert math.isnan(found["jump"]["temporal_consistency"]), "no findings of that kind"
    same = metrics.temporal_consistency(later, later)
    assert same[MACRO]["temporal_consistency"] == 1.0
