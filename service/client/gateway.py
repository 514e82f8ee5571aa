"""A client of a running gateway: whole files for ``analyze --target``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
from google.protobuf.message import Message

from service.api.requests import DetectorName, encode_request
from service.client.access import OPEN, Access
from service.client.retries import SERVICE, retried
from service.errors import CommandError
from service.events.columns import Events
from service.events.vocabulary import OperatingPoint
from service.events.words import OWN_WORDS, Wording
from service.pb.epcsentinel.v1 import anomaly_pb2 as pb

_TIMEOUT_S = 300.0


class GatewayClient:
    """Asks a gateway to judge events."""

    def __init__(self, target: str, access: Access = OPEN, words: Wording = OWN_WORDS) -> None:
        """Args: ``target`` is HOST:PORT; events go in ``words``. Nothing is connected before the first call."""
        self._target = target
        self._access = access
        self._words = words
        self._channel = access.aio_channel(target, [("grpc.max_receive_message_length", -1), *retried()])
        self._analyze_files = self._channel.unary_unary(
            f"/{SERVICE}/AnalyzeFiles",
            request_serializer=pb.AnalyzeRequest.SerializeToString,
            response_deserializer=pb.AnalyzeFilesResponse.FromString,
        )
        self._explain = self._channel.unary_unary(
            f"/{SERVICE}/Explain",
            request_serializer=pb.ExplainRequest.SerializeToString,
            response_deserializer=pb.ExplainResponse.FromString,
        )

    async def analyze(
        self,
        events: Events,
        detector: DetectorName,
        point: OperatingPoint | None = None,
        language: str | None = None,
    ) -> list[pb.AnalyzeResponse]:
        """Return the gateway's answers, one per file.

        Args: ``point`` None: as it is set; with ``language`` each finding says why.

        Raises:
            CommandError: the gateway cannot be reached, or it refused.
        """
        request = encode_request(events, detector, point, explain=language is not None, words=self._words)
        return list((await self._ask(self._analyze_files, request, language)).files)

    async def explain(
        self, events: Events, event_id: int, detector: DetectorName, point: OperatingPoint | None, language: str
    ) -> pb.ExplainResponse:
        """Return why an event got its scores; as `analyze`."""
        asked = encode_request(events, detector, point, words=self._words)
        request = pb.ExplainRequest(
            data=asked.data, event_id=event_id, detector=asked.detector, operating_point=asked.operating_point
        )
        answer: pb.ExplainResponse = await self._ask(self._explain, request, language)
        return answer

    async def _ask(self, call: Callable[..., Any], request: Message, language: str | None) -> Any:  # noqa: ANN401
        metadata = (*self._access.metadata(), *((("accept-language", language),) if language else ()))
        try:
            return await call(request, timeout=_TIMEOUT_S, metadata=metadata)
        except grpc.aio.AioRpcError as error:
            raise CommandError(explain(self._target, error)) from None

    async def close(self) -> None:
        """Close the connection."""
        await self._channel.close()


def check_reachable(target: str, access: Access = OPEN, within_s: float = 3.0) -> None:
    """Raise CommandError if nothing that speaks gRPC answers at ``target``."""
    with access.channel(target) as channel:
        try:
            grpc.channel_ready_future(channel).result(within_s)
        except grpc.FutureTimeoutError:
            raise CommandError(_no_gateway(target)) from None


def explain(target: str, error: grpc.aio.AioRpcError | grpc.Call) -> str:
    details = " ".join((error.details() or "").split())
    if error.code() is grpc.StatusCode.UNAVAILABLE and "failed to connect" in details.lower():
        return _no_gateway(target)
    return f"the gateway at {target} answered {error.code().name}: {details}"


def _no_gateway(target: str) -> str:
    return f"no gateway answers at {target}: start one with epc-sentinel serve, or correct --target"
