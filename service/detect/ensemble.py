"""The ensemble: the network and the one-class SVMs judge the same events, and their logits are combined."""

from __future__ import annotations

import asyncio
from functools import partial

import numpy as np
from numpy.typing import NDArray

from service.detect.detector import Judgement, raise_malformed
from service.detect.model_detector import ModelDetector
from service.features.case import View
from service.features.reference import Reference
from service.model.manifest import Ensemble
from service.runtime.threads import off_loop

_SUREST = 1e-6
"""Probabilities are taken as at least that far from 0 and 1, whose logits are infinite."""


class EnsembleDetector:
    """Judges by a network and by the one-class SVMs of the same run."""

    method = "ensemble"

    def __init__(self, lstm: ModelDetector, svm: ModelDetector, reference: Reference, combination: Ensemble) -> None:
        """Args: ``combination`` was fitted with the two models, ``reference`` is what both look things up in."""
        self.model_version = f"{lstm.model_version}+{svm.model_version}"
        self._both = lstm, svm
        self._reference = reference
        self._combination = combination
        thresholds = combination.thresholds
        self._thresholds = np.array([thresholds.retrospective, thresholds.causal], dtype=np.float32)

    async def judge(self, view: View, timeout_s: float | None) -> Judgement:
        """Judge the events of ``view``; see `Detector.judge`."""
        begin = asyncio.get_running_loop().time()
        view = await off_loop(partial(view.with_case, self._reference), len(view))  # both judge by these features
        left = None if timeout_s is None else timeout_s - (asyncio.get_running_loop().time() - begin)
        try:
            async with asyncio.TaskGroup() as group:
                lstm, svm = [group.create_task(detector.judge(view, left)) for detector in self._both]
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from failures
        mode = int(view.causal)
        scores = combine(lstm.result().scores, svm.result().scores, self._combination, mode)
        raise_malformed(view.case(self._reference), scores)
        parts = [each.max(axis=1) for each in (lstm.result().scores, svm.result().scores, scores)]
        return Judgement(scores, scores >= self._thresholds[mode], np.stack(parts, axis=1))


def combine(
    lstm: NDArray[np.float32], svm: NDArray[np.float32], combination: Ensemble, mode: int
) -> NDArray[np.float32]:
    """Return the probabilities [N, 5] that two detectors' probabilities [N, 5] make; mode 0 retrospective, 1 causal.

    logit p = lstm[kind] * logit p_lstm + svm[kind] * logit p_svm + bias[kind]: logistic regression on both logits.
    """
    weights = [np.array(rows[mode]) for rows in (combination.lstm, combination.svm, combination.bias)]
    z = weights[0] * logit(lstm) + weights[1] * logit(svm) + weights[2]
    found: NDArray[np.float32] = (1 / (1 + np.exp(-z))).astype(np.float32)
    return found


def logit(probability: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the logits of probabilities, finite ones."""
    p = np.clip(probability.astype(np.float64), _SUREST, 1 - _SUREST)
    logits: NDArray[np.float64] = np.log(p / (1 - p))
    return logits
