"""The estimators: those of scikit-learn where weights are all there is to it, and intervals that hold the truth."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, precision_score, recall_score, roc_auc_score

from service.feedback.estimators import LabelledSample, expected_precision, measure


def population(count: int, seed: int) -> LabelledSample:
    """Return events of items that have four each, one item in ten anomalous, with scores of two digits: many ties."""
    rng = np.random.default_rng(seed)
    items = np.arange(count) // 4
    anomalous = (rng.random(items[-1] + 1) < 0.1)[items] & (rng.random(count) < 0.7)
    scores = np.where(anomalous, rng.beta(4, 1.5, count), rng.beta(0.3, 8, count)).round(2)
    return LabelledSample(
        scores, scores >= 0.5, np.where(anomalous, np.inf, -np.inf), np.ones(count), items.astype(np.int64)
    )


def rates(scores: np.ndarray) -> np.ndarray:
    """Return the probability of each event to be in the sample: rare scores are drawn more often."""
    return np.select([scores < 0.02, scores < 0.3, scores < 0.9], [0.03, 0.06, 0.2], 0.1)


def test_the_measures_are_those_of_scikit_learn_by_weights() -> None:
    sample = population(3_000, 1)
    weights = np.random.default_rng(2).uniform(1, 100, 3_000)
    found = measure(
        LabelledSample(sample.scores, sample.flags, sample.evidence, weights, sample.items),
        np.random.default_rng(0),
        10,
    )
    anomalous = sample.evidence > 0
    given = (anomalous, sample.scores)
    assert found["average_precision"].value == pytest.approx(average_precision_score(*given, sample_weight=weights))
    assert found["auc"].value == pytest.approx(roc_auc_score(*given, sample_weight=weights))
    given = (anomalous, sample.flags)
    assert found["precision"].value == pytest.approx(precision_score(*given, sample_weight=weights))
    assert found["recall"].value == pytest.approx(recall_score(*given, sample_weight=weights))
    alarms = 1 - recall_score(~anomalous, ~sample.flags, sample_weight=weights)
    assert found["false_positive_rate"].value == pytest.approx(alarms)
    assert found["false_negative_rate"].value == pytest.approx(1 - found["recall"].value)


def test_intervals_hold_the_truth_in_95_of_100_samples() -> None:
    whole = population(24_000, 3)
    truth = {name: one.value for name, one in measure(whole, np.random.default_rng(0), 1).items()}
    probability, rng, samples = rates(whole.scores), np.random.default_rng(4), 60
    inside = dict.fromkeys(truth, 0)
    sums = dict.fromkeys(truth, 0.0)
    for _ in range(samples):
        at = np.flatnonzero(rng.random(len(probability)) < probability)
        items = np.unique(whole.items[at], return_inverse=True)[1]
        sample = LabelledSample(whole.scores[at], whole.flags[at], whole.evidence[at], 1 / probability[at], items)
        for name, one in measure(sample, rng, 120).items():
            inside[name] += one.low <= truth[name] <= one.high
            sums[name] += one.value
    assert min(inside.values()) >= 53  # 57 expected
    assert max(inside.values()) <= samples
    for name, total in sums.items():
        assert total / samples == pytest.approx(truth[name], abs=0.015), name  # nothing is shifted


def test_a_sample_without_a_miss_leaves_room_for_some() -> None:
    scores = np.repeat([0.001, 0.99], [300, 30])
    sample = LabelledSample(
        scores,
        scores > 0.5,
        np.where(scores > 0.5, np.inf, -np.inf),
        np.repeat([100.0, 2.0], [300, 30]),
        np.arange(330),
    )
    found = measure(sample, np.random.default_rng(0))
    assert found["recall"].value == found["recall"].high == 1
    assert found["recall"].low < 0.5  # a miss stands for 100 events, and 60 were found
    parts = (scores, sample.flags, sample.evidence, sample.weights / 30)
    larger = LabelledSample(*(np.tile(part, 30) for part in parts), np.arange(330 * 30))
    assert measure(larger, np.random.default_rng(0))["recall"].low > 0.85


def test_what_labels_cannot_tell_is_left_out() -> None:
    nobody = np.empty(0)
    assert (
        measure(
            LabelledSample(nobody, nobody > 0, nobody.astype(int), nobody, nobody.astype(int)), np.random.default_rng(0)
        )
        == {}
    )
    scores = np.array([0.1, 0.9])
    normal = LabelledSample(scores, scores > 0.5, np.array([-1, -1]), np.ones(2), np.arange(2))
    assert set(measure(normal, np.random.default_rng(0), 50)) == {"precision", "false_positive_rate"}
    assert expected_precision(nobody, nobody, nobody.astype(int), np.random.default_rng(0)) is None
    promised = expected_precision(scores, np.array([1.0, 3.0]), np.arange(2), np.random.default_rng(0))
    assert promised is not None
    assert promised.value == pytest.approx(0.7)
    assert promised.low < 0.7 < promised.high
