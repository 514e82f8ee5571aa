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
from service.errors import DeadlineExceeded
from service.events import KINDS, Events
from service.journeys import Index, Journeys
from service.reference import Reference
from service.registry import Model
from service.sequences import Windows, pad, prefix_windows, whole_windows

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

    async def judge(self, events: Events, timeout_s: float | None, *, causal: bool = False) -> Judgement:
        """Judge events of any number of journeys; ``causal`` judges each event from what is earlier.

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

    async def judge(
        self,
        events: Events,
        timeout_s: float | None,  # noqa: ARG002 (rules are fast)
        *,
        causal: bool = False,
    ) -> Judgement:
        """Judge events of any number of journeys; see `Detector.judge`."""
        scores = await asyncio.to_thread(self._scores, events, causal)
        return Judgement(scores, scores >= rules.THRESHOLD)

    def _scores(self, events: Events, causal: bool) -> NDArray[np.float32]:
        journeys = Journeys.of(events)
        scores, _ = rules.judge(features.compute(journeys, self._reference, causal=causal))
        return _in_request_order(scores, journeys.order)


class LstmDetector:
    """Judges by the sequence model that a backend runs."""

    method = "lstm-deep-learning"

    def __init__(self, backend: Backend, model: Model, reference: Reference) -> None:
        self.model_version = f"{model.name}/{model.version}"
        self._backend = backend
        self._reference = reference
        self._lengths = np.array(model.manifest.lengths)
        thresholds = model.manifest.thresholds
        self._thresholds = np.array([thresholds.retrospective, thresholds.causal], dtype=np.float32)  # [causal, 5]

    async def judge(self, events: Events, timeout_s: float | None, *, causal: bool = False) -> Judgement:
        """Judge events of any number of journeys; see `Detector.judge`."""
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        prepared = await asyncio.to_thread(self._prepare, events, causal)
        probabilities = await self._infer(prepared, deadline)
        scores = probabilities[prepared.windows.window_of, prepared.windows.offset_of]
        malformed = prepared.features[:, _WELL_FORMED] == 0
        scores[malformed, _FAKE] = np.maximum(scores[malformed, _FAKE], MALFORMED_CODE_SCORE)
        scores = _in_request_order(scores, prepared.journeys.order)
        return Judgement(scores, scores >= self._thresholds[int(causal)])

    def _prepare(self, events: Events, causal: bool) -> _Prepared:
        journeys = Journeys.of(events)
        table = features.compute(journeys, self._reference, causal=causal)
        windows = (prefix_windows if causal else whole_windows)(journeys, int(self._lengths[-1]))
        return _Prepared(journeys, table, windows)

    async def _infer(self, prepared: _Prepared, deadline: float | None) -> NDArray[np.float32]:
        """Return the probabilities [W, T, 5] of all windows, T the longest length in use."""
        windows = prepared.windows
        bucket = np.searchsorted(self._lengths, windows.length)
        answers = np.zeros((len(windows.length), int(windows.length.max()), len(KINDS)), dtype=np.float32)

        async def call(rows: Index, padded_length: int) -> None:
            batch = await asyncio.to_thread(
                pad, prepared.features, windows.start[rows], windows.length[rows], padded_length
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


@dataclass(frozen=True, slots=True, eq=False)
class _Prepared:
    journeys: Journeys
    features: NDArray[np.float32]  # [N, F]
    windows: Windows


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


def _in_request_order(scores: NDArray[np.float32], order: Index) -> NDArray[np.float32]:
    restored = np.empty_like(scores)
    restored[order] = scores
    return restored
