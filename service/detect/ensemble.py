"""The ensemble: the network and the one-class SVMs judge the same events, and their logits are combined."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from service.detect.cutoffs import Cutoffs, Preference
from service.detect.detector import Detector, Judgement, joined, raise_malformed
from service.detect.names import Method
from service.features.case import View
from service.features.reference import Reference
from service.model.manifest import Ensemble
from service.runtime import threads
from service.runtime.deadline import Deadline
from service.runtime.tasks import together

_SUREST = 1e-6
"""Probabilities are taken as at least that far from 0 and 1, whose logits are infinite."""


class EnsembleDetector:
    """Judges by a network and by the one-class SVMs of the same run."""

    def __init__(
        self, lstm: Detector, svm: Detector, reference: Reference, combination: Ensemble, preference: Preference
    ) -> None:
        """Args: ``combination`` was fitted with the two models, ``reference`` is what both look things up in."""
        self._both = lstm, svm
        self._reference = reference
        self._combination = combination
        self._cutoffs = Cutoffs(combination.thresholds, combination.operating_points, preference)

    async def judge(self, view: View, deadline: Deadline) -> Judgement:
        """Judge the events of ``view``; see `Detector.judge`."""
        # Both judge by these features.
        view = await threads.run(threads.ALWAYS_OFF, partial(view.with_case, self._reference), len(view))
        lstm, svm = await together(detector.judge(view, deadline) for detector in self._both)
        mode = int(view.causal)
        scores = combine(lstm.scores, svm.scores, self._combination, mode)
        raise_malformed(view.case(self._reference), scores)
        return Judgement(
            scores,
            scores >= self._cutoffs.of(view.point, causal=view.causal),
            Method.ENSEMBLE,
            f"{lstm.model_version}+{svm.model_version}",
            joined(lstm.warning, svm.warning),
            np.stack([each.max(axis=1) for each in (lstm.scores, svm.scores, scores)], axis=1),
            self._cutoffs.name(view.point),
            lstm.degraded or svm.degraded,
        )


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
