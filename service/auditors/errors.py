"""How often does each person err, when the truth is not known? By what several persons say of the same claims.

Each person has two rates (Dawid and Skene 1979): of normal events he confirms a share by mistake, of anomalous ones
he rejects another. Claims that are alike, of one kind and one band of scores, share how many of them are anomalous,
which the words tell, too; and a detector that has got worse makes no one err, for all who look see the same. All of it
is what makes the words most likely, found by turns (EM): what each claim is, by the rates; the rates, by what each
claim is. It starts from calibrated scores, for words alone do not tell two who err from one who does not.

Who judged what nobody else did is compared with the scores: he errs oftener by as much as he contradicts sure ones
oftener than the others do. That all contradict them is the detector's fault, and says nothing of anybody.

Few words tell little: each rate starts as so many words at the usual rate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

LEAST_WORDS: Final = 100
"""Words on claims that others judged, too, of fewer than which nothing is told of a person by these."""

TELLS_LITTLE: Final = 0.5
"""From here on, the sum of a person's two rates, he is at odds with the others: of a coin that is thrown it is 1."""

_UNUSUAL = 1.5
"""Times the usual sum, that it also has to be: where all err much, nobody is at odds with the others by that."""

_PRIOR = 100.0
"""Words at the usual rate that each person begins with."""

_PRIOR_OF_EACH = 20.0
"""Of both rates, words at the person's rate over all: anomalous events are few."""

_PRIOR_OF_GROUP = 2.0
"""Claims that are as anomalous as promised that each group begins with."""

_ROUNDS, _SETTLED = 200, 1e-4
"""Of the estimate, at most; and by how little rates move where it ends."""

_SURE = (0.02, 0.95)
"""Calibrated scores below and from which on a word that says otherwise contradicts them."""

_LEAST, _MOST = 0.002, 0.998
"""Of rates and shares: where they are 0 or 1, words would be the truth, and scores could not be contradicted."""

_Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Testimony:
    """V words of P persons on C claims, one of each person on a claim at most."""

    claim: NDArray[np.intp]  # [V] number of the claim, from 0
    person: NDArray[np.intp]  # [V] number of the person, from 0
    confirms: NDArray[np.bool_]  # [V]
    group: NDArray[np.intp]  # [C] number of the group of alike claims, from 0
    promised: _Numbers  # [C] calibrated scores, 0 to 1; NaN where there is none


@dataclass(frozen=True, slots=True, eq=False)
class ErrorRates:
    """How often each of P persons errs."""

    of_normal: _Numbers  # [P] share of normal events that he confirms
    of_anomalous: _Numbers  # [P] share of anomalous ones that he rejects
    compared: NDArray[np.int64]  # [P] words by which that was found; 0: nothing was, and they are the usual one
    usual: float  # rate of a person of whom nothing is known

    @classmethod
    def alike(cls, rate: float, persons: int) -> ErrorRates:
        """Return one rate for all."""
        of_each = np.full(persons, rate)
        return cls(of_each, of_each, np.zeros(persons, dtype=np.int64), rate)

    @property
    def at_odds(self) -> NDArray[np.bool_]:
        """Whether each person is at odds with the others, so that his words are worth little [P]."""
        found: NDArray[np.bool_] = self.of_normal + self.of_anomalous >= max(TELLS_LITTLE, _UNUSUAL * 2 * self.usual)
        return found

    def evidence(self, words: Testimony) -> _Numbers:
        """Return the logarithm of how many times likelier the words on each claim are if it is anomalous [C]."""
        of_claims: _Numbers = np.bincount(
            words.claim, self.of_words(words.person, words.confirms), len(words.group)
        ).astype(np.float64)
        return of_claims

    def of_words(self, person: NDArray[np.intp], confirms: NDArray[np.bool_]) -> _Numbers:
        """Return what each word adds to the evidence [V]."""
        with np.errstate(divide="ignore"):
            confirmed = np.maximum(np.log1p(-self.of_anomalous) - np.log(self.of_normal), 0.0)
            rejected = np.minimum(np.log(self.of_anomalous) - np.log1p(-self.of_normal), 0.0)
        # Nobody's word counts for its contrary: who errs oftener than a coin says nothing.
        found: _Numbers = np.where(confirms, confirmed[person], rejected[person])
        return found


