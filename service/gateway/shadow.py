"""The challenger judges what the champion has answered, and is compared with it; its judgement goes to nobody.

It works when no call is at work, so that nobody waits for it, and whatever waits longer than `_PATIENCE_S`, or finds
the queue full, is shed: under load it is the first to go without.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

import numpy as np
import structlog
from numpy.typing import NDArray

from service.detect.detector import Judgement
from service.errors import SentinelError
from service.events.columns import Events
from service.events.vocabulary import KINDS

_PATIENCE_S, _GAP_S = 2.0, 0.005
_WAITING = 32  # requests
_LINE_EVENTS = 10_000
"""Compared events after which the log gets a line."""

log = structlog.get_logger("epc_sentinel.shadow")


@dataclass(slots=True)
class Compared:
    """How a challenger's judgements differ from the champion's."""

    events: int = 0
    champion_alone: NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(KINDS), dtype=np.int64))
    challenger_alone: NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(KINDS), dtype=np.int64))
    difference: NDArray[np.float64] = field(default_factory=lambda: np.zeros(len(KINDS)))  # sum of |p - p'| by kind

    def add(self, champion: Judgement, challenger: Judgement) -> None:
        """Take one request, judged by both."""
        self.events += len(champion.scores)
        self.champion_alone += (champion.flags & ~challenger.flags).sum(axis=0)
        self.challenger_alone += (challenger.flags & ~champion.flags).sum(axis=0)
        self.difference += np.abs(champion.scores.astype(np.float64) - challenger.scores).sum(axis=0)


@dataclass(frozen=True, slots=True, eq=False)
class Twice:
    """A request that was answered, and that the challenger judges, too."""

    events: Events
    causal: bool  # judged from the past alone
    answered: Judgement
    again: Judgement | None = None  # by the challenger; None: not yet


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    judge: Callable[[], Awaitable[Judgement]]
    request: Twice
    since_s: float


class Shadow:
    """Has requests judged once more, and keeps the comparison by the versions of both."""

    def __init__(self, is_busy: Callable[[], bool]) -> None:
        """Args: ``is_busy`` says whether calls are at work."""
        self._is_busy = is_busy
        self._waiting: deque[_Waiting] = deque()
        self._task: asyncio.Task[None] | None = None
        self._told: Callable[[Twice], None] = lambda _request: None
        self.compared: dict[str, Compared] = {}  # by "epc_lstm/2": the challenger
        self.shed = 0  # requests that were not compared
        self.failed = 0  # requests that the challenger could not judge

    def tell(self, told: Callable[[Twice], None]) -> None:
        """Say who is told of requests that both have judged; it must be quick."""
        self._told = told

    def put(self, judge: Callable[[], Awaitable[Judgement]], request: Twice) -> None:
        """Have ``judge`` compared with what was answered, later or never; for the thread of the event loop."""
        if len(self._waiting) >= _WAITING:
            self.shed += 1
            return
        self._waiting.append(_Waiting(judge, request, time.monotonic()))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        while self._waiting:
            one = self._waiting.popleft()
            while self._is_busy() and time.monotonic() < one.since_s + _PATIENCE_S:
                await asyncio.sleep(_GAP_S)
            if time.monotonic() >= one.since_s + _PATIENCE_S:
                self.shed += 1
                continue
            try:
                judged = await one.judge()
            except SentinelError:
                self.failed += 1
                continue
            except Exception as error:  # a bug in what nobody waits for must not end the comparison
                log.error("the challenger failed", exc_info=error)
                self.failed += 1
                continue
            if judged.method == one.request.answered.method:
                self._add(one.request.answered, judged)
                self._told(replace(one.request, again=judged))

    def _add(self, answered: Judgement, judged: Judgement) -> None:
        found = self.compared.setdefault(judged.model_version, Compared())
        before = found.events // _LINE_EVENTS
        found.add(answered, judged)
        if found.events // _LINE_EVENTS > before:
            log.info(
                "challenger compared",
                challenger=judged.model_version,
                champion=answered.model_version,
                events=found.events,
                champion_alone=int(found.champion_alone.sum()),
                challenger_alone=int(found.challenger_alone.sum()),
                mean_difference=round(float(found.difference.sum()) / found.events / len(KINDS), 5),
                shed=self.shed,
            )

    async def close(self) -> None:
        """Compare no more."""
        self._waiting.clear()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
