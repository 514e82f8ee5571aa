"""The way to the gateway: its answers, and its errors as those of HTTP."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
import structlog
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]

from service.client.access import Access
from service.client.retries import SERVICE
from service.pb.epcsentinel.v1 import anomaly_pb2 as pb
from service.web.problems import FieldFault, Problem

TIMEOUT_S = 60.0
"""Of a call that somebody waits for; where no gateway is there, he learns it within some seconds."""

PATIENT_S = 900.0
"""Of a call that nobody waits for: as many findings as events, each with its reason, take minutes."""

_STATUS = {
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.FAILED_PRECONDITION: 422,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
}
"""Anything else is a fault between this service and the gateway, no caller's: 502."""

log = structlog.get_logger("epc_sentinel.web")


class GatewayJudge:
    """Asks the gateway to judge."""

    def __init__(self, channel: grpc.aio.Channel, access: Access) -> None:
        self._access = access
        asked, said = pb.AnalyzeRequest.SerializeToString, pb.AnalyzeResponse.FromString
        self._analyze = channel.unary_unary(f"/{SERVICE}/Analyze", asked, said)
        self._analyze_files = channel.unary_unary(f"/{SERVICE}/AnalyzeFiles", asked, pb.AnalyzeFilesResponse.FromString)
        self._explain = channel.unary_unary(
            f"/{SERVICE}/Explain", pb.ExplainRequest.SerializeToString, pb.ExplainResponse.FromString
        )

    async def analyze(
        self, request: pb.AnalyzeRequest, language: str = "en", timeout_s: float = TIMEOUT_S
    ) -> pb.AnalyzeResponse:
        """Return the judgement of one file; reasons are in the ``language``.

        Raises:
            Problem: the gateway refused, or cannot be reached.
        """
        answer: pb.AnalyzeResponse = await self._ask(self._analyze, request, language, timeout_s)
        return answer

    async def analyze_files(self, request: pb.AnalyzeRequest, language: str = "en") -> pb.AnalyzeFilesResponse:
        """Return the judgements of several files; as `analyze`."""
        answer: pb.AnalyzeFilesResponse = await self._ask(self._analyze_files, request, language)
        return answer

    async def explain(self, request: pb.ExplainRequest, language: str = "en") -> pb.ExplainResponse:
        """Return why an event got its scores; as `analyze`."""
        answer: pb.ExplainResponse = await self._ask(self._explain, request, language)
        return answer

    async def _ask(self, call: Callable[..., Any], request: object, language: str, timeout_s: float = TIMEOUT_S) -> Any:  # noqa: ANN401 - its answer
        metadata = (*self._access.metadata(), ("accept-language", language))
        try:
            # Not as `retried` has it: tried again, but no waiting for a gateway that may never come.
            return await call(request, timeout=timeout_s, metadata=metadata, wait_for_ready=False)
        except grpc.aio.AioRpcError as error:
            raise as_problem(error) from None


def as_problem(error: grpc.aio.AioRpcError) -> Problem:
    """Return what a caller reads of an error of the gateway, which is written for callers."""
    details = _details(error)
    status = _STATUS.get(error.code(), 502)
    if status == 502:
        log.error("gateway", code=error.code().name, reason=error.details())
        return Problem(502, "the gateway does not take this service's requests: its operator has to look")
    faults: list[FieldFault] = []
    headers = {}
    bad, retry = error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
    for detail in details:
        if detail.Unpack(bad):
            faults = [(one.field, one.description) for one in bad.field_violations]
        elif detail.Unpack(retry):
            headers["Retry-After"] = str(max(1, round(retry.retry_delay.ToNanoseconds() / 1e9)))
    if status == 503:
        log.warning("gateway", code=error.code().name, reason=error.details())
        return Problem(503, "the gateway cannot be reached now: try again", headers={"Retry-After": "5"} | headers)
    if status == 429:
        headers.setdefault("Retry-After", "1")
    return Problem(status, " ".join((error.details() or "").split()), faults, headers)


def _details(error: grpc.aio.AioRpcError) -> list[Any]:
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            try:
                return list(status_pb2.Status.FromString(value).details)
            except DecodeError:
                return []
    return []
