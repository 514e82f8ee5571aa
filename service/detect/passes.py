"""Requests that come while others are prepared are prepared together, in the next pass.

The price of a pass hardly depends on how many events are in it while they are few. Nobody waits for company that is
not here yet: the first request goes as soon as the event loop has looked at the others. While the model judges one
pass, the next one is prepared.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from service.features.case import View
from service.runtime.deadline import Deadline, latest

PASS_EVENTS = 2_000
"""Events of a pass, at most, unless a single request has more: larger passes are no cheaper by the event, and a few
requests in flight would all be in one and never overlap."""

_WITH_MODEL = 2
"""Passes that the model judges at the same time."""

_TURNS = 5
"""Turns of the event loop before a pass begins, in which requests that are here already are decoded and join it: no
10 us for one that is alone, and with eight of 50 events in flight 3.8 in a pass instead of 1.6, a fifth less processor
time by the event. With more turns all of them are in one pass, and caller and gateway wait for each other."""

_Prepared = TypeVar("_Prepared")
_Answer = TypeVar("_Answer")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting(Generic[_Answer]):
    view: View
    deadline: Deadline
    answer: asyncio.Future[_Answer]
    context: Context = field(default_factory=copy_context)  # of the request: its trace, for one

    @property
    def is_awaited(self) -> bool:
        """Whether somebody still waits for the answer."""
        return not self.deadline.passed and not self.answer.done()


class Passes(Generic[_Prepared, _Answer]):
    """Joins requests to passes."""

    def __init__(
        self,
        prepare: Callable[[list[View]], Awaitable[_Prepared]],
        conclude: Callable[[_Prepared, Deadline], Awaitable[list[_Answer]]],
    ) -> None:
        """Args: ``conclude`` gets what ``prepare`` returned, and a deadline; it returns an answer for each view."""
        self._prepare = prepare
        self._conclude = conclude
        self._waiting: deque[_Waiting[_Answer]] = deque()
        self._apart: deque[_Waiting[_Answer]] = deque()  # of a pass that could not be prepared: each once more, alone
        self._with_model = asyncio.Semaphore(_WITH_MODEL)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._running = False

    async def judge(self, view: View, deadline: Deadline) -> _Answer:
        """Return the answer for ``view``.

        Raises:
            DeadlineExceeded: the deadline passed; what has not begun by then never will.
        """
        answer: asyncio.Future[_Answer] = asyncio.get_running_loop().create_future()
        waiting = _Waiting(view, deadline, answer)
        self._waiting.append(waiting)
        if not self._running:
            self._running = True
            self._start(self._run())
        async with deadline.enforced("the deadline passed before the model answered"):
            return await answer

    async def _run(self) -> None:
        """Prepare pass after pass until nobody waits, each after some turns of the event loop."""
        while self._waiting or self._apart:
            await self._with_model.acquire()
            for _ in range(_TURNS):
                await asyncio.sleep(0)
            together = self._next()
            try:
                prepared = await self._start(self._views(together), together[0].context) if together else None
            except Exception as error:
                if len(together) > 1:  # one of them is to blame, and the others shall have their answers
                    self._apart.extend(together)
                else:
                    _fail(together, error)
                prepared = None
            if prepared is None:
                self._with_model.release()
            else:
                self._start(self._finish(together, prepared), together[0].context)
        self._running = False

    async def _views(self, together: list[_Waiting[_Answer]]) -> _Prepared:
        return await self._prepare([waiting.view for waiting in together])

    async def _finish(self, together: list[_Waiting[_Answer]], prepared: _Prepared) -> None:
        try:
            answers = await self._conclude(prepared, latest(waiting.deadline for waiting in together))
        except Exception as error:
            _fail(together, error)
            return
        finally:
            self._with_model.release()
        for waiting, answer in zip(together, answers, strict=True):
            if not waiting.answer.done():
                waiting.answer.set_result(answer)

    def _next(self) -> list[_Waiting[_Answer]]:
        """Return the requests of the next pass, in the order in which they came; drop those that nobody waits for."""
        while self._apart:
            if (waiting := self._apart.popleft()).is_awaited:
                return [waiting]
        together: list[_Waiting[_Answer]] = []
        events = 0
        while self._waiting and (not together or events + len(self._waiting[0].view) <= PASS_EVENTS):
            if (waiting := self._waiting.popleft()).is_awaited:
                together.append(waiting)
                events += len(waiting.view)
        return together

    def _start(self, work: Coroutine[None, None, _T], context: Context | None = None) -> asyncio.Task[_T]:
        """Run ``work`` as a task in ``context``: a pass in that of its first request, whose trace gets its spans."""
        task = asyncio.create_task(work, context=context)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _fail(together: list[_Waiting[_Answer]], error: Exception) -> None:
    for waiting in together:
        if not waiting.answer.done():
            waiting.answer.set_exception(error)
