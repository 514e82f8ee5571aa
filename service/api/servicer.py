"""The AnomalyService servicer: converts, delegates, returns. Its errors become statuses at the border, in `entry`."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple, TypeVar

import grpc
import numpy as np
from google.protobuf.message import Message

from service.api.admission import EVENT_BYTES, LARGE_AT_ONCE, Admission
from service.api.call import Call, current
from service.api.explanations import explain_event, explain_findings, language_of, row_of
from service.api.limits import Rate
from service.api.requests import Question, decode_explain, decode_request
from service.api.responses import build_responses
from service.api.settling import Room, Settling, Waiting, alike
from service.api.status import cancelled_code, reason_of, status_of
from service.api.stream import Revision, Streams
from service.detect.analyzer import Judges
from service.detect.detector import Judgement
from service.events.words import Wording
from service.events.zones import TimeZones
from service.explain.explainer import Explains, Explanation
from service.features.case import join
from service.monitoring.records import Analysis, Watch
from service.pb.epcsentinel.v1 import anomaly_pb2 as pb
from service.runtime import threads
from service.runtime.deadline import Deadline
from service.runtime.timing import timed
from service.security.auth import caller

SERVICE = pb.DESCRIPTOR.services_by_name["AnomalyService"]
"""Descriptor of the service; its methods are registered by name, so that no generated servicer is needed."""

_T = TypeVar("_T")
_Context = grpc.aio.ServicerContext[Any, Any]


class _Asked(NamedTuple):
    """What a request asks, and how its answer is made of a judgement and of what explains it, where that is wanted."""

    question: Question
    respond: Callable[[Judgement, Callable[[], Explanation]], Message]
    has_effects: bool = False  # they take long, however few events there are


_Decode = Callable[[bytes, int, Wording], _Asked]
"""Takes a request apart, of so many events at most, told in those words."""


class AnomalyServicer:
    """Serves AnomalyService on bytes, so that a message that cannot be parsed gets a proper INVALID_ARGUMENT."""

    def __init__(  # noqa: PLR0913 - all that the border of the service is made of
        self,
        analyzer: Judges,
        explainer: Explains,
        *,
        admission: Admission,
        events_per_s: Rate | None = None,
        max_stream_age_s: float = math.inf,
        settle_s: float = 0.0,
        watch: Watch | None = None,
        clocks: Callable[[], TimeZones] | None = None,
    ) -> None:
        """Make the servicer.

        Args:
            analyzer: judges.
            explainer: says why.
            admission: how much work is taken on, of one request and of all.
            events_per_s: how fast each caller may send events; None is no limit.
            max_stream_age_s: seconds after which a stream ends.
            settle_s: seconds after which an answer of a stream is followed by a final one; 0: it is final at once.
            watch: is told of every analysis.
            clocks: of callers who send what the clocks of the sites showed, as if in UTC; None: they send instants.
        """
        self._analyzer = analyzer
        self._explainer = explainer
        self._admission = admission
        self._events_per_s = events_per_s
        self._watch = watch or Watch()
        self._clocks = clocks
        self._streams = Streams(max_stream_age_s)
        self._settle_s, self._room = settle_s, Room()
        self._settling = asyncio.Semaphore(LARGE_AT_ONCE)  # streams that settle now
        self.running = 0  # calls in flight

    def drain(self) -> None:
        """Tell the streams in flight to go; other calls end by themselves."""
        self._streams.drain()

    def handler(self) -> grpc.GenericRpcHandler:
        """Return the handler to register at the server."""
        return grpc.method_handlers_generic_handler(SERVICE.full_name, self.handlers())

    def handlers(self) -> dict[str, grpc.RpcMethodHandler[Any, Any]]:
        """Return the handler of each method of the contract."""
        return {
            "Analyze": grpc.unary_unary_rpc_method_handler(self._counted(self._analyze)),
            "AnalyzeFiles": grpc.unary_unary_rpc_method_handler(self._counted(self._analyze_files)),
            "AnalyzeStream": grpc.stream_stream_rpc_method_handler(self._counted(self._analyze_stream)),
            "Explain": grpc.unary_unary_rpc_method_handler(self._counted(self._explain)),
            "ExplainFindings": grpc.unary_unary_rpc_method_handler(self._counted(self._explain_findings)),
        }

    async def _analyze(self, raw: bytes, context: _Context) -> bytes:
        return await self._answer(raw, context, self._analyzer.analyze, _one_file)

    async def _analyze_files(self, raw: bytes, context: _Context) -> bytes:
        return await self._answer(raw, context, self._analyzer.analyze, _all_files)

    async def _analyze_stream(self, _requests: object, context: _Context) -> None:
        course, settles = self._analyzer.stream(), self._settle_s > 0

        async def answer(raw: bytes, number: int) -> bytes:
            decode = partial(_of_stream, number, pb.VERDICT_PROVISIONAL) if settles else _one_file
            return await self._answer(raw, context, course.follow, decode)

        revision = Revision(Settling(self._settle_s, self._room), partial(self._settle, context, course.settle))
        await self._streams.serve(context, answer, revision if settles else None)

    async def _settle(
        self, context: _Context, judge: Callable[..., Awaitable[Judgement]], requests: Sequence[Waiting]
    ) -> list[bytes]:
        """Return the final answers to requests of a stream, of which those that ask the same are judged at once."""
        call, deadline = current(), Deadline.after(context.time_remaining())
        metadata, size = context.invocation_metadata() or (), sum(len(one.raw) for one in requests)
        analyses = [self._analysis(call, one.raw, settled=True) for one in requests]
        with self._watch.request(call.method, metadata), self._told(analyses, call, context):
            # Not by admission: a look back is large however small the requests are, and gives way to small ones.
            async with self._settling:
                decode = partial(_all_waiting, requests, self._admission.max_events, self._analyzer.words)
                decoded = await threads.run(threads.MESSAGE, decode, size // EVENT_BYTES)
                asked = [self._at_instants(one) for one in decoded]
                for together in alike([one.question for one in asked]):
                    question, parts = asked[together[0]].question, [asked[at].question.events for at in together]
                    judgement = await _judge(judge, question._replace(events=join(parts)[0]), deadline)
                    ends = np.cumsum([0, *map(len, parts)]).tolist()
                    for at, begin, end in zip(together, ends, ends[1:], strict=False):
                        analyses[at].events, analyses[at].detector = asked[at].question.events, question.detector
                        await self._respond(analyses[at], asked[at], judgement.part(begin, end), metadata)
        return [analysis.answer for analysis in analyses]

    async def _explain(self, raw: bytes, context: _Context) -> bytes:
        return await self._answer(raw, context, self._analyzer.analyze, partial(_one_event, self._explainer))

    async def _explain_findings(self, raw: bytes, context: _Context) -> bytes:
        return await self._answer(raw, context, self._analyzer.analyze, partial(_all_findings, self._explainer))

    async def _answer(
        self, raw: bytes, context: _Context, judge: Callable[..., Awaitable[Judgement]], decode: _Decode
    ) -> bytes:
        """Judge the events of the request, and tell of it; return the answer that ``decode`` says how to make."""
        call, deadline = current(), Deadline.after(context.time_remaining())
        analysis = self._analysis(call, raw)
        # A stream has one request at work, and reads no other: what it can send is limited by that.
        refuse = call.method != "AnalyzeStream"
        metadata = context.invocation_metadata() or ()
        with self._watch.request(call.method, metadata), self._told([analysis], call, context):
            async with self._admission.enter(len(raw), refuse=refuse):
                asked = await self._decoded(analysis, call, decode)
                judgement = await _judge(judge, asked.question, deadline)
                call.judged_by, call.model_version = judgement.method, judgement.model_version
                call.point = judgement.point
                call.findings += int(judgement.flags.sum())
                await self._respond(analysis, asked, judgement, metadata)
                call.requests += 1
                return analysis.answer

    def _analysis(self, call: Call, raw: bytes, *, settled: bool = False) -> Analysis:
        return Analysis(
            call.method, call.request_id, caller=caller().name, peer=call.peer, request=raw, settled=settled
        )

    @contextmanager
    def _told(self, analyses: Sequence[Analysis], call: Call, context: _Context) -> Iterator[None]:
        """Tell how the analyses ended, of those that were not answered in the block."""
        try:
            yield
        except asyncio.CancelledError:
            for analysis in analyses:
                self._watch.over(analysis, cancelled_code(context))
            raise
        except Exception as error:
            for analysis in analyses:
                self._watch.over(analysis, status_of(error, call.request_id).code.name, reason_of(error))
            raise

    async def _decoded(self, analysis: Analysis, call: Call, decode: _Decode) -> _Asked:
        raw = analysis.request
        work = partial(decode, raw, self._admission.max_events, self._analyzer.words)
        asked = await threads.run(threads.MESSAGE, work, len(raw) // EVENT_BYTES)
        asked = self._at_instants(asked)
        events = asked.question.events
        call.detector = analysis.detector = asked.question.detector
        analysis.events = events
        if self._events_per_s:
            self._events_per_s.spend(caller().name, len(events))
        call.events += len(events)
        call.epcs += len(events.epc_codes)
        return asked

    def _at_instants(self, asked: _Asked) -> _Asked:
        """Return what is asked with the instants of its events."""
        if self._clocks is None:
            return asked
        events = asked.question.events
        time_us = self._clocks().instant_us(events.time_us, events.location_id)
        return asked._replace(question=asked.question._replace(events=replace(events, time_us=time_us)))

    async def _respond(
        self, analysis: Analysis, asked: _Asked, judgement: Judgement, metadata: Iterable[tuple[str, str | bytes]]
    ) -> None:
        """Make the answer of an analysis, and tell of it."""
        explain = asked.question.explain
        # Observers keep it for a while, and need no features.
        analysis.judgement = replace(judgement, case=None) if explain else judgement

        def encode() -> None:
            with timed("respond", len(asked.question.events)):
                answer = asked.respond(judgement, lambda: self._explainer.explain(judgement, language_of(metadata)))
                analysis.answer = answer.SerializeToString()
            self._watch.over(analysis, "OK")

        many_reasons = explain and not threads.on_loop(threads.REASONS, int(judgement.flags.sum()))
        kind = threads.ALWAYS_OFF if asked.has_effects or many_reasons else threads.MESSAGE
        await threads.run(kind, encode, len(analysis.request) // EVENT_BYTES)

    def _counted(self, behaviour: Callable[[Any, _Context], Awaitable[_T]]) -> Callable[[Any, _Context], Awaitable[_T]]:
        """Return ``behaviour`` as a handler whose calls are counted while they run."""

        async def handle(request: Any, context: _Context) -> _T:  # noqa: ANN401 - bytes or a stream
            self.running += 1
            try:
                return await behaviour(request, context)
            finally:
                self.running -= 1

        return handle


async def _judge(judge: Callable[..., Awaitable[Judgement]], question: Question, deadline: Deadline) -> Judgement:
    return await judge(
        question.events,
        question.detector,
        deadline,
        history=question.history,
        point=question.point,
        explain=question.explain,
    )


def _of_stream(number: int, verdict: pb.Verdict.ValueType, raw: bytes, max_events: int, words: Wording) -> _Asked:
    """Take a request of a stream whose answers settle apart, the one with this number."""
    question = decode_request(raw, max_events=max_events, one_file=True, words=words)

    def respond(judgement: Judgement, tell: Callable[[], Explanation]) -> Message:
        [answer] = _files(question, judgement, tell)
        answer.verdict, answer.request_number = verdict, number
        return answer

    return _Asked(question, respond)


def _all_waiting(requests: Sequence[Waiting], max_events: int, words: Wording) -> list[_Asked]:
    return [_of_stream(one.number, pb.VERDICT_FINAL, one.raw, max_events, words) for one in requests]


def _one_file(raw: bytes, max_events: int, words: Wording) -> _Asked:
    question = decode_request(raw, max_events=max_events, one_file=True, words=words)
    return _Asked(question, lambda judgement, tell: _files(question, judgement, tell)[0])


def _all_files(raw: bytes, max_events: int, words: Wording) -> _Asked:
    question = decode_request(raw, max_events=max_events, one_file=False, words=words)
    return _Asked(question, lambda judgement, tell: pb.AnalyzeFilesResponse(files=_files(question, judgement, tell)))


def _files(question: Question, judgement: Judgement, tell: Callable[[], Explanation]) -> list[pb.AnalyzeResponse]:
    return build_responses(question.events, judgement, tell() if question.explain else None)


def _one_event(explainer: Explains, raw: bytes, max_events: int, words: Wording) -> _Asked:
    question, event_id = decode_explain(raw, max_events=max_events, words=words)
    row_of(question.events, event_id)  # before it is judged
    return _Asked(
        question,
        lambda _judgement, tell: explain_event(explainer, tell(), question.events, event_id),
        has_effects=True,
    )


def _all_findings(explainer: Explains, raw: bytes, max_events: int, words: Wording) -> _Asked:
    question = decode_request(raw, max_events=max_events, one_file=False, words=words)._replace(explain=True)
    return _Asked(
        question,
        lambda _judgement, tell: explain_findings(explainer, tell(), question.events),
        has_effects=True,
    )
