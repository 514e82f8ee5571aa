"""Detectors judge events: scores from 0 (normal) to 1 (anomalous) per kind, and what of it is a finding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from service.events.vocabulary import KINDS
from service.features import table as features
from service.features.case import Case, View

MALFORMED_CODE_SCORE = 0.99
"""A malformed code is forged, whatever the model makes of it: the contract promises that."""

_FAKE = KINDS.index("epcFake")

_WELL_FORMED = features.INDEX["code_well_formed"]


@dataclass(frozen=True, slots=True, eq=False)
class Judgement:
    """What a detector says of N events, in the order given."""

    scores: NDArray[np.float32]  # [N, 5] probabilities 0 normal .. 1 anomalous, in the order of KINDS
    flags: NDArray[np.bool_]  # [N, 5] findings
    parts: NDArray[np.float32] | None = None  # of an ensemble: [N, 3] highest scores of network, SVMs and both


class Detector(Protocol):
    """Judges journeys: whole ones with all their events known, or causally, each event from its past alone."""

    @property
    def method(self) -> str:
        """Name of the method in answers."""
        ...

    @property
    def model_version(self) -> str:
        """Name and version of the model, empty if there is none."""
        ...

    async def judge(self, view: View, timeout_s: float | None) -> Judgement:
        """Judge the events of ``view``, of any number of journeys.

        Raises:
            ModelUnavailable: the model cannot answer.
            DeadlineExceeded: ``timeout_s`` seconds passed (None: no limit).
        """
        ...


def raise_malformed(case: Case, scores: NDArray[np.float32]) -> None:
    """Make events with malformed codes forged, in place, in the scores [A, 5] of the asked events of a case."""
    malformed = case.features[case.rows, _WELL_FORMED] == 0
    scores[malformed, _FAKE] = np.maximum(scores[malformed, _FAKE], MALFORMED_CODE_SCORE)
