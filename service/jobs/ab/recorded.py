"""What gateways kept of events that a version answered and a challenger judged in the shadow."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from service.errors import CommandError
from service.events.vocabulary import KINDS, MODES
from service.feedback.accuracy import answered_weights
from service.feedback.pairs import JudgedTwice, judged_twice
from service.feedback.store import SampledEvent, VerdictStore
from service.jobs.ab.judged import TwiceJudged
from service.model.manifest import MODEL_NAME


def recorded(store: VerdictStore, versions: tuple[int, int]) -> list[TwiceJudged]:
    """Return the events of the audit sample that both judged, by mode.

    Raises:
        CommandError: there are none.
        VerdictsUnavailable: the store cannot be used.
    """
    answered, beside = (f"{MODEL_NAME}/{version}" for version in versions)
    twice = judged_twice(store, answered, beside)
    if not twice.pairs:
        raise CommandError(
            f"no event that {answered} answered, {beside} judged and people labelled: serve with --shadow-percent and"
            " --verdicts while the second is the challenger, or name FILES"
        )
    return [
        _of_mode(mode, [pair for pair in twice.pairs if MODES[int(pair[0].causal)] == mode], twice)
        for mode in MODES
        if any(MODES[int(one.causal)] == mode for one, _ in twice.pairs)
    ]


def _of_mode(mode: str, pairs: Sequence[tuple[SampledEvent, SampledEvent]], twice: JudgedTwice) -> TwiceJudged:
    said = [[twice.verdicts.get((one.file_id, one.event_id, kind)) for kind in KINDS] for one, _ in pairs]
    labels = np.array([[np.nan if one is None else float(one) for one in row] for row in said])
    weights = 1 / np.array([beside.probability for _, beside in pairs])
    scores = np.array([[one.scores, beside.scores] for one, beside in pairs])  # [N, 2, 5]
    flags = np.array([[one.flags, beside.flags] for one, beside in pairs])
    known = ~np.isnan(labels)
    label_weights = np.zeros_like(labels)
    for kind in range(len(KINDS)):
        rows = known[:, kind]
        label_weights[rows, kind] = answered_weights(scores[:, :, kind].max(axis=1), weights, rows)
    items = np.unique([one.epc_code for one, _ in pairs], return_inverse=True)[1].astype(np.int64)
    return TwiceJudged(
        mode, (scores[:, 0], scores[:, 1]), (flags[:, 0], flags[:, 1]), weights, items, labels, label_weights
    )
