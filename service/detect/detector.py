"""The contract of detectors: scores from 0 (normal) to 1 (anomalous) per kind, what is a finding, and who says so.

A detector may be one around others: `canary` picks one, `fallback` goes on to a second one, `ensemble` asks several.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from service.detect.coverage import Coverage
from service.detect.names import Method
from service.detect.rules import Table, twice_at_once
from service.events.groups import Index
from service.events.vocabulary import KINDS
from service.features.case import Case, View
from service.runtime.deadline import Deadline

CERTAIN_SCORE = 0.99
"""What is certain has this score at least, whatever a model makes of it: see `raise_certain`."""

CERTAIN_KINDS = ("epcFake", "epcDup")
"""The kinds of which something is certain."""


@dataclass(frozen=True, slots=True, eq=False)
class Judgement:
    """What was found in N events, in the order given, and by whom."""

    scores: NDArray[np.float32]  # [N, 5] calibrated probabilities, 0 normal .. 1 anomalous, in the order of KINDS
    flags: NDArray[np.bool_]  # [N, 5] findings: the score passed the threshold of its kind
    method: Method  # what judged
    model_version: str = ""  # name and version of the model, "" for rules
    warning: str = ""  # what the caller should know about the quality of the answer, "" for nothing
    # Of an ensemble: [N, 4] highest scores of network, SVMs (NaN if they could not answer), rules, and all together;
    # and of findings on which these do not agree, by position: who said what, and why it was resolved so.
    member_scores: NDArray[np.float32] | None = None
    resolutions: Mapping[int, str] = field(default_factory=dict)
    point: str = ""  # the operating point that the flags are of, "" for rules, which have one alone
    degraded: bool = False  # judged without the model or the history that it should have been judged with
    case: Case | None = None  # what it was judged by, where reasons are wanted (`View.wanted_by`)
    shifts: Mapping[int, int] = field(default_factory=dict)  # by file_id, hours by which its times look shifted
    coverage: Mapping[int, Coverage] = field(default_factory=dict)  # by file_id, what the tables lack of it
    wiring: str = ""  # the version whose tables it was made by, where a gateway has several

    def part(self, begin: int, end: int) -> Judgement:
        """Return the judgement of the events from ``begin`` to before ``end``."""
        members, case = self.member_scores, self.case
        return replace(
            self,
            scores=self.scores[begin:end],
            flags=self.flags[begin:end],
            member_scores=None if members is None else members[begin:end],
            resolutions={at - begin: text for at, text in self.resolutions.items() if begin <= at < end},
            case=case and replace(case, rows=case.rows[begin:end]),
        )


class Detector(Protocol):
    """Judges journeys: whole ones with all their events known, or causally, each event from its past alone."""

    async def judge(self, view: View, deadline: Deadline) -> Judgement:
        """Judge the events of ``view``, of any number of journeys.

        Raises:
            ModelUnavailable: the model cannot answer.
            DeadlineExceeded: it was not done in time.
        """
        ...


def raise_certain(features: NDArray[np.float32], scores: NDArray[np.float32], rows: Index | None = None) -> None:
    """Raise what is certain to `CERTAIN_SCORE` in ``scores`` [A, 5], in place.

    A malformed code is forged: the contract promises that. And of two scans of one item at two places in the same
    second, nobody can tell which one is the clone's: both are flagged, as far as the request or the history has both.

    Args: ``rows`` [A] are those of ``features`` [N, F] that the scores are of; None: all.
    """
    table = Table(features)
    for kind, certain in zip(CERTAIN_KINDS, (table["code_well_formed"] == 0, twice_at_once(table)), strict=True):
        if certain.any():
            at, column = certain if rows is None else certain[rows], KINDS.index(kind)
            scores[at, column] = np.maximum(scores[at, column], CERTAIN_SCORE)


def joined(*warnings: str) -> str:
    """Return the warnings that say something, as one."""
    return " ".join(filter(None, warnings))
