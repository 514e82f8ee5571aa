"""Columns to verdicts: picks the detector, and falls back to the rules when the model cannot answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from service.detect.detector import Detector, Judgement
from service.detect.fallback import ModelCanary
from service.errors import DeadlineExceeded, ModelUnavailable, NotImplementedYet
from service.events.columns import Events
from service.features.case import View
from service.history.history import Memory

FALLBACK_METHOD = "rule-based-fallback"


@dataclass(frozen=True, slots=True, eq=False)
class Verdicts:
    """What was found in N events, in the order they were given."""

    scores: NDArray[np.float32]  # [N, 5] calibrated probabilities, 0 normal .. 1 anomalous, in the order of KINDS
    flags: NDArray[np.bool_]  # [N, 5] the score passed the threshold of its kind
    method: str  # what judged, as AnalyzeResponse.method
    model_version: str  # name and version of the model, "" for rules
    warning: str  # what the caller should know about the quality of the answer, "" for nothing
    parts: NDArray[np.float32] | None = None  # of an ensemble: [N, 3] highest scores of network, SVMs and both


class Analyzer:
    """Judges events with the detector that the caller asks for, with or without history."""

    def __init__(  # noqa: PLR0913 - the composition root names each
        self,
        lstm: Detector,
        rules: Detector,
        *,
        fallback: bool,
        memory: Memory | None = None,
        of_stream: Callable[[], Memory] | None = None,
        always: bool = False,
        canary: ModelCanary | None = None,
        svm: Detector | None = None,
        ensemble: Detector | None = None,
    ) -> None:
        """Args: ``fallback`` lets the rules answer for a model that is unavailable; ``memory`` is what is
        known beside requests, None for nothing; ``of_stream`` makes a memory of a stream's own, for where there is
        no other; ``always`` makes `analyze` use ``memory`` too if the caller does not say;
        ``canary`` is another LSTM that judges some files, and for which ``lstm`` answers when it cannot;
        ``svm`` are the one-class SVMs and ``ensemble`` is both together, None where there are none.
        """
        self._lstm = lstm
        self._of_svm = {"svm": svm, "ensemble": ensemble}
        self._canary = canary
        self._rules = rules
        self._fallback = fallback
        self._memory = memory
        self._of_stream = of_stream
        self._always = always

    async def analyze(
        self, events: Events, detector: str = "lstm", timeout_s: float | None = None, *, history: bool | None = None
    ) -> Verdicts:
        """Judge whole journeys with ``detector``: "lstm", "svm", "ensemble" or "rules".

        ``history`` adds the stored events of the same items to what is known, and stores these; None: as configured.
        Without history, or if it is down, the events given are all that is known.

        Raises:
            NotImplementedYet: the contract names the detector, this version or its models do not have it.
            ModelUnavailable: the model cannot answer, and fallback is off.
            DeadlineExceeded: ``timeout_s`` seconds passed (None: no limit); never answered by fallback.
        """
        used = self._always if history is None else history
        return await self._judge(View(events, causal=False), detector, timeout_s, self._memory if used else None)

    def stream(self) -> Callable[..., Awaitable[Verdicts]]:
        """Return the `follow` of one stream: without a history, what the stream itself brought before is known."""
        memory = self._of_stream() if self._memory is None and self._of_stream else None
        return partial(self.follow, memory=memory)

    async def follow(
        self,
        events: Events,
        detector: str = "lstm",
        timeout_s: float | None = None,
        *,
        history: bool | None = None,
        memory: Memory | None = None,
    ) -> Verdicts:
        """Judge events as they happen: each from the past alone, and once. Otherwise as `analyze`.

        With history (unless ``history`` is False), events that were judged before get the same answer again;
        ``memory`` takes its place where the gateway keeps none.
        """
        known = memory if self._memory is None else self._memory
        return await self._judge(View(events, causal=True), detector, timeout_s, None if history is False else known)

    async def close(self) -> None:
        """Let the history's connections go."""
        if self._memory is not None:
            await self._memory.close()

    async def _judge(self, view: View, detector: str, timeout_s: float | None, memory: Memory | None) -> Verdicts:
        first = self._chosen(detector, view)
        loop = asyncio.get_running_loop()
        deadline = None if timeout_s is None else loop.time() + timeout_s

        def left_s() -> float | None:
            return None if deadline is None else max(0.0, deadline - loop.time())

        warnings = []
        if memory is not None:
            try:
                async with asyncio.timeout(timeout_s):
                    view, warning = await memory.recall(view)
            except TimeoutError:
                raise DeadlineExceeded("the deadline passed before the history answered") from None
            warnings.append(warning)
        chosen, judgement, warning = await self._first_answer(first, view, left_s)
        warnings.append(warning)
        method = FALLBACK_METHOD if chosen is self._rules and first is not self._rules else chosen.method
        warning = " ".join(filter(None, warnings))
        return Verdicts(judgement.scores, judgement.flags, method, chosen.model_version, warning, judgement.parts)

    def _chosen(self, detector: str, view: View) -> Detector:
        if detector in self._of_svm:
            found = self._of_svm[detector]
            if found is None:
                raise NotImplementedYet(
                    f"DETECTOR_{detector.upper()} is not available: the model repository has no epc_svm of this"
                    " version that can do it; use DETECTOR_LSTM or DETECTOR_RULES"
                )
            return found
        if detector == "rules":
            return self._rules
        if self._canary is not None and self._canary.takes(view.events.file_id):
            return self._canary.detector
        return self._lstm

    async def _first_answer(
        self, first: Detector, view: View, left_s: Callable[[], float | None]
    ) -> tuple[Detector, Judgement, str]:
        """Return (who judged, its judgement, a warning if it was not ``first``)."""
        try:
            return first, await first.judge(view, left_s()), ""
        except ModelUnavailable as error:
            if self._canary is not None and first is self._canary.detector:
                who, judgement, further = await self._first_answer(self._lstm, view, left_s)
                return who, judgement, f"{first.model_version} could not answer ({error}). {further}".rstrip()
            if not self._fallback or first is self._rules:
                raise
            warning = f"The model could not answer ({error}); rules judged these events, with coarser scores."
            return self._rules, await self._rules.judge(view, left_s()), warning
