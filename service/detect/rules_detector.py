"""The detector that judges by the rules."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from service.detect import rules
from service.detect.detector import Judgement
from service.detect.names import Method
from service.features.case import Case, View
from service.features.reference import Reference
from service.features.table import INDEX
from service.runtime import threads
from service.runtime.deadline import Deadline

_LOOKED_UP = {
    **dict.fromkeys(("code_header_log", "code_company_log", "code_product_log", "code_lot_log"), 1.0),
    **dict.fromkeys(("lane_logp", "product_scan_logp", "lane_below", "lane_above", "route_below", "route_above"), 0.0),
}
"""Features that rules compare with tables, and what they are of an event that nothing is wrong with."""


class RulesDetector:
    """Judges by the rules over the reference tables."""

    def __init__(self, reference: Reference, *, tables: bool = True) -> None:
        """Args: ``tables`` False: there are none, so that nothing is suspicious for not being in them."""
        self._reference = reference
        self._tables = tables

    async def judge(self, view: View, deadline: Deadline) -> Judgement:  # noqa: ARG002 (rules are fast)
        """Judge the events of ``view``; see `Detector.judge`."""
        return await threads.run(threads.ALWAYS_OFF, partial(self._judgement, view), len(view))

    def _judgement(self, view: View) -> Judgement:
        case = view.case(self._reference)
        scores = self._scores(case)
        brought = case if view.wanted_by is self._reference else None
        return Judgement(scores, scores >= rules.THRESHOLD, Method.RULES, case=brought)

    def _scores(self, case: Case) -> NDArray[np.float32]:
        features = case.features[case.rows]
        if not self._tables:
            for name, value in _LOOKED_UP.items():
                features[:, INDEX[name]] = value
        return rules.judge(features)[0]
