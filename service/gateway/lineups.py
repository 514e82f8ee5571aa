"""Which version of the model judges and explains a request: the champion's, or by the shares of the traffic another's.

Every request ends with the version that it began with, whatever takes whose place meanwhile.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.detect.analyzer import Analyzer, Course
from service.detect.canary import share_of
from service.detect.detector import Judgement
from service.detect.names import DetectorName
from service.detect.traffic import Share, Traffic
from service.events.columns import Events
from service.events.words import Wording
from service.events.zones import TimeZones
from service.explain.explainer import Explanation, Moved
from service.gateway.loaded import HeldVersion, LoadedVersions
from service.gateway.shadow import Shadow, Twice
from service.gateway.wiring import Wiring
from service.history.history import Memory
from service.runtime.deadline import NEVER, Deadline

_SHADOW_S = 10.0
"""What the challenger gets for a request that nobody waits for."""


class Lineups:
    """Judges and explains by the version in use; `Judges` and `Explains` of the servicer."""

    def __init__(self, versions: LoadedVersions, *, shadow_percent: float = 0.0) -> None:
        """Args: ``shadow_percent`` of the files, 0 to 100, are judged by the challenger, too."""
        self.versions = versions
        self._traffic: Traffic | None = None
        self._named: dict[str, int | None] = {}
        self._shadow_percent = shadow_percent
        self.shadow = Shadow(lambda: self.calls > 0)
        self.calls = 0  # at work

    @property
    def champion(self) -> Wiring:
        """What judges now."""
        return self.versions.champion.wiring

    @property
    def words(self) -> Wording:
        """In which events are told, as the version in use was made for."""
        return self.champion.analyzer.words

    def zones(self) -> TimeZones:
        """Return the time zones of the sites, as the version in use knows them."""
        return self.champion.reference.zones

    async def probe(self) -> None:
        """Ask the version in use for its golden probe; raises as `Wiring.probe`."""
        await self.champion.probe()

    async def probe_svm(self) -> None:
        """Ask the one-class SVMs of the version in use, where it has some; raises ModelUnavailable."""
        if (svm := self.champion.svm) is not None:
            await svm.backend.probe()

    @contextmanager
    def _picked(self, events: Events, asked: DetectorName) -> Iterator[tuple[Wiring, DetectorName]]:
        """Yield what judges these events, and by which of its detectors: those of several files as the lowest id."""
        held, detector = self.versions.champion, asked
        if self._traffic is not None and asked is not DetectorName.RULES:
            share = self._traffic.choose(int(events.file_id.min()), self._named)
            held = self._of_share(share)
            detector = share.detector if asked is DetectorName.LSTM else asked
            if not held.wiring.analyzer.has(detector):
                held = self.versions.champion
            if not held.wiring.analyzer.has(detector):
                detector = asked
        held.calls += 1
        self.calls += 1
        try:
            yield held.wiring, detector
        finally:
            held.calls -= 1
            self.calls -= 1

    def _of_share(self, share: Share) -> HeldVersion:
        """Return the version of a share; the champion where it is not loaded, or left alone as it fails."""
        version = int(share.version) if share.version.isdecimal() else self._named.get(share.version)
        held = self.versions.numbered(version)
        if held is None or held.wiring.lstm is None or held.wiring.lstm.backend.on_trial:
            return self.versions.champion
        return held

    async def analyze(
        self,
        events: Events,
        detector: DetectorName = DetectorName.LSTM,
        deadline: Deadline = NEVER,
        **options: Any,  # noqa: ANN401 - those of `Analyzer.analyze`, passed on
    ) -> Judgement:
        """See `Analyzer.analyze`."""
        return await self._judge(Analyzer.analyze, None, events, detector, deadline, **options)

    def stream(self) -> Course:
        """See `Analyzer.stream`; each request is judged by the version that is in use when it comes."""
        analyzer = self.champion.analyzer
        own = analyzer.own_memory()
        course = Course(partial(self._judge, Analyzer.follow, own), partial(self._judge, Analyzer.settle, own))
        return analyzer.with_hours(course)

    async def _judge(
        self,
        judge: Callable[..., Awaitable[Judgement]],
        own: Memory | None,
        events: Events,
        detector: DetectorName = DetectorName.LSTM,
        deadline: Deadline = NEVER,
        **options: Any,  # noqa: ANN401 - those of the analyzer, passed on
    ) -> Judgement:
        """Judge by ``judge`` of a version; a stream has a memory of its ``own`` where the gateway keeps no history."""

        def by(wiring: Wiring) -> dict[str, Memory]:
            return {} if own is None else {"memory": own.read_by(wiring.reference)}

        with self._picked(events, detector) as (wiring, picked):
            judgement = await judge(wiring.analyzer, events, picked, deadline, **options, **by(wiring))
        judgement = replace(judgement, wiring=wiring.name)
        shadow = self._challenger
        if shadow is not None and wiring is self.champion and picked is DetectorName.LSTM and self._is_shadowed(events):

            async def once_more() -> Judgement:
                end = Deadline.after(_SHADOW_S)
                again = options | {"explain": False}
                return await judge(shadow.wiring.analyzer, events, picked, end, **again, **by(shadow.wiring))

            self.shadow.put(once_more, Twice(events, judge is Analyzer.follow, judgement))
        return judgement

    @property
    def _challenger(self) -> HeldVersion | None:
        return self.versions.numbered(self._named.get("challenger")) if self._shadow_percent else None

    def _is_shadowed(self, events: Events) -> bool:
        return share_of(int(events.file_id.min())) < self._shadow_percent

    def share(self, traffic: Traffic | None, named: Mapping[str, int | None]) -> None:
        """Say which shares of the files detectors and versions get. Args: ``named`` are the versions by their state."""
        self._traffic, self._named = traffic, dict(named)

    def explain(self, judgement: Judgement, language: str) -> Explanation:
        """See `Explainer.explain`."""
        return self._of(judgement).explainer.explain(judgement, language)

    def moved(self, told: Explanation, at: NDArray[np.intp], kind: NDArray[np.intp]) -> tuple[list[Moved], str]:
        """See `Explainer.moved`."""
        return self._of(told.judgement).explainer.moved(told, at, kind)

    def _of(self, judgement: Judgement) -> Wiring:
        """Return the version whose tables a judgement was made by; the one in use where that is gone."""
        return self.versions.named(judgement.wiring)

    async def close(self) -> None:
        """Let everything go."""
        await self.shadow.close()
        await self.versions.close()
