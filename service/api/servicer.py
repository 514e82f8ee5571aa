"""The AnomalyService servicer: converts, delegates, returns. Its errors become statuses at the border, in `entry`."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import grpc

from service.api.admission import EVENT_BYTES, Admission
from service.api.call import Call, current
from service.api.limits import Rate
from service.api.requests import Question, decode_request
from service.api.responses import build_responses
from service.api.status import cancelled_code, reason_of, status_of
from service.api.stream import Streams
from service.detect.analyzer import Analyzer
from service.detect.detector import Judgement
from service.errors import NotImplementedYet
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


class AnomalyServicer:
    """Serves AnomalyService on bytes, so that a message that cannot be parsed gets a proper INVALID_ARGUMENT."""

    def __init__(
        self,
        analyzer: Analyzer,
        *,
        admission: Admission,
        events_per_s: Rate | None = None,
        max_stream_age_s: float = math.inf,
        watch: Watch | None = None,
    ) -> None:
        """Make the servicer.

        Args:
            analyzer: judges.
            admission: how much work is taken on, of one request and of all.
            events_per_s: how fast each caller may send events; None is no limit.
            max_stream_age_s: seconds after which a stream ends.
            watch: is told of every analysis.
        """
        self._analyzer = analyzer
        self._admission = admission
        self._events_per_s = events_per_s
        self._watch = watch or Watch()
        self._streams = Streams(max_stream_age_s)
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
            "Explain": grpc.unary_unary_rpc_method_handler(self._counted(_not_yet)),
            "ExplainFindings": grpc.unary_unary_rpc_method_handler(self._counted(_not_yet)),
        }

    async def _analyze(self, raw: bytes, context: _Context) -> bytes:
        return await self._answer(raw, context, self._analyzer.analyze, one_file=True)

    async def _analyze_files(self, raw: bytes, context: _Context) -> bytes:
        return await self._answer(raw, context, self._analyzer.analyze, one_file=False)

    async def _analyze_stream(self, _requests: object, context: _Context) -> None:
        follow = self._analyzer.stream()

        async def answer(raw: bytes) -> bytes:
            return await self._answer(raw, context, follow, one_file=True)

        await self._streams.serve(context, answer)

    async def _answer(
        self, raw: bytes, context: _Context, judge: Callable[..., Awaitable[Judgement]], *, one_file: bool
    ) -> bytes:
        """Judge the events of the request, and tell of it; return the answer of its one file, or of all its files."""
        call, deadline = current(), Deadline.after(context.time_remaining())
        analysis = Analysis(call.method, call.request_id, caller=caller().name, peer=call.peer, request=raw)
        # A stream has one request at work, and reads no other: what it can send is limited by that.
        refuse = call.method != "AnalyzeStream"
        with self._watch.request(call.method, context.invocation_metadata() or ()):
            try:
                async with self._admission.enter(len(raw), refuse=refuse):
                    return await self._judged(analysis, call, deadline, judge, one_file=one_file)
            except asyncio.CancelledError:
                self._watch.over(analysis, cancelled_code(context))
                raise
            except Exception as error:
                self._watch.over(analysis, status_of(error, call.request_id).code.name, reason_of(error))
                raise

    async def _judged(
        self,
        analysis: Analysis,
        call: Call,
        deadline: Deadline,
        judge: Callable[..., Awaitable[Judgement]],
        *,
        one_file: bool,
    ) -> bytes:
        raw = analysis.request

        def decode() -> Question:
            return decode_request(raw, max_events=self._admission.max_events, one_file=one_file)

        question = await threads.run(threads.MESSAGE, decode, len(raw) // EVENT_BYTES)
        events, detector = question.events, question.detector
        call.detector = detector
        analysis.events, analysis.detector = events, call.detector
        if self._events_per_s:
            self._events_per_s.spend(caller().name, len(events))
        call.events += len(events)
        call.epcs += len(events.epc_codes)
        analysis.judgement = judgement = await judge(
            events, detector, deadline, history=question.history, point=question.point
        )
        call.judged_by, call.model_version, call.point = judgement.method, judgement.model_version, judgement.point
        call.findings += int(judgement.flags.sum())

        def encode() -> bytes:
            with timed("respond", len(events)):
                responses = build_responses(events, judgement)
                answer = responses[0] if one_file else pb.AnalyzeFilesResponse(files=responses)
                analysis.answer = answer.SerializeToString()
            self._watch.over(analysis, "OK")
            return analysis.answer

        answer = await threads.run(threads.MESSAGE, encode, len(raw) // EVENT_BYTES)
        call.requests += 1
        return answer

    def _counted(self, behaviour: Callable[[Any, _Context], Awaitable[_T]]) -> Callable[[Any, _Context], Awaitable[_T]]:
        """Return ``behaviour`` as a handler whose calls are counted while they run."""

        async def handle(request: Any, context: _Context) -> _T:  # noqa: ANN401 - bytes or a stream
            self.running += 1
            try:
                return await behaviour(request, context)
            finally:
                self.running -= 1

        return handle


async def _not_yet(_request: bytes, _context: _Context) -> bytes:
    raise NotImplementedYet(f"{current().method} is not available in this version: use Analyze or AnalyzeFiles")
