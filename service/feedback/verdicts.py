"""What people say of events, and what counts of it: the latest word of each person, and the majority of the persons."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple, TypeAlias

from service.events.vocabulary import KINDS


class LabelVerdict(StrEnum):
    """What a person says of an event and a kind."""

    CONFIRMED = "confirmed"
    REJECTED = "rejected"
    UNSURE = "unsure"  # counts neither way
    WITHDRAWN = "withdrawn"  # as if nothing had been said


Claim: TypeAlias = tuple[int, int, str]
"""What a verdict is on, that an event has an anomaly: (file_id, event_id, kind)."""


class EventLabel(NamedTuple):
    """One verdict of one person; a row of the log, its fields in the order of the columns."""

    label_id: str  # unique; "" before it is appended: it gets one
    event_id: int
    file_id: int
    epc_code: str  # "" if the sender does not know it
    kind: str  # one of KINDS
    verdict: LabelVerdict
    who: str
    sent_by: str  # the caller, as `service.security.auth` knows him
    labelled_at_us: int  # microseconds since 1970-01-01 UTC
    note: str = ""
    score: float | None = None  # what the detector said of the kind, 0 .. 1; None: unknown
    flagged: bool | None = None
    model_version: str = ""
    sequence: int = 0  # place in the log, from 1; 0 before it is appended

    @property
    def claim(self) -> Claim:
        """What it is on."""
        return self.file_id, self.event_id, self.kind

    def says_the_same(self, other: EventLabel) -> bool:
        """Return whether both are the same word of the same person."""
        return (self.claim, self.who, self.verdict, self.note) == (
            other.claim,
            other.who,
            other.verdict,
            other.note,
        )


def derived_id(label: EventLabel, before: EventLabel | None) -> str:
    """Return the id of a label that follows ``before``, the last word of its person on its claim.

    Equal for two gateways that are told the same at once, so that the log takes one of them.
    """
    told = (before.label_id if before else "", *label.claim, label.verdict.value, label.who, label.note)
    return hashlib.sha256("\0".join(map(str, told)).encode()).hexdigest()[:32]


def latest(labels: Iterable[EventLabel]) -> dict[tuple[Claim, str], EventLabel]:
    """Return the last word of each person (who) on each claim; withdrawn ones are among them.

    The last is the one that was said last; of two of one time, the one that was appended last.
    """
    last: dict[tuple[Claim, str], EventLabel] = {}
    for label in sorted(labels, key=lambda label: (label.labelled_at_us, label.sequence)):
        last[label.claim, label.who] = label
    return last


def votes_of(labels: Iterable[EventLabel]) -> dict[Claim, int]:
    """Return the persons for each claim, less those against, by their last words.

    Claims of which nobody says either, and those with as many for as against, are left out.
    """
    votes: dict[Claim, int] = {}
    for (claim, _who), label in latest(labels).items():
        vote = {LabelVerdict.CONFIRMED: 1, LabelVerdict.REJECTED: -1}.get(label.verdict, 0)
        votes[claim] = votes.get(claim, 0) + vote
    return {claim: sum_ for claim, sum_ in votes.items() if sum_}


def agreed(labels: Iterable[EventLabel]) -> dict[Claim, bool]:
    """Return what the persons say of each claim: whether it is anomalous, by the majority; `votes_of` without ties."""
    return {claim: votes > 0 for claim, votes in votes_of(labels).items()}


def is_kind(name: str) -> bool:
    """Return whether there is a kind of that name."""
    return name in KINDS