def error_rates(words: Testimony, persons: int, usual: float, least: float = _LEAST) -> ErrorRates:
    """Return how often each person errs.

    Args:
        words: of all of them.
        persons: how many they are.
        usual: how often a person errs of whom nothing is known, above 0, below 0.5.
        least: nobody errs less often.
    """
    found = _by_others(words, persons, usual)
    by_scores, compared = _by_scores(words, persons, usual)
    alone = found.compared < LEAST_WORDS
    of_normal, of_anomalous = (
        np.clip(np.where(alone, by_scores, rates), max(least, _LEAST), _MOST)
        for rates in (found.of_normal, found.of_anomalous)
    )
    return ErrorRates(of_normal, of_anomalous, np.where(alone, compared, found.compared), usual)


def _by_others(words: Testimony, persons: int, usual: float) -> ErrorRates:
    """Return the rates by claims that several judged."""
    several = np.bincount(words.claim, minlength=len(words.group)) > 1
    kept = several[words.claim]
    claims = np.flatnonzero(several)
    place = np.cumsum(several) - 1
    claim, person, confirms = place[words.claim[kept]], words.person[kept], words.confirms[kept]
    group = np.unique(words.group[claims], return_inverse=True)[1]
    sizes = np.bincount(group)
    if not len(claims):
        return ErrorRates.alike(usual, persons)
    first = _promised(words.promised[claims], group, np.bincount(claim, confirms) / np.bincount(claim))
    share, rates = first, ErrorRates.alike(usual, persons)
    for _ in range(_ROUNDS):
        prior = np.log(share) - np.log1p(-share)
        log_odds = prior[group] + np.bincount(claim, rates.of_words(person, confirms), len(claims))
        anomalous = 1 / (1 + np.exp(-log_odds))
        share = (np.bincount(group, anomalous) + _PRIOR_OF_GROUP * first) / (sizes + _PRIOR_OF_GROUP)
        before, rates = rates, _rates(anomalous[claim], person, confirms, persons, usual)
        moved = np.abs(rates.of_normal - before.of_normal), np.abs(rates.of_anomalous - before.of_anomalous)
        if max(one.max() for one in moved) < _SETTLED:
            break
    return rates


def _promised(promised: _Numbers, group: NDArray[np.intp], confirmed: _Numbers) -> _Numbers:
    """Return the share of anomalous claims of each group by the scores; where there are none, by the words."""
    known = ~np.isnan(promised)
    found = np.where(known, promised, confirmed)
    return np.clip(np.bincount(group, found) / np.bincount(group), 1 - _MOST, _MOST)


def _rates(
    anomalous: _Numbers, person: NDArray[np.intp], confirms: NDArray[np.bool_], persons: int, usual: float
) -> ErrorRates:
    """Return the rates, if the claim of each word is anomalous with the probability [V]."""
    compared = np.bincount(person, minlength=persons)
    is_anomalous = np.bincount(person, anomalous, persons)
    confirmed = np.bincount(person, np.where(confirms, 1 - anomalous, 0.0), persons)
    rejected = np.bincount(person, np.where(confirms, 0.0, anomalous), persons)
    over_all = (confirmed + rejected + _PRIOR * usual) / (compared + _PRIOR)
    of_normal, of_anomalous = (
        np.clip((wrong + _PRIOR_OF_EACH * over_all) / (all_of + _PRIOR_OF_EACH), _LEAST, _MOST)
        for wrong, all_of in ((confirmed, compared - is_anomalous), (rejected, is_anomalous))
    )
    return ErrorRates(of_normal, of_anomalous, compared, usual)


def _by_scores(words: Testimony, persons: int, usual: float) -> tuple[_Numbers, NDArray[np.int64]]:
    """Return (the rate of each person by how much oftener than others he contradicts sure scores, by how many words).

    Low and high scores are apart: who looks at findings alone meets the errors of the detector that others do not.
    """
    promised = words.promised[words.claim]
    beyond, compared = np.zeros(persons), np.zeros(persons, dtype=np.int64)
    for side, contradicts in ((promised < _SURE[0], words.confirms), (promised >= _SURE[1], ~words.confirms)):
        count = np.bincount(words.person[side], minlength=persons)
        wrong = np.bincount(words.person[side], contradicts[side], persons)
        rates = (wrong + _PRIOR * usual) / (count + _PRIOR)
        told = np.flatnonzero(count >= LEAST_WORDS)
        for one in told.tolist() if len(told) > 1 else []:
            beyond[one] += count[one] * (rates[one] - float(np.median(rates[told[told != one]])))
            compared[one] += count[one]
    return np.clip(usual + beyond / np.maximum(compared, 1), usual, 0.5), compared
