"""Events of the audit sample that one version answered and a challenger judged in the shadow, with their verdicts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.events.vocabulary import KINDS, MODES
from service.feedback.accuracy import answered_weights
from service.feedback.paired import PairedScores
from service.feedback.store import SampledEvent, VerdictStore
from service.feedback.verdicts import Claim, agreed
from service.feedback.weighed import sound

BATCHES = 200
"""The latest files with labels that are compared: more than of a rolling accuracy, as nothing else is alike in time."""


@dataclass(frozen=True, slots=True)
class JudgedTwice:
    """Pairs (answered, beside): what two versions said of events of the sample, and what people say of these."""

    pairs: Sequence[tuple[SampledEvent, SampledEvent]]
    verdicts: Mapping[Claim, bool]

    def since(self, judged_at_us: int) -> JudgedTwice:
        """Return those that were judged after a time."""
        return JudgedTwice([one for one in self.pairs if one[0].judged_at_us > judged_at_us], self.verdicts)

    def scores(self) -> list[PairedScores]:
        """Return the labelled ones by mode and kind; within a band of scores they stand for all pairs of the band."""
        codes = {code: at for at, code in enumerate(dict.fromkeys(one.epc_code for one, _ in self.pairs))}
        return [one for mode in MODES for kind in range(len(KINDS)) for one in self._of(mode, kind, codes)]

    def _of(self, mode: str, kind: int, codes: Mapping[str, int]) -> Iterator[PairedScores]:
        pairs = [pair for pair in self.pairs if MODES[int(pair[0].causal)] == mode]
        said = [self.verdicts.get((one.file_id, one.event_id, KINDS[kind])) for one, _ in pairs]
        labelled = np.array([verdict is not None for verdict in said], dtype=np.bool_)
        if not labelled.any():
            return
        first, second = (np.array([pair[side].scores[kind] for pair in pairs]) for side in (0, 1))
        weights = 1 / np.array([beside.probability for _, beside in pairs])  # of being drawn for either of them
        items: NDArray[np.int64] = np.array([codes[one.epc_code] for one, _ in pairs], dtype=np.int64)
        yield PairedScores(
            mode,
            KINDS[kind],
            first[labelled],
            second[labelled],
            np.array([bool(verdict) for verdict in said])[labelled],
            answered_weights(np.maximum(first, second), weights, labelled),
            items[labelled],
        )


def judged_twice(store: VerdictStore, version: str, challenger: str, batches: int = BATCHES) -> JudgedTwice:
    """Return what two versions, as "epc_lstm/1", said of the same events of the latest ``batches`` files with labels.

    Raises:
        VerdictsUnavailable: the store cannot be used.
    """
    verdicts = agreed(sound(store.labels()))
    files = {file_id for file_id, _event_id, _kind in verdicts}
    last: dict[int, int] = {}
    for file in store.sampled_files(version):
        if file.file_id in files:
            last[file.file_id] = max(file.judged_at_us, last.get(file.file_id, 0))
    latest = sorted(last, key=lambda file_id: (-last[file_id], -file_id))[:batches]
    beside = {_identity(one): one for one in store.shadow(challenger, file_ids=latest)}
    answered = store.sample(version, file_ids=latest)
    return JudgedTwice([(one, beside[key]) for one in answered if (key := _identity(one)) in beside], verdicts)


def _identity(event: SampledEvent) -> tuple[int, int, bool, str]:
    return event.file_id, event.event_id, event.causal, event.method
