"""What is remembered of every request for an analysis: one record, told to metrics, audit log and detection log."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Protocol

from service.detect.detector import Judgement
from service.events.columns import Events


@dataclass(slots=True)
class Analysis:
    """A request for an analysis and how it ended; each request of a stream is one."""

    method: str  # of the service
    request_id: str
    caller: str  # who asked, by name (`service.security.auth`)
    peer: str  # the address that it came from
    request: bytes
    detector: str = ""
    events: Events | None = None  # None: the request was refused before its events were known
    judgement: Judgement | None = None  # None: it was not judged
    answer: bytes = b""
    code: str = ""  # of gRPC, once it is over
    reason: str = ""  # of a failure, in the words of the log; holds no codes of items
    duration_s: float = 0.0
    started: float = field(default_factory=time.perf_counter)
    settled: bool = False  # of a stream: the final answer to a request, judged as whole journeys

    @property
    def judged(self) -> bool:
        """Whether events were judged and answered, and not asked about again."""
        known = self.events is not None and self.judgement is not None
        return known and self.code == "OK" and not self.method.startswith("Explain")

    @property
    def causal(self) -> bool:
        """Whether events were judged from their past alone."""
        return self.method == "AnalyzeStream" and not self.settled


@dataclass(frozen=True, slots=True)
class Refusal:
    """A call that was turned away for what it is, not for what we cannot do."""

    method: str  # of the service; "unknown" where there is none of that name
    request_id: str
    caller: str  # as in `Analysis`; "anonymous" where the caller is not known yet
    peer: str
    code: str
    reason: str  # for the log, not for the caller


class Observer(Protocol):
    """Gets every analysis when it is over."""

    def analysed(self, analysis: Analysis) -> None:
        """Take note; called in any thread, before the caller gets the answer, so it must be quick and never block."""
        ...


Around = Callable[[str, Iterable[tuple[str, str | bytes]]], AbstractContextManager[None]]
"""Surrounds the work on a request, given the method and the metadata of its call."""


@dataclass(frozen=True, slots=True)
class Watch:
    """Who gets to know about analyses and calls; the default tells nobody."""

    observers: Sequence[Observer] = ()
    call_ended: Callable[[str, str], None] = lambda _method, _code: None  # told (method, code) of every call
    outside: Callable[[Refusal], None] = lambda _refusal: None  # told of calls that were not let in
    log_refusal: Callable[[Refusal], None] = lambda _refusal: None  # told of those that get no line of their own
    request: Around = lambda _method, _metadata: nullcontext()

    def refused(self, refusal: Refusal) -> None:
        """Tell of a call that ended at the border."""
        self.call_ended(refusal.method, refusal.code)
        self.outside(refusal)

    def over(self, analysis: Analysis, code: str, reason: str = "") -> None:
        """Tell of an analysis that ended with ``code``, once: one that was answered stays so if its call breaks off."""
        if analysis.code:
            return
        analysis.code, analysis.reason = code, reason
        analysis.duration_s = time.perf_counter() - analysis.started
        for observer in self.observers:
            observer.analysed(analysis)
