"""Ranking metrics equal those of scikit-learn, ties and resamples included."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from service.events.vocabulary import KINDS
from training.metrics import ranking
from training.metrics.ranking import MACRO, Ranking

EVENTS, ITEMS = 3_000, 400


@pytest.fixture(params=[None, 1, 0], ids=["no ties", "some ties", "nearly all tied"])
def case(request: pytest.FixtureRequest) -> tuple[NDArray[np.bool_], NDArray[np.float32], NDArray[np.intp]]:
    rng = np.random.default_rng(3)
    truth = rng.random(EVENTS) < 0.05
    score = rng.normal(truth * 1.5, 1.0)
    score = score if request.param is None else score.round(request.param)
    return truth, score.astype(np.float32), rng.integers(0, ITEMS, EVENTS)


def by_sklearn(truth: NDArray[np.bool_], score: NDArray[np.float32], weight: NDArray[np.float32]) -> dict[str, float]:
    fpr, tpr, _ = roc_curve(truth, score, sample_weight=weight, drop_intermediate=False)
    recalls = {name: float(tpr[fpr <= rate].max()) for name, rate in ranking.FALSE_POSITIVE_RATES.items()}
    return {
        "roc_auc": float(roc_auc_score(truth, score, sample_weight=weight)),
        "ap": float(average_precision_score(truth, score, sample_weight=weight)),
        **recalls,
    }


def test_every_column_of_weights_gives_what_scikit_learn_gives(
    case: tuple[NDArray[np.bool_], NDArray[np.float32], NDArray[np.intp]],
) -> None:
    truth, score, item = case
    weights = ranking.with_resamples(ITEMS, 5, seed=1)
    found = Ranking.of(truth, score, item, ITEMS).measure(weights)
    for column in range(weights.shape[1]):
        expected = by_sklearn(truth, score, weights[item, column])
        assert {name: value[column] for name, value in found.items()} == pytest.approx(expected, abs=1e-9)


def test_threshold_lets_as_many_normal_events_through_as_allowed(
    case: tuple[NDArray[np.bool_], NDArray[np.float32], NDArray[np.intp]],
) -> None:
    truth, score, item = case
    recall = Ranking.of(truth, score, item, ITEMS).measure(ranking.original(ITEMS))
    for name, rate in ranking.FALSE_POSITIVE_RATES.items():
        above = score > ranking.threshold_at_fpr(truth, score, rate)
        assert above[~truth].mean() <= rate
        assert above[truth].mean() == pytest.approx(recall[name][0])


def test_resamples_draw_whole_items_with_replacement() -> None:
    weights = ranking.with_resamples(50, 20, seed=0)
    assert weights.shape == (50, 21)
    assert (weights[:, 0] == 1).all()
    assert (weights.sum(axis=0) == 50).all()
    assert (weights[:, 1:] == 0).any()
    np.testing.assert_array_equal(weights, ranking.with_resamples(50, 20, seed=0))
    assert not np.array_equal(weights, ranking.with_resamples(50, 20, seed=1))


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    """Events of an item are alike here, as those of a journey are: resampled one by one, half would be covered."""
    rng = np.random.default_rng(0)
    items, events_per_item, covered = 300, 5, 0
    for trial in range(100):
        truth = rng.random(items) < 0.2
        score = rng.normal(truth * 1.0, 1.0)
        item = np.repeat(np.arange(items), events_per_item)
        found = Ranking.of(truth[item], score[item].astype(np.float32), item, items)
        value, low, high = ranking.interval(found.measure(ranking.with_resamples(items, 100, trial))["roc_auc"])
        assert low < value < high
        covered += low < 0.7602 < high  # the AUC of two normal distributions one deviation apart
    assert 88 <= covered <= 100


def test_a_kind_without_anomalies_has_no_metrics_and_no_part_in_the_mean() -> None:
    labels = np.zeros((4, 5), dtype=np.float32)
    labels[:2, 0] = 1.0
    scores = np.zeros((4, 5), dtype=np.float32)
    scores[:2, 0] = 0.9
    found = ranking.rank(labels, scores, np.zeros(4, np.intp), ranking.original(1))
    assert found[KINDS[0]]["ap"].tolist() == [1.0]
    assert np.isnan(found[KINDS[1]]["ap"]).all()
    assert found[MACRO]["ap"].tolist() == [1.0]
    assert np.isnan(ranking.interval(found[KINDS[1]]["ap"])[0])


@pytest.mark.filterwarnings("error")
def test_an_interval_is_of_the_resamples_that_tell_something() -> None:
    assert ranking.interval(np.array([1.0, np.nan, 2.0, np.nan])) == (1.0, 2.0, 2.0)
    for resamples in ([], [np.nan, np.nan]):
        value, *ends = ranking.interval(np.array([1.0, *resamples]))
        assert value == 1.0
        assert np.isnan(ends).all()
