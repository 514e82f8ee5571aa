"""Columns to judgements: adds what the history knows, and lets the detector judge that the caller asks for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple, Protocol

from service.detect.detector import Detector, Judgement, joined
from service.detect.hours import StreamHours, UsualHours
from service.detect.names import DetectorName
from service.dialect.dialect import words_of
from service.errors import NotImplementedYet
from service.events.columns import Events
from service.events.vocabulary import OperatingPoint
from service.events.words import Wording
from service.features.case import View
from service.features.reference import Reference
from service.history.history import Memory, Recalled
from service.runtime import threads
from service.runtime.deadline import NEVER, Deadline

_Recall = Callable[[View], Awaitable[Recalled]]


class Course(NamedTuple):
    """How the requests of one stream are judged."""

    follow: Callable[..., Awaitable[Judgement]]  # `Analyzer.follow`
    settle: Callable[..., Awaitable[Judgement]]  # `Analyzer.settle`


class Judges(Protocol):
    """What judges requests: an `Analyzer`, or several of which it picks one for each."""

    @property
    def words(self) -> Wording:
        """In which events are told to it."""
        ...

    async def analyze(
        self,
        events: Events,
        detector: DetectorName = DetectorName.LSTM,
        deadline: Deadline = NEVER,
        **options: Any,  # noqa: ANN401 - those of `Analyzer.analyze`, passed on
    ) -> Judgement:
        """Judge whole journeys; see `Analyzer.analyze`."""
        ...

    def stream(self) -> Course:
        """Return how to judge one stream; see `Analyzer.stream`."""
        ...


class Analyzer:
    """Judges events with the detector that the caller asks for, with or without history."""

    def __init__(
        self,
        detectors: Mapping[DetectorName, Detector],
        reference: Reference,
        *,
        memory: Memory | None = None,
        of_stream: Callable[[], Memory] | None = None,
        always: bool = False,
    ) -> None:
        """Make the analyzer.

        Args:
            detectors: those that there are.
            reference: what reasons look things up in, and what tells the usual hours of scans.
            memory: what is known beside requests, None for nothing.
            of_stream: makes a memory of a stream's own, for where there is no other.
            always: `analyze` uses ``memory`` too if the caller does not say.
        """
        self._detectors = detectors
        self._reference = reference
        self._hours = UsualHours(reference)
        self._memory = memory
        self._of_stream = of_stream
        self._always = always

    @property
    def words(self) -> Wording:
        """In which events are told to it."""
        return words_of(self._reference.dialect)

    async def analyze(  # noqa: PLR0913 - the last ones are options, given by name
        self,
        events: Events,
        detector: DetectorName = DetectorName.LSTM,
        deadline: Deadline = NEVER,
        *,
        history: bool | None = None,
        point: OperatingPoint | None = None,
        explain: bool = False,
    ) -> Judgement:
        """Judge whole journeys with ``detector``.

        ``history`` adds the stored events of the same items to what is known, and stores these; None: as configured.
        Without history, or if it is down, the events given are all that is known. ``point`` says how sure a finding is,
        None: as configured. With ``explain`` the judgement has its case, which reasons are made of.

        Raises:
            NotImplementedYet: the contract names the detector, this version or its models do not have it.
            ModelUnavailable: the model cannot answer, and fallback is off.
            DeadlineExceeded: it was not done in time, by rules neither.
        """
        used = self._always if history is None else history
        view, memory = View(events, causal=False, point=point), self._memory if used else None
        judgement = await self._judge(
            view, detector, deadline, None if memory is None else memory.recall, explain=explain
        )
        shifts = await threads.run(threads.THRESHOLDS, partial(self._hours.shifts, events), len(events))
        return replace(judgement, shifts=shifts)

    def has(self, detector: DetectorName) -> bool:
        """Return whether there is this detector."""
        return detector in self._detectors

    def own_memory(self) -> Memory | None:
        """Return the memory of one stream, of what it brought itself; None where the gateway keeps a history."""
        return self._of_stream() if self._memory is None and self._of_stream else None

    def stream(self) -> Course:
        """Return how to judge one stream: without a history, what the stream itself brought before is known."""
        memory = self.own_memory()
        return self.with_hours(Course(partial(self.follow, memory=memory), partial(self.settle, memory=memory)))

    def with_hours(self, course: Course) -> Course:
        """Return a course whose answers also say whether the hours of what the stream brought look shifted."""
        hours = StreamHours(self._hours)

        async def follow(events: Events, *asked: Any, **options: Any) -> Judgement:  # noqa: ANN401
            judgement = await course.follow(events, *asked, **options)
            hours.take(events)
            return replace(judgement, shifts=hours.shifts(events))

        async def settle(events: Events, *asked: Any, **options: Any) -> Judgement:  # noqa: ANN401
            judgement = await course.settle(events, *asked, **options)
            return replace(judgement, shifts=hours.shifts(events))

        return Course(follow, settle)

    async def follow(  # noqa: PLR0913 - the last ones are options, given by name
        self,
        events: Events,
        detector: DetectorName = DetectorName.LSTM,
        deadline: Deadline = NEVER,
        *,
        history: bool | None = None,
        point: OperatingPoint | None = None,
        memory: Memory | None = None,
        explain: bool = False,
    ) -> Judgement:
        """Judge events as they happen: each from the past alone, and once. Otherwise as `analyze`.

        With history (unless ``history`` is False), events that were judged before get the same answer again;
        ``memory`` takes its place where the gateway keeps none.
        """
        known = self._known(history, memory)
        view = View(events, causal=True, point=point)
        return await self._judge(view, detector, deadline, None if known is None else known.recall, explain=explain)

    async def settle(  # noqa: PLR0913 - the last ones are options, given by name
        self,
        events: Events,
        detector: DetectorName = DetectorName.LSTM,
        deadline: Deadline = NEVER,
        *,
        history: bool | None = None,
        point: OperatingPoint | None = None,
        memory: Memory | None = None,
        explain: bool = False,
    ) -> Judgement:
        """Judge events that `follow` has judged once more, as whole journeys, from all that is known by now.

        Events of several requests are judged at once if they use the history; nothing is stored.
        """
        known = self._known(history, memory)
        view = View(events, causal=False, point=point)
        recall = None if known is None else known.look_back
        return await self._judge(view, detector, deadline, recall, explain=explain)

    def _known(self, history: bool | None, memory: Memory | None) -> Memory | None:
        if history is False:
            return None
        return memory if self._memory is None else self._memory

    async def close(self) -> None:
        """Let the history's connections go."""
        if self._memory is not None:
            await self._memory.close()

    async def _judge(
        self, view: View, name: DetectorName, deadline: Deadline, recall: _Recall | None, *, explain: bool
    ) -> Judgement:
        detector = self._detectors.get(name)
        if detector is None:
            raise NotImplementedYet(
                f"DETECTOR_{name.upper()} is not available: the model repository has no epc_svm of this version that"
                " can do it; use DETECTOR_LSTM or DETECTOR_RULES"
            )
        recalled = Recalled(view, "")
        if recall is not None:
            async with deadline.enforced("the deadline passed before the history answered"):
                recalled = await recall(view)
        view = recalled.view
        if explain:  # the features are worked out once, for the judgement and for its reasons
            view = replace(view, wanted_by=self._reference)
        judgement = await detector.judge(view, deadline)
        if explain and judgement.case is None:  # whoever judged did so by other tables, or needs none of his own
            case = await threads.run(threads.FEATURES, partial(view.case, self._reference), len(view))
            judgement = replace(judgement, case=case)
        if recalled.warning:
            warning, degraded = joined(recalled.warning, judgement.warning), judgement.degraded or recalled.unavailable
            judgement = replace(judgement, warning=warning, degraded=degraded)
        # Who judges may have found that some features mean nothing here; its case is the one with reasons.
        return judgement if explain else replace(judgement, case=None)
