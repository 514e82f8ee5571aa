"""The detector that judges by the rules."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from service.detect import rules
from service.detect.detector import Judgement
from service.detect.names import Method
from service.features.case import View
from service.features.reference import Reference
from service.runtime import threads
from service.runtime.deadline import Deadline


class RulesDetector:
    """Judges by the rules over the reference tables."""

    def __init__(self, reference: Reference) -> None:
        self._reference = reference

    async def judge(self, view: View, deadline: Deadline) -> Judgement:  # noqa: ARG002 (rules are fast)
        """Judge the events of ``view``; see `Detector.judge`."""
        scores = await threads.run(threads.ALWAYS_OFF, partial(self._scores, view), len(view))
        return Judgement(scores, scores >= rules.THRESHOLD, Method.RULES)

    def _scores(self, view: View) -> NDArray[np.float32]:
        case = view.case(self._reference)
        return rules.judge(case.features[case.rows])[0]
