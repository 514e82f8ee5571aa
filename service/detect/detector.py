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
from service.events.vocabulary import KINDS
from service.features.case import Case, View
from service.features.table import INDEX
from service.runtime.deadline import Deadline

MALFORMED_CODE_SCORE = 0.99
"""A malformed code is forged, whatever the model makes of it: the contract promises that."""

_FAKE = KINDS.index("epcFake")
_WELL_FORMED = INDEX["code_well_formed"]


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


def raise_malformed(case: Case, scores: NDArray[np.float32]) -> None:
    """Make events with malformed codes forged, in place, in the scores [A, 5] of the asked events of a case."""
    malformed = case.features[case.rows, _WELL_FORMED] == 0
    if malformed.any():
        scores[malformed, _FAKE] = np.maximum(scores[malformed, _FAKE], MALFORMED_CODE_SCORE)


def joined(*warnings: str) -> str:
    """Return the warnings that say something, as one."""
    return " ".join(filter(None, warnings))
