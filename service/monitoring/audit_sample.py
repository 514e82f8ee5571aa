"""The audit sample, as it is drawn: judged events that people will be asked about go to the store of verdicts.

What a challenger says of the same events goes there, too, so that the same verdicts measure both. An event that both
judged is drawn if either of them would draw it: of an event that the challenger alone flags nearly none would be looked
at otherwise, and it would look better than it is (in 24 of 100 trials with versions that are equal; so it is in 1).
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import structlog
from numpy.typing import NDArray

from service.detect.detector import Judgement
from service.errors import VerdictsUnavailable
from service.events.columns import Events
from service.events.vocabulary import EVENT_TYPES, LEVELS
from service.feedback.sampling import AuditSample, AuditSamples
from service.feedback.store import SampledEvent, VerdictStore
from service.monitoring.background_writer import BackgroundWriter, Bounds, Outcome
from service.monitoring.records import Analysis

_WAITING, _BATCH, _GATHER_S = 400_000, 50_000, 1.0
"""Judged events that wait to be drawn, and those that are drawn at once, after a second at the latest."""

_TRIES, _PAUSE_S = 3, 1.0

log = structlog.get_logger("epc_sentinel.audit_sample")


@dataclass(frozen=True, slots=True, eq=False)
class _Judged:
    sample: AuditSample  # of the version that answered
    events: Events
    answered: Judgement
    causal: bool
    at_us: int
    again: Judgement | None = None  # what the challenger said of them, where it was asked
    other: AuditSample | None = None  # of the challenger


class SampleWriter:
    """Draws judged events and hands them to the store; an `Observer`."""

    def __init__(self, store: VerdictStore, samples: AuditSamples) -> None:
        """Start the writer."""
        self.written = 0  # events in the store
        self._store, self._samples = store, samples
        self._writer = BackgroundWriter("audit sample", self._write, Bounds(_WAITING, _BATCH, _GATHER_S))

    def analysed(self, analysis: Analysis) -> None:
        """See `Observer.analysed`; only judged events are drawn, not those that are asked about again."""
        if analysis.judged and analysis.events is not None and analysis.judgement is not None:
            self._put(analysis.events, analysis.causal, analysis.judgement)

    def judged_twice(self, events: Events, causal: bool, answered: Judgement, again: Judgement) -> None:
        """Take what a challenger said of events that were answered by another version; as quick as `analysed`."""
        self._put(events, causal, answered, again)

    def _put(self, events: Events, causal: bool, answered: Judgement, again: Judgement | None = None) -> None:
        if (sample := self._samples.of(answered.wiring)) is not None:
            other = self._samples.of(again.model_version) if again is not None else None
            judged = _Judged(sample, events, answered, causal, time.time_ns() // 1_000, again, other)
            self._writer.put(judged, len(events))

    @property
    def dropped(self) -> int:
        """Judged events that were not drawn, for want of room or because the store could not be used."""
        return self._writer.dropped

    def close(self) -> None:
        """Write what waits."""
        self._writer.close()

    def _write(self, batch: list[_Judged], is_last: bool) -> Outcome:
        judged = sum(len(one.events) for one in batch)
        drawn = [draw(one) for one in sorted(batch, key=lambda one: one.again is not None)]
        answered = [event for events, _ in drawn for event in events]
        shadow = [event for _, events in drawn for event in events]
        for tried in range(1, _TRIES + 1):
            try:
                self._store.add_sample(answered)
                self._store.add_shadow(shadow)
            except VerdictsUnavailable as error:
                if tried == _TRIES or is_last:
                    log.error("the audit sample cannot be written", events=len(answered), reason=str(error))
                    return Outcome(0, lost=judged)
                time.sleep(_PAUSE_S)
            else:
                break
        self.written += len(answered)
        return Outcome(judged)


def draw(judged: _Judged) -> tuple[list[SampledEvent], list[SampledEvent]]:
    """Return those of the judged events that are in the sample, as answered, and as the challenger has them, if any."""
    events, answered, again = judged.events, judged.answered, judged.again
    probability = judged.sample.probabilities(events, answered.scores, causal=judged.causal)
    if again is not None and judged.other is not None:
        others = judged.other.probabilities(events, again.scores, causal=judged.causal)
        probability = np.maximum(probability, others)
    drawn = np.flatnonzero(judged.sample.draws(events) < probability)
    beside = [] if again is None else _rows(judged, again, drawn, probability)
    return _rows(judged, answered, drawn, probability), beside


def _rows(
    judged: _Judged, judgement: Judgement, drawn: NDArray[np.intp], probability: NDArray[np.float64]
) -> list[SampledEvent]:
    events = judged.events
    return [
        SampledEvent(
            event_id=int(events.event_id[at]),
            file_id=int(events.file_id[at]),
            epc_code=events.epc_codes[events.epc[at]],
            location_id=int(events.location_id[at]),
            business_step=(*LEVELS, "")[events.step[at]],
            event_type=(*EVENT_TYPES, "")[events.event_type[at]],
            event_time_us=int(events.time_us[at]),
            causal=judged.causal,
            method=judgement.method,
            model_version=judgement.model_version,
            judged_at_us=judged.at_us,
            probability=float(probability[at]),
            scores=tuple(judgement.scores[at].tolist()),
            flags=tuple(judgement.flags[at].tolist()),
        )
        for at in drawn.tolist()
    ]
