"""The detector that judges by the rules."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from service.detect import rules
from service.detect.detector import Judgement
from service.features.case import View
from service.features.reference import Reference
from service.runtime.threads import off_loop


class RulesDetector:
    """Judges by the rules over the reference tables."""

    method = "rule-based"
    model_version = ""

    def __init__(self, reference: Reference) -> None:
        self._reference = reference

    async def judge(self, view: View, timeout_s: float | None) -> Judgement:  # noqa: ARG002 (rules are fast)
        """Judge the events of ``view``; see `Detector.judge`."""
        scores = await off_loop(partial(self._scores, view), len(view))
        return Judgement(scores, scores >= rules.THRESHOLD)

    def _scores(self, view: View) -> NDArray[np.float32]:
        case = view.case(self._reference)
        return rules.judge(case.features[case.rows])[0]
