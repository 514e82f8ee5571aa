"""How good is each detector, by what people said of the audit sample, over the latest files that have labels?

Not everything that was sampled is labelled, and what is flagged is looked at sooner. So within each band of scores the
labelled events stand for all sampled ones of the band: as if who labels had picked them by chance there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.detect.names import Method
from service.events.vocabulary import KINDS, MODES
from service.feedback.estimators import (
    MEASURES,
    RESAMPLES,
    Interval,
    LabelledSample,
    expected_precision,
    measure,
)
from service.feedback.sampling import BANDS
from service.feedback.store import SampledEvent, SampledFile, VerdictStore
from service.feedback.verdicts import Claim
from service.feedback.weighed import Weighed

BATCHES: Final = 50
"""Files of the window; a batch is a file."""

_SEED = 0


class JudgedBy(NamedTuple):
    """Who judged, and how."""

    method: str
    model_version: str  # "" for rules
    mode: str  # one of MODES


@dataclass(frozen=True, slots=True)
class KindAccuracy:
    """How good a judge is at one kind."""

    judge: JudgedBy
    kind: str
    batches: int  # files with labels in the window
    sampled: int  # events of the audit sample in the window
    labels: int  # of these, those with a verdict that counts
    confirmed: int  # of these, the anomalous ones
    measures: Mapping[str, Interval]  # by name, of MEASURES; those that the labels can tell
    expected_precision: Interval | None  # of the calibrated scores: no measurement


def accuracy(
    store: VerdictStore,
    words: Weighed,
    *,
    batches: int = BATCHES,
    model_version: str = "",
    resamples: int = RESAMPLES,
) -> list[KindAccuracy]:
    """Return how good each judge is at each kind, over the ``batches`` latest files that have labels.

    Where nothing is labelled yet, the window is of the latest files, and has no measures but the expected precision.
    The same store gives the same numbers.

    Args:
        store: of the audit sample.
        words: of the people, as `weighed` makes them of the store's labels.
        batches: files of the window, of each judge.
        model_version: measure this one alone; "": all.
        resamples: of the intervals.

    Raises:
        VerdictsUnavailable: the store cannot be used.
    """
    judges: dict[JudgedBy, list[SampledFile]] = {}
    for file in store.sampled_files(model_version):
        judges.setdefault(JudgedBy(file.method, file.model_version, MODES[int(file.causal)]), []).append(file)
    return [
        _of_kind(judge, kind, events, words.evidence, files, resamples)
        for judge, sampled in sorted(judges.items())
        for events, files in [_window(store, judge, sampled, words.evidence, batches)]
        for kind in range(len(KINDS))
    ]


def _window(
    store: VerdictStore, judge: JudgedBy, files: list[SampledFile], said: Mapping[Claim, float], batches: int
) -> tuple[list[SampledEvent], int]:
    """Return (the events of the latest files that have labels, how many files these are), of one judge.

    Of the sample no more is read than that: it grows for ever.
    """
    known = {(file_id, event_id) for file_id, event_id, _kind in said}
    latest_first = [file.file_id for file in sorted(files, key=lambda one: (-one.judged_at_us, -one.file_id))]

    def sampled(some: Sequence[int]) -> list[SampledEvent]:
        events = store.sample(judge.model_version, file_ids=some)
        return [event for event in events if (event.method, MODES[int(event.causal)]) == (judge.method, judge.mode)]

    with_verdicts = {file_id for file_id, _event_id in known}
    candidates = [file_id for file_id in latest_first if file_id in with_verdicts]
    labelled: list[int] = []  # not all candidates are: what has a verdict may be no event of the sample
    while candidates and len(labelled) < batches:
        looked_at, candidates = candidates[:batches], candidates[batches:]
        found = {event.file_id for event in sampled(looked_at) if (event.file_id, event.event_id) in known}
        labelled += [file_id for file_id in looked_at if file_id in found]
    labelled = labelled[:batches]
    return sampled(labelled or latest_first[:batches]), len(labelled)


def _of_kind(  # noqa: PLR0913, PLR0917 - what the numbers are made of
    judge: JudgedBy,
    kind: int,
    events: Sequence[SampledEvent],
    said: Mapping[Claim, float],
    files: int,
    resamples: int,
) -> KindAccuracy:
    evidence = np.array([said.get((event.file_id, event.event_id, KINDS[kind]), 0.0) for event in events])
    labelled = evidence != 0
    scores = np.array([event.scores[kind] for event in events])
    flags = np.array([event.flags[kind] for event in events], dtype=np.bool_)
    weights = 1 / np.array([event.probability for event in events])
    items = np.unique([event.epc_code for event in events], return_inverse=True)[1].astype(np.int64)
    rng = np.random.default_rng(_SEED)
    # The rules' scores are no probabilities, and promise nothing.
    promises = judge.method not in (Method.RULES, Method.RULES_AS_FALLBACK)
    measures = measure(
        LabelledSample(
            scores[labelled],
            flags[labelled],
            evidence[labelled],
            answered_weights(scores, weights, labelled),
            np.unique(items[labelled], return_inverse=True)[1].astype(np.int64),
        ),
        rng,
        resamples,
        is_calibrated=promises,
    )
    flagged_items = np.unique(items[flags], return_inverse=True)[1].astype(np.int64)
    return KindAccuracy(
        judge,
        KINDS[kind],
        batches=files,
        sampled=len(events),
        labels=int(labelled.sum()),
        confirmed=int((evidence > 0).sum()),
        measures={name: measures[name] for name in MEASURES if name in measures},
        expected_precision=expected_precision(scores[flags], weights[flags], flagged_items, rng, resamples)
        if promises
        else None,
    )


def answered_weights(
    scores: NDArray[np.float64], weights: NDArray[np.float64], labelled: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return for how many events each labelled one stands, of N sampled: also for others of its band without label."""
    band = np.searchsorted(BANDS, scores, side="right")
    all_of, known = (np.bincount(band[rows], weights[rows], len(BANDS) + 1) for rows in (slice(None), labelled))
    factors = np.divide(all_of, known, out=np.zeros_like(all_of), where=known > 0)
    answered: NDArray[np.float64] = (weights * factors[band])[labelled]
    return answered
