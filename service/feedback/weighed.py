"""What are the words on each claim worth? Each person's by how often he errs (`service.auditors.errors`)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import structlog
from numpy.typing import NDArray

from service.auditors.contradictions import shown_error_rate
from service.auditors.errors import ErrorRates, Testimony, error_rates
from service.events.vocabulary import KINDS
from service.feedback.sampling import BANDS
from service.feedback.verdicts import Claim, EventLabel, LabelVerdict, latest

RECENT: Final = 20_000
"""Claims by which persons are known, those that were last spoken of: who errs of late has not always done so."""

_UNKNOWN = len(BANDS) + 1
"""The band of claims of which no network has said anything."""


log = structlog.get_logger("epc_sentinel.auditors")


class Auditor(NamedTuple):
    """A person who judges, and how often he errs."""

    who: str
    words: int  # that count, on RECENT claims
    compared: int  # of these, those by which his errors are known; 0: they are those of all
    of_normal: float  # share of normal events that he confirms, 0 to 1
    of_anomalous: float  # share of anomalous ones that he rejects
    at_odds: bool  # with what the others say: his words weigh little or nothing


@dataclass(frozen=True, slots=True)
class Weighed:
    """What all words together say."""

    evidence: Mapping[Claim, float]  # logarithm of how many times likelier they are of an anomaly; not 0
    auditors: Sequence[Auditor]  # by name

    @property
    def at_odds(self) -> list[Auditor]:
        """Return those whose words tell little."""
        return [one for one in self.auditors if one.at_odds]


def weighed(labels: Iterable[EventLabel], error_rate: float) -> Weighed:
    """Return what the words on each claim are worth; claims on which they say nothing are left out.

    Where no error rate is stated, and too few claims were judged by two to show one, the majority is the truth.

    Args:
        labels: all of them, superseded ones too.
        error_rate: share of the words that are wrong, 0 to 0.4; a person who shows by contradictions that his are
            oftener has a rate of his own.
    """
    said = [label for label in latest(labels).values() if label.verdict in _CONFIRMS]
    claims = {claim: at for at, claim in enumerate(dict.fromkeys(label.claim for label in said))}
    persons = {who: at for at, who in enumerate(sorted({label.who for label in said}))}
    words = _words(said, claims, persons)
    of_claim = np.bincount(words.claim, minlength=len(claims))
    confirmed = np.bincount(words.claim[words.confirms], minlength=len(claims))
    usual = error_rate or shown_error_rate(confirmed, of_claim)
    if not usual:
        votes = 2.0 * confirmed - of_claim
        with np.errstate(invalid="ignore"):
            evidence = np.where(votes == 0, 0.0, votes * np.inf)
        rates = ErrorRates.alike(0.0, len(persons))
        recent = words
    else:
        recent = _recent(words, np.array([label.sequence for label in said]))
        rates = error_rates(recent, len(persons), usual, error_rate)
        evidence = rates.evidence(words)
    counts = np.bincount(recent.person, minlength=len(persons))
    columns = (counts, rates.compared, rates.of_normal, rates.of_anomalous, rates.at_odds)
    return Weighed(
        {claim: value for claim, value in zip(claims, evidence.tolist(), strict=True) if value},
        [Auditor(*row) for row in zip(persons, *(column.tolist() for column in columns), strict=True)],
    )


def sound(labels: Sequence[EventLabel]) -> list[EventLabel]:
    """Return the labels of all who are not at odds with the others."""
    at_odds = {one.who for one in weighed(labels, 0.0).at_odds}
    return [label for label in labels if label.who not in at_odds]


def warn_of(at_odds: Iterable[Auditor], before: Iterable[Auditor]) -> None:
    """Name those in the log who are at odds with the others, and were not ``before``."""
    known = {one.who for one in before}
    for one in at_odds:
        if one.who not in known:
            log.warning(
                "an auditor is at odds with the others",
                who=one.who,
                compared=one.compared,
                confirms_of_normal=round(one.of_normal, 3),
                rejects_of_anomalous=round(one.of_anomalous, 3),
            )


_CONFIRMS = {LabelVerdict.CONFIRMED: True, LabelVerdict.REJECTED: False}


def _words(said: Sequence[EventLabel], claims: Mapping[Claim, int], persons: Mapping[str, int]) -> Testimony:
    claim = np.array([claims[label.claim] for label in said], dtype=np.intp)
    promised = np.full(len(claims), np.nan)
    kind = np.zeros(len(claims), dtype=np.intp)
    kind[claim] = [KINDS.index(label.kind) for label in said]
    # The rules have no version, and their scores are no probabilities.
    promised[claim] = [label.score if label.score is not None and label.model_version else np.nan for label in said]
    band = np.where(np.isnan(promised), _UNKNOWN, np.searchsorted(BANDS, promised, side="right"))
    return Testimony(
        claim,
        np.array([persons[label.who] for label in said], dtype=np.intp),
        np.array([_CONFIRMS[label.verdict] for label in said], dtype=np.bool_),
        kind * (_UNKNOWN + 1) + band,
        promised,
    )


def _recent(words: Testimony, sequence: NDArray[np.int64]) -> Testimony:
    """Return the words on the claims that were last spoken of. Args: ``sequence`` [V], each word's place in the log."""
    last = np.zeros(len(words.group), dtype=np.int64)
    np.maximum.at(last, words.claim, sequence)
    if len(last) <= RECENT:
        return words
    kept = np.zeros(len(last), dtype=np.bool_)
    kept[np.argsort(last, kind="stable")[-RECENT:]] = True
    of_word = kept[words.claim]
    return Testimony(
        (np.cumsum(kept) - 1)[words.claim[of_word]],
        words.person[of_word],
        words.confirms[of_word],
        words.group[kept],
        words.promised[kept],
    )
