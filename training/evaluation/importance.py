"""What each feature is worth to the one-class SVMs: the AP that is lost when it is shuffled among the events.

Breiman (2001), "Random forests". Features that say the same stand in for each other, and look worthless alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from service.detect.unknown_codes import UsualCodes
from service.events.vocabulary import KINDS
from service.features import table as features
from training.evaluation.detectors import SVM
from training.evaluation.slices import Judged, Row
from training.metrics.ranking import Ranking, original
from training.network.one_class_svm import OneClassSvms, columns_of

AP_LOST = "ap_lost"

FEATURE = "feature "
"""How slices begin that are a feature."""

_MOST = 10_000  # events of a mode: three seconds for both


def importance_rows(svm: OneClassSvms, judged: dict[str, Judged], usual: UsualCodes, seed: int) -> Iterator[Row]:
    """Yield the AP that each kind's SVM loses with each of the features that it sees (`UsualCodes`), by mode."""
    rng = np.random.default_rng(seed)
    for causal, (mode, part) in enumerate(judged.items()):
        rows = np.sort(rng.permutation(len(part.samples.features))[:_MOST])
        table, labels = usual.at_home(part.samples.features[rows]), part.samples.labels[rows]
        for column, kind in enumerate(KINDS):
            truth = labels[:, column] >= 0.5
            if truth.all() or not truth.any():
                continue
            ap = partial(_ap, svm, column, truth, causal=bool(causal))
            for index, lost in _lost(ap, columns_of(kind), table, rng):
                yield Row(mode, SVM, f"{FEATURE}{features.NAMES[index]}", kind, AP_LOST, lost)


def _lost(
    ap: Callable[[NDArray[np.float32]], float],
    columns: list[int],
    table: NDArray[np.float32],
    rng: np.random.Generator,
) -> Iterator[tuple[int, float]]:
    """Yield each of the columns and what the AP of a table [N, F] falls by when it is shuffled."""
    whole = ap(table)
    for index in columns:
        shuffled = table.copy()
        shuffled[:, index] = rng.permutation(table[:, index])
        yield index, whole - ap(shuffled)


def _ap(svm: OneClassSvms, column: int, truth: NDArray[np.bool_], table: NDArray[np.float32], *, causal: bool) -> float:
    """Return the AP of one kind's SVM on events with the features ``table`` [N, F] and the ``truth`` [N]."""
    scores, one_item = svm.logits_of(column, table, causal=causal), np.zeros(len(truth), dtype=np.intp)
    return float(Ranking.of(truth, scores, one_item, 1).measure(original(1))["ap"][0])
