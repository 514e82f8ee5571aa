"""The AnomalyService servicer: converts, delegates, returns. Errors become statuses in `service.api.status`."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import grpc
import structlog

from service.api.admission import EVENT_BYTES, Admission
from service.api.limits import Rate
from service.api.requests import Question, decode_request
from service.api.responses import build_responses
from service.api.status import CallStatus, reason_of, request_id, status_of
from service.api.stream import Streams
from service.detect.analyzer import Analyzer, Verdicts
from service.errors import NotImplementedYet, SentinelError, Unauthenticated
from service.monitoring.records import Analysis, Refusal, Watch
from service.pb.epcsentinel.v1 import anomaly_pb2 as pb
from service.runtime.threads import off_loop
from service.runtime.timing import timed
from service.security.auth import caller

SERVICE = pb.DESCRIPTOR.services_by_name["AnomalyService"]
"""Descriptor of the service; its methods are registered by name, so that no generated servicer is needed."""

_INLINE_BYTES = 64 * 1024
"""Messages up to this size (some 650 events, 1 ms of work) are handled on the event loop: a thread costs as much."""

_T = TypeVar("_T")
_Context = grpc.aio.ServicerContext[Any, Any]

log = structlog.get_logger("epc_sentinel.rpc")


@dataclass(slots=True)
class Call:
    """What the log line of a call says; it holds numbers, never codes.

    The numbers of a stream are sums over its requests: an EPC counts once in each; the names are those of the last one.
    """

    method: str
    request_id: str
    started: float = field(default_factory=time.perf_counter)
    detector: str = ""
    judged_by: str = ""
    requests: int = 0  # answered
    events: int = 0
    epcs: int = 0
    findings: int = 0

    def log(self, code: str, reason: str = "") -> None:
        """Write the line."""
        log.info(
            "call",
            request_id=self.request_id,
            method=self.method,
            code=code,
            caller=caller().name,
            detector=self.detector,
            judged_by=self.judged_by,
            requests=self.requests,
            events=self.events,
            epcs=self.epcs,
            findings=self.findings,
            duration_ms=round((time.perf_counter() - self.started) * 1e3, 2),
            **({"reason": reason} if reason else {}),
        )


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
            "Analyze": grpc.unary_unary_rpc_method_handler(self._guarded("Analyze", self._analyze)),
            "AnalyzeFiles": grpc.unary_unary_rpc_method_handler(self._guarded("AnalyzeFiles", self._analyze_files)),
            "AnalyzeStream": grpc.stream_stream_rpc_method_handler(
                self._guarded("AnalyzeStream", self._analyze_stream)
            ),
            "Explain": grpc.unary_unary_rpc_method_handler(self._guarded("Explain", _not_yet)),
        }

    async def _analyze(self, raw: bytes, call: Call, context: _Context) -> bytes:
        return await self._answer(raw, call, context, self._analyzer.analyze, one_file=True)

    async def _analyze_files(self, raw: bytes, call: Call, context: _Context) -> bytes:
        return await self._answer(raw, call, context, self._analyzer.analyze, one_file=False)

    async def _analyze_stream(self, _requests: object, call: Call, context: _Context) -> None:
        follow = self._analyzer.stream()

        async def answer(raw: bytes) -> bytes:
            return await self._answer(raw, call, context, follow, one_file=True)

        await self._streams.serve(context, answer)

    async def _answer(
        self, raw: bytes, call: Call, context: _Context, judge: Callable[..., Awaitable[Verdicts]], *, one_file: bool
    ) -> bytes:
        """Judge the events of the request, and tell of it; return the answer of its one file, or of all its files."""
        analysis = Analysis(call.method, call.request_id, caller=caller().name, peer=context.peer(), request=raw)
        # A stream has one request at work, and reads no other: what it can send is limited by that.
        refuse = call.method != "AnalyzeStream"
        with self._watch.request(call.method, context.invocation_metadata() or ()):
            try:
                async with self._admission.enter(len(raw), refuse=refuse):
                    return await self._judged(analysis, call, context.time_remaining(), judge, one_file=one_file)
            except asyncio.CancelledError:
                self._watch.over(analysis, _cancelled(context))
                raise
            except Exception as error:
                self._watch.over(analysis, status_of(error, call.request_id).code.name, reason_of(error))
                raise

    async def _judged(
        self,
        analysis: Analysis,
        call: Call,
        timeout_s: float | None,
        judge: Callable[..., Awaitable[Verdicts]],
        *,
        one_file: bool,
    ) -> bytes:
        raw = analysis.request

        def decode() -> Question:
            return decode_request(raw, max_events=self._admission.max_events, one_file=one_file)

        events, call.detector, history = await _off_loop(decode, raw)
        analysis.events, analysis.detector = events, call.detector
        if self._events_per_s:
            self._events_per_s.spend(caller().name, len(events))
        call.events += len(events)
        call.epcs += len(events.epc_codes)
        analysis.verdicts = verdicts = await judge(events, call.detector, timeout_s, history=history)
        call.judged_by = verdicts.method
        call.findings += int(verdicts.flags.sum())

        def encode() -> bytes:
            with timed("respond", len(events)):
                responses = build_responses(events, verdicts)
                answer = responses[0] if one_file else pb.AnalyzeFilesResponse(files=responses)
                analysis.answer = answer.SerializeToString()
            self._watch.over(analysis, "OK")
            return analysis.answer

        answer = await _off_loop(encode, raw)
        call.requests += 1
        return answer

    def _guarded(
        self, method: str, behaviour: Callable[[Any, Call, _Context], Awaitable[_T]]
    ) -> Callable[[Any, _Context], Awaitable[_T]]:
        """Return a handler that runs ``behaviour``, answers its errors with a status, and logs one line."""

        async def handle(request: Any, context: _Context) -> _T:  # noqa: ANN401 - bytes or a stream
            call = Call(method, request_id(context))
            self.running += 1
            try:
                answer = await behaviour(request, call, context)
            except asyncio.CancelledError:
                code = _cancelled(context)
                call.log(code)
                self._watch.call_ended(method, code)
                raise
            except Exception as error:  # the border: nothing of it may reach the caller by itself
                status = _report(error, call)
                self._watch.call_ended(method, status.code.name)
                if isinstance(error, Unauthenticated):  # his token was good when the stream began
                    peer, reason = context.peer(), reason_of(error)
                    refusal = Refusal(method, call.request_id, caller().name, peer, status.code.name, reason)
                    self._watch.outside(refusal)
                await _abort(context, status)
                raise  # not reached: abort raises
            finally:
                self.running -= 1
            call.log("OK")
            self._watch.call_ended(method, "OK")
            return answer

        return handle


async def _not_yet(_request: bytes, call: Call, _context: _Context) -> bytes:
    raise NotImplementedYet(f"{call.method} is not available in this version: use Analyze or AnalyzeFiles")


async def _off_loop(work: Callable[[], _T], raw: bytes) -> _T:
    """Run CPU work on a message where it does not keep the event loop from other calls and health checks."""
    return work() if len(raw) <= _INLINE_BYTES else await off_loop(work, len(raw) // EVENT_BYTES)


def _cancelled(context: _Context) -> str:
    """Return the code of a call that was cancelled: by its deadline or by the caller."""
    return "DEADLINE_EXCEEDED" if context.time_remaining() == 0 else "CANCELLED"


def _report(error: Exception, call: Call) -> CallStatus:
    """Log how the call failed and return its status; tracebacks stay here."""
    status = status_of(error, call.request_id)
    if status.code is grpc.StatusCode.INTERNAL:
        log.error("internal error", request_id=call.request_id, method=call.method, exc_info=error)
    call.log(status.code.name, str(error) if isinstance(error, SentinelError) else "")
    return status


async def _abort(context: _Context, status: CallStatus) -> None:
    # No initial metadata before this: the error goes out Trailers-Only, which lets a proxy retry it elsewhere.
    await context.abort(status.code, status.message, status.trailers)
