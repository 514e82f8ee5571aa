"""Detectors judge events: scores from 0 (normal) to 1 (anomalous) per kind, and what of it is a finding."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from service import features, rules
from service.backends import Backend
from service.drift import Drift
from service.errors import DeadlineExceeded
from service.events import KINDS
from service.journeys import Index
from service.reference import Reference
from service.registry import Model
from service.sequences import Windows, pad
from service.view import Case, View

MALFORMED_CODE_SCORE = 0.99
"""A malformed code is forged, whatever the model makes of it: the contract promises that."""

_BATCH = 128
"""Windows per backend call: large enough for full speed, small enough to share the model fairly."""

_FAKE = KINDS.index("epcFake")
_WELL_FORMED = features.INDEX["code_well_formed"]


@dataclass(frozen=True, slots=True, eq=False)
class Judgement:
    """What a detector says of N events, in the order given."""

    scores: NDArray[np.float32]  # [N, 5] probabilities 0 normal .. 1 anomalous, in the order of KINDS
    flags: NDArray[np.bool_]  # [N, 5] findings


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


class RulesDetector:
    """Judges by the rules over the reference tables."""

    method = "rule-based"
    model_version = ""

    def __init__(self, reference: Reference) -> None:
        self._reference = reference

    async def judge(self, view: View, timeout_s: float | None) -> Judgement:  # noqa: ARG002 (rules are fast)
        """Judge the events of ``view``; see `Detector.judge`."""
        scores = await asyncio.to_thread(self._scores, view)
        return Judgement(scores, scores >= rules.THRESHOLD)

    def _scores(self, view: View) -> NDArray[np.float32]:
        case = view.case(self._reference)
        return rules.judge(case.features[case.rows])[0]


class LstmDetector:
    """Judges by the sequence model that a backend runs."""

    method = "lstm-deep-learning"

    def __init__(self, backend: Backend, model: Model, reference: Reference, drift: Drift | None = None) -> None:
        """Args: ``drift`` watches what is judged, None for nobody."""
        self.drift = drift
        self.model_version = f"{model.name}/{model.version}"
        self._backend = backend
        self._reference = reference
        self._lengths = np.array(model.manifest.lengths)
        thresholds = model.manifest.thresholds
        self._thresholds = np.array([thresholds.retrospective, thresholds.causal], dtype=np.float32)  # [causal, 5]

    async def judge(self, view: View, timeout_s: float | None) -> Judgement:
        """Judge the events of ``view``; see `Detector.judge`."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        case, windows = await asyncio.to_thread(self._prepare, view)
        probabilities = await self._infer(case, windows, deadline)
        scores = probabilities[windows.window_of, windows.offset_of]
        malformed = case.features[case.rows, _WELL_FORMED] == 0
        scores[malformed, _FAKE] = np.maximum(scores[malformed, _FAKE], MALFORMED_CODE_SCORE)
        if self.drift is not None:
            self.drift.watch(view, case, scores)
        return Judgement(scores, scores >= self._thresholds[int(view.causal)])

    def _prepare(self, view: View) -> tuple[Case, Windows]:
        case = view.case(self._reference)
        return case, view.windows(case, int(self._lengths[-1]))

    async def _infer(self, case: Case, windows: Windows, deadline: float | None) -> NDArray[np.float32]:
        """Return the probabilities [W, T, 5] of all windows, T the longest length in use."""
        bucket = np.searchsorted(self._lengths, windows.length)
        answers = np.zeros((len(windows.length), int(windows.length.max()), len(KINDS)), dtype=np.float32)

        async def call(rows: Index, padded_length: int) -> None:
            batch = await asyncio.to_thread(
                pad, case.features, windows.start[rows], windows.length[rows], padded_length
            )
            answer = await self._backend.infer(batch, windows.length[rows, None].astype(np.int64), _remaining(deadline))
            used = min(padded_length, answers.shape[1])
            answers[rows, :used] = answer[:, :used]

        try:
            async with asyncio.TaskGroup() as calls:
                for number in np.unique(bucket).tolist():
                    for rows in _batches(np.flatnonzero(bucket == number)):
                        calls.create_task(call(rows, int(self._lengths[number])))
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from failures
        return answers


def _batches(rows: Index) -> Iterator[Index]:
    for begin in range(0, len(rows), _BATCH):
        yield rows[begin : begin + _BATCH]


def _remaining(deadline: float | None) -> float | None:
    if deadline is None:
        return None
    remaining = deadline - time.monotonic()
    if remaining <= 0:
        raise DeadlineExceeded("the deadline passed before the model was asked")
    return remaining
