"""What words of people who err are worth: known formulas, and a measure that neither error nor silence moves."""

from __future__ import annotations

import numpy as np
import pytest

from service.feedback.believed import believed
from service.feedback.estimators import Interval, LabelledSample, measure
from service.feedback.sampling import BANDS

ERROR_RATE = 0.05


def of_one_group(votes: list[int], error_rate: float, promised: float | None = None) -> np.ndarray:
    """Return the probabilities of events of one group that count once each."""
    scores = None if promised is None else np.full(len(votes), promised)
    nothing = np.zeros(len(votes), dtype=np.int64)
    return believed(evidence(np.array(votes), error_rate), nothing, np.ones((1, len(votes))), scores)[0]


def evidence(votes: np.ndarray, error_rate: float) -> np.ndarray:
    """Return what words for less words against are worth, of people who err alike."""
    return votes * (np.log((1 - error_rate) / error_rate) if error_rate else np.inf)


@pytest.mark.parametrize(("confirmed", "share"), [(5, 0.0), (2, 0.0), (23, 0.2), (95, 1.0), (99, 1.0)])
def test_of_one_word_each_it_is_what_rogan_and_gladen_say(confirmed: int, share: float) -> None:
    found = of_one_group([1] * confirmed + [-1] * (100 - confirmed), ERROR_RATE)
    assert found.mean() == pytest.approx(share, abs=1e-6)
    odds = (1 - ERROR_RATE) / ERROR_RATE
    assert found[0] == pytest.approx(share * odds / (share * odds + 1 - share), abs=1e-6)


def test_without_errors_a_word_is_the_truth() -> None:
    np.testing.assert_array_equal(of_one_group([1, -1, 3], 0.0, promised=0.5), [1, 0, 1])


def test_words_that_agree_are_believed_and_single_ones_are_not() -> None:
    """Where one event in a thousand is anomalous."""
    one, three = (of_one_group([many] + [-many] * 999, ERROR_RATE, promised=0.001)[0] for many in (1, 3))
    assert one < 0.05
    assert three > 0.8


def test_scores_hold_until_words_contradict_them_beyond_chance() -> None:
    by_chance, by_far = ([1] * count + [-1] * (400 - count) for count in (26, 60))  # 20 are confirmed by error
    assert of_one_group(by_chance, ERROR_RATE, promised=0.001).mean() < 0.002
    assert of_one_group(by_chance, ERROR_RATE).mean() > 0.01
    assert of_one_group(by_far, ERROR_RATE, promised=0.001).mean() == pytest.approx((0.15 - 0.05) / 0.9, abs=1e-6)


def whole_world(missed: float, seed: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Return scores and truth of 100,000 events, 2 % anomalous; the detector misses a share of these."""
    rng = np.random.default_rng(seed)
    anomalous = rng.random(100_000) < 0.02
    seen = anomalous & (rng.random(len(anomalous)) >= missed)
    scores = np.where(seen, rng.beta(40, 1, len(anomalous)), rng.beta(0.05, 40, len(anomalous)))
    return scores, anomalous


def measured(missed: float, readers: int, error_rate: float, seed: int) -> tuple[Interval, float]:
    """Return the average precision by words of which a twentieth is wrong, and the true one."""
    scores, anomalous = whole_world(missed)
    rng = np.random.default_rng(seed)
    rates = np.array([0.02, 0.3, 0.3, 0.3, 0.3, 0.3])[np.searchsorted(BANDS, scores, side="right")]
    at = np.flatnonzero(rng.random(len(scores)) < rates)
    wrong = rng.random((len(at), readers)) < ERROR_RATE
    votes = np.where(anomalous[at, None] ^ wrong, 1, -1).sum(axis=1)
    kept = votes != 0
    at, votes = at[kept], votes[kept]
    said = evidence(votes, error_rate)
    sample = LabelledSample(scores[at], scores[at] > 0.5, said, 1 / rates[at], np.arange(len(at)))
    whole = LabelledSample(
        scores, scores > 0.5, np.where(anomalous, np.inf, -np.inf), np.ones(len(scores)), np.arange(len(scores))
    )
    true = measure(whole, rng, 1)["average_precision"].value
    return measure(sample, rng, 100, is_calibrated=error_rate > 0)["average_precision"], true


@pytest.mark.parametrize("readers", [1, 3])
def test_errors_alone_are_no_fall(readers: int) -> None:
    for seed in range(5):
        found, true = measured(0.0, readers, ERROR_RATE, seed)
        assert found.value > true - 0.05
        naive, _ = measured(0.0, readers, 0.0, seed)
        assert naive.high < true - 0.05  # what it was taken for before


def test_a_fall_is_seen_through_the_errors_of_three_readers() -> None:
    released = measured(0.0, 3, 0.0, 0)[1]
    for seed in range(5):
        found, true = measured(0.3, 3, ERROR_RATE, seed)
        assert true < 0.75
        assert found.value == pytest.approx(true, abs=0.12)
        assert found.high < released - 0.01
        assert found.low < true < found.high
