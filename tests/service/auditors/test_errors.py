"""Who errs how often is found by what several say of the same, and no fall of a detector is taken for it."""

from __future__ import annotations

import numpy as np
import pytest

from service.auditors import errors
from service.auditors.errors import ErrorRates, error_rates

USUAL = 0.05
GOOD, FLIPS, TURNED, ALL_NORMAL = (0.05, 0.05), (0.35, 0.35), (0.95, 0.95), (0.0, 1.0)
Person = tuple[float, float]
"""(share of normal events that he confirms, share of anomalous ones that he rejects)"""


def judged(
    *people: Person, missed: float = 0.0, claims: int = 4_000, apart: bool = False, seed: int = 1
) -> errors.Testimony:
    """Return what people say of claims, an eighth of which scores call anomalous; the detector misses some.

    Args:
        missed: share of all anomalous claims that have scores of normal ones.
        apart: each person has judged other claims than the others.
    """
    rng = np.random.default_rng(seed)
    anomalous = rng.random(claims) < 0.125
    found = anomalous & (rng.random(claims) >= missed)
    scores = np.where(found, 0.99, 0.005)
    wrong = rng.random((claims, len(people))) < np.where(
        anomalous[:, None], *(np.array(people).T[row] for row in (1, 0))
    )
    confirms = anomalous[:, None] ^ wrong
    claim, person = (one.ravel() for one in np.indices(confirms.shape))
    kept = claim % len(people) == person if apart else np.ones(len(claim), dtype=bool)
    return errors.Testimony(claim[kept], person[kept], confirms.ravel()[kept], found.astype(np.intp), scores)


@pytest.mark.parametrize("missed", [0.0, 0.3, 0.6])
@pytest.mark.parametrize("bad", [FLIPS, (0.5, 0.5), TURNED, ALL_NORMAL])
def test_one_of_three_who_errs_is_found_whatever_the_detector_does(bad: Person, missed: float) -> None:
    found = error_rates(judged(GOOD, GOOD, bad, missed=missed), 3, USUAL)
    assert found.of_normal[:2] == pytest.approx([0.05, 0.05], abs=0.02)
    assert found.of_anomalous[:2] == pytest.approx([0.05, 0.05], abs=0.04)
    assert (found.of_normal[2], found.of_anomalous[2]) == pytest.approx(bad, abs=0.06)
    assert found.at_odds.tolist() == [False, False, True]


def test_by_the_scores_two_who_turn_all_over_do_not_outvote_one() -> None:
    assert error_rates(judged(GOOD, TURNED, TURNED), 3, USUAL).at_odds.tolist() == [False, True, True]


@pytest.mark.parametrize("people", [1, 2, 3])
def test_a_fall_is_nobodys_error(people: int) -> None:
    found = error_rates(judged(*[GOOD] * people, missed=0.6), people, USUAL)
    assert found.of_normal == pytest.approx([0.05] * people, abs=0.02)
    assert not found.at_odds.any()


def test_nobody_errs_less_than_is_stated_if_it_is() -> None:
    words = judged((0.01, 0.01), (0.01, 0.01), (0.01, 0.01))
    assert error_rates(words, 3, USUAL).of_normal == pytest.approx([0.01] * 3, abs=0.005)
    stated = error_rates(words, 3, USUAL, USUAL)
    assert stated.of_normal.tolist() == stated.of_anomalous.tolist() == [USUAL] * 3


def test_where_all_err_much_nobody_is_at_odds_by_that() -> None:
    people = ((0.3, 0.3), (0.3, 0.3), (0.35, 0.3))
    assert not error_rates(judged(*people), 3, 0.3, 0.3).at_odds.any()
    assert not ErrorRates.alike(0.4, 3).at_odds.any()


def test_few_words_tell_little_of_a_person() -> None:
    found = error_rates(judged(GOOD, GOOD, TURNED, claims=8), 3, USUAL)
    assert found.of_normal.tolist() == [USUAL] * 3
    assert not found.at_odds.any()


def test_who_judged_alone_is_compared_with_what_others_say_of_scores() -> None:
    found = error_rates(judged(GOOD, GOOD, FLIPS, apart=True), 3, USUAL)
    assert found.of_normal == pytest.approx([0.05, 0.05, 0.34], abs=0.04)
    assert found.at_odds.tolist() == [False, False, True]
    fallen = error_rates(judged(GOOD, GOOD, GOOD, missed=0.6, apart=True), 3, USUAL)
    assert fallen.of_normal == pytest.approx([0.05] * 3, abs=0.02), "all contradict the scores: the detector's fault"


def test_words_weigh_by_errors_and_none_counts_for_its_contrary() -> None:
    of_normal, of_anomalous = (np.array(column) for column in zip(GOOD, FLIPS, TURNED, ALL_NORMAL, strict=True))
    rates = ErrorRates(
        np.maximum(of_normal, 0.002), np.minimum(of_anomalous, 0.998), np.zeros(4, dtype=np.int64), USUAL
    )
    people = np.arange(4)
    confirmed, rejected = (rates.of_words(people, np.full(4, said)) for said in (True, False))
    assert confirmed.tolist() == pytest.approx([np.log(19), np.log(0.65 / 0.35), 0, 0])
    assert rejected.tolist() == pytest.approx([-np.log(19), -np.log(0.65 / 0.35), 0, 0], abs=1e-9)
