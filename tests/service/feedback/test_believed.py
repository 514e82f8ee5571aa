"""What words of people who err are worth: known formulas, and a measure that neither error nor silence moves."""

from __future__ import annotations

import numpy as np
import pytest

from service.feedback.believed import believed
from service.feedback.estimators import Errors, Interval, LabelledSample, measure
from service.feedback.sampling import BANDS
from service.feedback.verdicts import LEAST_PAIRS, LabelVerdict, shown_error_rate
from tests.service.feedback.samples import label

ERROR_RATE = 0.05


def of_one_group(votes: list[int], error_rate: float, promised: float | None = None) -> np.ndarray:
    """Return the probabilities of events of one group that count once each."""
    scores = None if promised is None else np.full(len(votes), promised)
    nothing = np.zeros(len(votes), dtype=np.int64)
    return believed(np.array(votes), nothing, np.ones((1, len(votes))), error_rate, scores)[0]


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


def measured(missed: float, readers: int, errors: Errors, seed: int) -> tuple[Interval, float]:
    """Return the average precision by words of which a twentieth is wrong, and the true one."""
    scores, anomalous = whole_world(missed)
    rng = np.random.default_rng(seed)
    rates = np.array([0.02, 0.3, 0.3, 0.3, 0.3, 0.3])[np.searchsorted(BANDS, scores, side="right")]
    at = np.flatnonzero(rng.random(len(scores)) < rates)
    wrong = rng.random((len(at), readers)) < ERROR_RATE
    votes = np.where(anomalous[at, None] ^ wrong, 1, -1).sum(axis=1)
    kept = votes != 0
    sample = LabelledSample(scores[at], scores[at] > 0.5, votes, 1 / rates[at], np.arange(len(at)))
    sample = LabelledSample(*(getattr(sample, name)[kept] for name in ("scores", "flags", "votes", "weights")),
                            np.arange(int(kept.sum())))  # fmt: skip
    whole = LabelledSample(
        scores, scores > 0.5, np.where(anomalous, 1, -1), np.ones(len(scores)), np.arange(len(scores))
    )
    true = measure(whole, rng, 1)["average_precision"].value
    return measure(sample, rng, 100, errors)["average_precision"], true


@pytest.mark.parametrize("readers", [1, 3])
def test_errors_alone_are_no_fall(readers: int) -> None:
    for seed in range(5):
        found, true = measured(0.0, readers, Errors(ERROR_RATE, is_calibrated=True), seed)
        assert found.value > true - 0.05
        naive, _ = measured(0.0, readers, Errors(), seed)
        assert naive.high < true - 0.05  # what it was taken for before


def test_a_fall_is_seen_through_the_errors_of_three_readers() -> None:
    released = measured(0.0, 3, Errors(), 0)[1]
    for seed in range(5):
        found, true = measured(0.3, 3, Errors(ERROR_RATE, is_calibrated=True), seed)
        assert true < 0.75
        assert found.value == pytest.approx(true, abs=0.12)
        assert found.high < released - 0.01
        assert found.low < true < found.high


def test_readers_show_by_contradiction_how_often_they_err() -> None:
    rng = np.random.default_rng(1)
    said = {True: LabelVerdict.CONFIRMED, False: LabelVerdict.REJECTED}
    labels = [
        label(event, said[bool(rng.random() < ERROR_RATE)], who=who) for event in range(4_000) for who in ("ann", "bob")
    ]
    assert shown_error_rate(labels) == pytest.approx(ERROR_RATE, abs=0.01)
    assert shown_error_rate(one for one in labels if one.who == "ann") == 0
    assert shown_error_rate(labels[: 2 * LEAST_PAIRS - 2]) == 0
    swapped = [one._replace(verdict=said[one.who == "ann"]) for one in labels]
    assert shown_error_rate(swapped) == pytest.approx(0.4)
