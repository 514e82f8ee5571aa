"""Who answers when a model cannot: another model, or the rules. The answer says so."""

from __future__ import annotations

from dataclasses import dataclass, replace

from service.detect.detector import Detector, Judgement, joined
from service.detect.names import Method
from service.errors import DeadlineExceeded, ModelUnavailable
from service.features.case import View
from service.runtime.deadline import Deadline

_RULES_S, _RULES_S_PER_EVENT = 0.25, 2e-5
"""What the rules get of a caller's deadline: they take 5 ms for small requests, in one thread that others wait for too,
and some 5 us per event of a large one."""


@dataclass(frozen=True, slots=True)
class RulesAsFallback:
    """Lets the rules judge what a detector cannot, since its model does not answer, or not in time."""

    detector: Detector
    rules: Detector

    async def judge(self, view: View, deadline: Deadline) -> Judgement:
        """Judge the events of ``view``; see `Detector.judge`. Rules never answer after the deadline."""
        try:
            return await self.detector.judge(view, deadline.less(_RULES_S + _RULES_S_PER_EVENT * len(view)))
        except ModelUnavailable as error:
            reason = str(error)
        except DeadlineExceeded as error:
            if deadline.passed:
                raise
            reason = str(error)
        judgement = await self.rules.judge(view, deadline)
        warning = f"The model could not answer ({reason}); rules judged these events, with coarser scores."
        warning = joined(warning, judgement.warning)
        return replace(judgement, method=Method.RULES_AS_FALLBACK, warning=warning, degraded=True)


@dataclass(frozen=True, slots=True)
class ModelAsFallback:
    """Lets the model in use judge what a canary cannot."""

    detector: Detector
    name: str  # of what cannot, for the warning: "epc_lstm/2"
    otherwise: Detector

    async def judge(self, view: View, deadline: Deadline) -> Judgement:
        """Judge the events of ``view``; see `Detector.judge`."""
        try:
            return await self.detector.judge(view, deadline)
        except ModelUnavailable as error:
            judgement = await self.otherwise.judge(view, deadline)
            warning = joined(f"{self.name} could not answer ({error}).", judgement.warning)
            return replace(judgement, warning=warning, degraded=True)
