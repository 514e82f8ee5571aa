"""The audit sample, as it is drawn: judged events that people will be asked about go to the store of verdicts."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import structlog

from service.detect.detector import Judgement
from service.errors import VerdictsUnavailable
from service.events.columns import Events
from service.events.vocabulary import EVENT_TYPES, LEVELS
from service.feedback.sampling import AuditSample
from service.feedback.store import SampledEvent, VerdictStore
from service.monitoring.background_writer import BackgroundWriter, Bounds, Outcome
from service.monitoring.records import Analysis

_WAITING, _BATCH, _GATHER_S = 400_000, 50_000, 1.0
"""Judged events that wait to be drawn, and those that are drawn at once, after a second at the latest."""

_TRIES, _PAUSE_S = 3, 1.0

log = structlog.get_logger("epc_sentinel.audit_sample")


@dataclass(frozen=True, slots=True, eq=False)
class _Judged:
    events: Events
    judgement: Judgement
    causal: bool
    at_us: int


class SampleWriter:
    """Draws judged events and hands them to the store; an `Observer`."""

    def __init__(self, store: VerdictStore, sample: AuditSample) -> None:
        """Start the writer."""
        self.written = 0  # events in the store
        self._store, self._sample = store, sample
        self._writer = BackgroundWriter("audit sample", self._write, Bounds(_WAITING, _BATCH, _GATHER_S))

    def analysed(self, analysis: Analysis) -> None:
        """See `Observer.analysed`; only judged events are drawn, not those that are asked about again."""
        if analysis.judged and analysis.events is not None and analysis.judgement is not None:
            judged = _Judged(analysis.events, analysis.judgement, analysis.causal, time.time_ns() // 1_000)
            self._writer.put(judged, len(analysis.events))

    @property
    def dropped(self) -> int:
        """Judged events that were not drawn, for want of room or because the store could not be used."""
        return self._writer.dropped

    def close(self) -> None:
        """Write what waits."""
        self._writer.close()

    def _write(self, batch: list[_Judged], is_last: bool) -> Outcome:
        judged = sum(len(one.events) for one in batch)
        drawn = [event for one in batch for event in draw(self._sample, one)]
        for tried in range(1, _TRIES + 1):
            try:
                self._store.add_sample(drawn)
            except VerdictsUnavailable as error:
                if tried == _TRIES or is_last:
                    log.error("the audit sample cannot be written", events=len(drawn), reason=str(error))
                    return Outcome(0, lost=judged)
                time.sleep(_PAUSE_S)
            else:
                break
        self.written += len(drawn)
        return Outcome(judged)


def draw(sample: AuditSample, judged: _Judged) -> list[SampledEvent]:
    """Return those of the judged events that are in the sample."""
    events, judgement = judged.events, judged.judgement
    probability = sample.probability_if_drawn(events, judgement.scores, causal=judged.causal)
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
        for at in np.flatnonzero(probability).tolist()
    ]
