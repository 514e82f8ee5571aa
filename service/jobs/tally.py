"""What a replay counts while it runs: rates, latency percentiles, findings. Its memory does not grow."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from typing import Any

import numpy as np

from service.client.stream import Answered
from service.events.vocabulary import KINDS
from service.jobs.stories import kinds_of

_STEP = 1.02
"""Neighbouring bounds of the latency bins: a percentile is at most 2 % too high."""

_FIRST_S = 1e-4
_BINS = 800  # up to 760 s
_RATE_S = 2.0

_NUMBER = re.compile(r"[0-9]+(?:[.,][0-9]+)*")
_MOST_WARNINGS = 50  # that differ in more than their numbers


class Latencies:
    """A histogram of latencies."""

    def __init__(self) -> None:
        self._counts = np.zeros(_BINS, dtype=np.int64)
        self.max_s = 0.0

    def add(self, latency_s: float) -> None:
        """Count one latency."""
        at = int(np.ceil(np.log(max(latency_s, _FIRST_S) / _FIRST_S) / np.log(_STEP)))
        self._counts[min(at, _BINS - 1)] += 1
        self.max_s = max(self.max_s, latency_s)

    def percentile_s(self, percent: float) -> float:
        """Return the latency that ``percent`` (0 to 100) of all do not exceed; 0 before the first."""
        below = np.cumsum(self._counts)
        if not below[-1]:
            return 0.0
        at = int(np.searchsorted(below, percent / 100 * below[-1]))
        return min(float(_FIRST_S * _STEP**at), self.max_s)


class Tally:
    """The counts of a replay; its methods may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._started = time.monotonic()
        self._latencies = Latencies()
        self._kinds: Counter[str] = Counter()
        self._warnings: dict[str, tuple[str, int]] = {}  # without its numbers: (as it was said last, how often)
        self._recent = (self._started, 0, 0.0)  # when the rate was taken, events by then, the rate
        self.events = self.requests = self.flagged = self.retries = self.degraded = self.lost = 0

    def add(self, answered: Answered) -> None:
        """Count an answer."""
        with self._lock:
            self.events += len(answered.request.data)
            self.requests += 1
            self._hear(answered.response.warning)
            self.flagged += len(answered.response.event_history)
            self._kinds.update(kind for finding in answered.response.event_history for kind, _ in kinds_of(finding))
            self._latencies.add(answered.latency_s)

    def _hear(self, warning: str) -> None:
        if not warning:
            return
        self.degraded += 1
        form = _NUMBER.sub("0", warning)
        if form in self._warnings or len(self._warnings) < _MOST_WARNINGS:
            self._warnings[form] = warning, self._warnings.get(form, ("", 0))[1] + 1

    def retried(self) -> None:
        """Count a stream that was opened again."""
        with self._lock:
            self.retries += 1

    def lose(self, events: int) -> None:
        """Count events that were sent and got no answer."""
        with self._lock:
            self.lost += events

    def rate(self) -> float:
        """Return events per second of late."""
        with self._lock:
            now = time.monotonic()
            since, events, rate = self._recent
            if now - since >= _RATE_S or not events:
                rate = (self.events - events) / max(now - since, 1e-9)
                self._recent = now, self.events, rate
            return rate

    def percentiles_ms(self, *percents: float) -> list[float]:
        """Return latency percentiles in milliseconds."""
        with self._lock:
            return [round(self._latencies.percentile_s(percent) * 1e3, 2) for percent in percents]

    def summary(self) -> dict[str, Any]:
        """Return everything, by the names of the JSON summary."""
        duration_s = time.monotonic() - self._started
        p50, p90, p99, top = self.percentiles_ms(50, 90, 99, 100)
        return {
            "events": self.events,
            "lost": self.lost,
            "requests": self.requests,
            "retries": self.retries,
            "degraded": self.degraded,
            "warnings": [{"text": text, "answers": answers} for text, answers in self._warnings.values()],
            "flagged": self.flagged,
            "findings": {kind: self._kinds[kind] for kind in KINDS},
            "duration_s": round(duration_s, 3),
            "events_per_s": round(self.events / duration_s, 1),
            "latency_ms": {"p50": p50, "p90": p90, "p99": p99, "max": top},
        }
