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


async def ask(detector: Detector, view: View, deadline: Deadline, kept_s: float) -> Judgement | str:
    """Return the judgement of ``view``, or why there is none with ``kept_s`` seconds left until the deadline.

    Raises:
        DeadlineExceeded: the deadline itself passed.
    """
    try:
        return await detector.judge(view, deadline.less(kept_s))
    except ModelUnavailable as error:
        return str(error)
    except DeadlineExceeded as error:
        if deadline.passed:
            raise
        return str(error)


def for_rules_s(view: View) -> float:
    """Return how many seconds of a caller's deadline are kept for the rules."""
    return _RULES_S + _RULES_S_PER_EVENT * len(view)


@dataclass(frozen=True, slots=True)
class RulesAsFallback:
    """Lets the rules judge what a detector cannot, since its model does not answer, or not in time."""

    detector: Detector
    rules: Detector

    async def judge(self, view: View, deadline: Deadline) -> Judgement:
        """Judge the events of ``view``; see `Detector.judge`. Rules never answer after the deadline."""
        found = await ask(self.detector, view, deadline, for_rules_s(view))
        if isinstance(found, Judgement):
            return found
        judgement = await self.rules.judge(view, deadline)
        warning = f"The model could not answer ({found}); rules judged these events, with coarser scores."
        warning = joined(warning, judgement.warning)
        return replace(judgement, method=Method.RULES_AS_FALLBACK, warning=warning, degraded=True)


@dataclass(frozen=True, slots=True)
class ModelAsFallback:
    """Lets the model in use judge what a canary cannot, or not in time for the model in use and the rules after it."""

    detector: Detector
    name: str  # of what cannot, for the warning: "epc_lstm/2"
    otherwise: Detector

    async def judge(self, view: View, deadline: Deadline) -> Judgement:
        """Judge the events of ``view``; see `Detector.judge`."""
        found = await ask(self.detector, view, deadline, 2 * for_rules_s(view))
        if isinstance(found, Judgement):
            return found
        judgement = await self.otherwise.judge(view, deadline)
        return replace(judgement, warning=joined(f"{self.name} could not answer ({found}).", judgement.warning))
