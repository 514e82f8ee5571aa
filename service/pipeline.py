"""Columns to verdicts: picks the detector, and falls back to the rules when the model cannot answer."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.detectors import Detector
from service.errors import ModelUnavailable, NotImplementedYet
from service.events import Events

FALLBACK_METHOD = "rule-based-fallback"

_DETECTORS_TO_COME = {"svm": "DETECTOR_SVM", "ensemble": "DETECTOR_ENSEMBLE"}


@dataclass(frozen=True, slots=True, eq=False)
class Verdicts:
    """What was found in N events, in the order they were given."""

    scores: NDArray[np.float32]  # [N, 5] calibrated probabilities, 0 normal .. 1 anomalous, in the order of KINDS
    flags: NDArray[np.bool_]  # [N, 5] the score passed the threshold of its kind
    method: str  # what judged, as AnalyzeResponse.method
    model_version: str  # name and version of the model, "" for rules
    warning: str  # what the caller should know about the quality of the answer, "" for nothing


class Analyzer:
    """Judges events with the detector that the caller asks for."""

    def __init__(self, lstm: Detector, rules: Detector, *, fallback: bool) -> None:
        """Args: ``fallback`` lets the rules answer for the LSTM when its model is unavailable."""
        self._lstm = lstm
        self._rules = rules
        self._fallback = fallback

    async def analyze(self, events: Events, detector: str = "lstm", timeout_s: float | None = None) -> Verdicts:
        """Judge whole journeys with ``detector``: "lstm" or "rules".

        Raises:
            NotImplementedYet: the contract names the detector, this version does not have it.
            ModelUnavailable: the model cannot answer, and fallback is off.
            DeadlineExceeded: ``timeout_s`` seconds passed (None: no limit); never answered by fallback.
        """
        return await self._judge(events, detector, timeout_s, causal=False)

    async def follow(self, events: Events, detector: str = "lstm", timeout_s: float | None = None) -> Verdicts:
        """Judge events as they happen: each from the past alone. Otherwise as `analyze`."""
        return await self._judge(events, detector, timeout_s, causal=True)

    async def _judge(self, events: Events, detector: str, timeout_s: float | None, *, causal: bool) -> Verdicts:
        if detector in _DETECTORS_TO_COME:
            name = _DETECTORS_TO_COME[detector]
            raise NotImplementedYet(f"{name} is not available in this version: use DETECTOR_LSTM or DETECTOR_RULES")
        chosen = self._rules if detector == "rules" else self._lstm
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            judgement = await chosen.judge(events, timeout_s, causal=causal)
        except ModelUnavailable as error:
            if not self._fallback:
                raise
            warning = f"The model could not answer ({error}); rules judged these events, with coarser scores."
        else:
            return Verdicts(judgement.scores, judgement.flags, chosen.method, chosen.model_version, "")
        left_s = None if timeout_s is None else max(0.0, timeout_s - (loop.time() - started))
        judgement = await self._rules.judge(events, left_s, causal=causal)
        return Verdicts(judgement.scores, judgement.flags, FALLBACK_METHOD, "", warning)
