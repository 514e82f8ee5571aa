"""The versions of the model that one gateway has loaded, which of them judges, and how another one takes its place.

A version comes beside the others: it is loaded in a thread, verified, and asked for its golden probe, while the
champion judges on. Then one pointer is switched. Who was at work finishes with the version that he began with: a
version that is no longer wanted is let go when its last call is over. Champion, challenger and previous version stay
loaded, so that a rollback is a switch too.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import structlog
from numpy.typing import NDArray

from service.detect.analyzer import Analyzer, Course
from service.detect.canary import share_of
from service.detect.detector import Judgement
from service.detect.names import DetectorName
from service.detect.traffic import Share, Traffic
from service.errors import ModelUnavailable, SentinelError
from service.events.columns import Events
from service.events.words import Wording
from service.events.zones import TimeZones
from service.explain.explainer import Explanation, Moved
from service.gateway.shadow import Shadow
from service.gateway.wiring import Build, Wiring
from service.history.history import Memory
from service.runtime.deadline import NEVER, Deadline

_LINGER_S = 10.0
"""Seconds for which a version that nobody wants is kept: answers are explained by its tables, and another gateway that
has yet to look at the log may ask the same model server for it."""

_SHADOW_S = 10.0
"""What the challenger gets for a request that nobody waits for."""

log = structlog.get_logger("epc_sentinel.lineups")


@dataclass(slots=True, eq=False)
class _Held:
    """A version that is loaded."""

    wiring: Wiring
    calls: int = 0  # at work with it


class Lineups:
    """Judges and explains by the version in use; `Judges` and `Explains` of the servicer."""

    def __init__(self, first: Wiring, build: Build, *, shadow_percent: float = 0.0) -> None:
        """Make it.

        Args:
            first: what judges from the start.
            build: makes the wiring of another version.
            shadow_percent: of the files, 0 to 100, that the challenger judges too.
        """
        self._build = build
        self._shown: Callable[[Wiring, bool], None] = lambda _wiring, _comes: None
        self._held: dict[str, _Held] = {first.name: _Held(first)}
        self._champion = self._held[first.name]
        self._changing, self._closing = asyncio.Lock(), asyncio.Event()
        self._leaving: set[asyncio.Task[None]] = set()
        self._gone: dict[str, Wiring] = {}  # for explanations of what they judged
        self._traffic: Traffic | None = None
        self._named: dict[str, int | None] = {}
        self._shadow_percent = shadow_percent
        self.shadow = Shadow(lambda: self.calls > 0)
        self.calls = 0  # at work
        self.swaps = 0  # switches since the start

    @property
    def champion(self) -> Wiring:
        """What judges now."""
        return self._champion.wiring

    @property
    def words(self) -> Wording:
        """In which events are told, as the version in use was made for."""
        return self.champion.analyzer.words

    @property
    def loaded(self) -> list[Wiring]:
        """All versions that are loaded, also those that are about to go."""
        return [held.wiring for held in self._held.values()]

    def show_by(self, shown: Callable[[Wiring, bool], None]) -> None:
        """Say who is told of versions that come or go from now on."""
        self._shown = shown

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

    async def take(self, champion: int | None, keep: Iterable[int] = ()) -> dict[int, str]:
        """Let ``champion`` judge, None: the newest version, and have the versions ``keep`` loaded beside it.

        One at a time, however many ask. The champion stays what it was if the new one cannot be used.

        Returns:
            Why a version cannot be used, by version, 0 for the newest.
        """
        async with self._changing:
            problems: dict[int, str] = {}
            wanted = []
            for version in dict.fromkeys([champion, *keep]):
                try:
                    held = await self._prepared(version)
                except SentinelError as error:
                    problems[version or 0] = str(error)
                    continue
                wanted.append(held)
                if version == champion:
                    self._switch(held)
            await self._leave({held.wiring.name for held in wanted} | {self.champion.name})
            return problems

    async def _prepared(self, version: int | None) -> _Held:
        """Return a version that is loaded and answers its probe.

        Raises:
            ModelRepositoryError: it cannot be used.
            ModelUnavailable: what runs it does not answer, or not as it should.
        """
        for held in self._held.values():
            if version is not None and held.wiring.version == version:
                return held
        wiring = await asyncio.to_thread(self._build, version)
        try:
            await wiring.probe_all()
        except ModelUnavailable:
            await wiring.close_models()
            raise
        if (known := self._held.get(wiring.name)) is not None:  # the newest one is there
            await wiring.close_models()
            return known
        self._held[wiring.name] = _Held(wiring)
        self._shown(wiring, True)
        log.info("version loaded", model=wiring.name)
        return self._held[wiring.name]

    def _switch(self, held: _Held) -> None:
        if held is self._champion:
            return
        before, self._champion = self._champion.wiring.name, held
        self.swaps += 1
        log.info("version in use", model=held.wiring.name, before=before)

    async def _leave(self, kept: set[str]) -> None:
        """Let go of all versions but ``kept``, each when its last call is over."""
        for name, held in list(self._held.items()):
            if name not in kept:
                self._gone[name] = self._held.pop(name).wiring
                task = asyncio.create_task(self._let_go(held))
                self._leaving.add(task)
                task.add_done_callback(self._leaving.discard)

    async def _let_go(self, held: _Held) -> None:
        """Close what runs a version when nobody is at work with it any more, here or in another gateway."""
        while held.calls:
            await asyncio.sleep(0.05)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._closing.wait(), _LINGER_S)
        wiring = held.wiring
        if not self._closing.is_set() and wiring.name not in self._held:
            try:
                await wiring.retire_models()
            except ModelUnavailable as error:
                log.warning("a version could not be unloaded", model=wiring.name, reason=str(error))
        await wiring.close_models()
        if self._gone.get(wiring.name) is wiring:
            del self._gone[wiring.name]
        if wiring.name not in self._held:
            self._shown(wiring, False)
        log.info("version unloaded", model=wiring.name)
        del wiring, held.wiring
        # Its tables are in cycles, which nobody looks for in a long time: 2 ms, as what lives long is frozen.
        gc.collect()

    @contextmanager
    def _picked(self, events: Events, asked: DetectorName) -> Iterator[tuple[Wiring, DetectorName]]:
        """Yield what judges these events, and by which of its detectors: those of several files as the lowest id."""
        held, detector = self._champion, asked
        if self._traffic is not None and asked is not DetectorName.RULES:
            share = self._traffic.choose(int(events.file_id.min()), self._named)
            held = self._of_share(share)
            detector = share.detector if asked is DetectorName.LSTM else asked
            if not held.wiring.analyzer.has(detector):
                held = self._champion
            if not held.wiring.analyzer.has(detector):
                detector = asked
        held.calls += 1
        self.calls += 1
        try:
            yield held.wiring, detector
        finally:
            held.calls -= 1
            self.calls -= 1

    def _of_share(self, share: Share) -> _Held:
        """Return the version of a share; the champion where it is not loaded, or left alone as it fails."""
        version = int(share.version) if share.version.isdecimal() else self._named.get(share.version)
        for held in self._held.values():
            served = held.wiring.lstm
            if served is not None and held.wiring.version == version and not served.backend.on_trial:
                return held
        return self._champion

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
        own = self.champion.analyzer.own_memory()
        return Course(partial(self._judge, Analyzer.follow, own), partial(self._judge, Analyzer.settle, own))

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
        shadow = self._challenger
        if shadow is not None and wiring is self.champion and picked is DetectorName.LSTM and self._is_shadowed(events):

            async def once_more() -> Judgement:
                end = Deadline.after(_SHADOW_S)
                again = options | {"explain": False}
                return await judge(shadow.wiring.analyzer, events, picked, end, **again, **by(shadow.wiring))

            self.shadow.put(once_more, judgement)
        return replace(judgement, wiring=wiring.name)

    @property
    def _challenger(self) -> _Held | None:
        if self._shadow_percent == 0 or (version := self._named.get("challenger")) is None:
            return None
        return next((held for held in self._held.values() if held.wiring.version == version), None)

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
        if (held := self._held.get(judgement.wiring)) is not None:
            return held.wiring
        return self._gone.get(judgement.wiring, self.champion)

    async def close(self) -> None:
        """Let everything go."""
        self._closing.set()
        await self.shadow.close()
        for task in list(self._leaving):
            await task
        for wiring in self.loaded:
            if wiring is not self.champion:
                await wiring.close_models()
        await self.champion.close()
