"""A client of a running gateway, for ``epc-sentinel analyze --target``."""

from __future__ import annotations

import grpc

from service.console import CommandError
from service.convert import encode_request
from service.events import Events
from service.pb.epcsentinel.v1 import anomaly_pb2 as pb

_TIMEOUT_S = 300.0
_METHOD = f"/{pb.DESCRIPTOR.services_by_name['AnomalyService'].full_name}/AnalyzeFiles"


class GatewayClient:
    """Asks a gateway to judge events."""

    def __init__(self, target: str) -> None:
        """Args: ``target`` is HOST:PORT. Nothing is connected before the first call."""
        self._target = target
        self._channel = grpc.aio.insecure_channel(target, options=[("grpc.max_receive_message_length", -1)])
        self._analyze_files = self._channel.unary_unary(
            _METHOD,
            request_serializer=pb.AnalyzeRequest.SerializeToString,
            response_deserializer=pb.AnalyzeFilesResponse.FromString,
        )

    async def analyze(self, events: Events, detector: str) -> list[pb.AnalyzeResponse]:
        """Return the gateway's answers, one per file.

        Raises:
            CommandError: the gateway cannot be reached, or it refused.
        """
        try:
            response = await self._analyze_files(encode_request(events, detector), timeout=_TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            raise CommandError(self._explain(error)) from None
        return list(response.files)

    async def close(self) -> None:
        """Close the connection."""
        await self._channel.close()

    def _explain(self, error: grpc.aio.AioRpcError) -> str:
        details = " ".join((error.details() or "").split())
        if error.code() is grpc.StatusCode.UNAVAILABLE and "failed to connect" in details.lower():
            return f"no gateway answers at {self._target}: start one with epc-sentinel serve, or correct --target"
        return f"the gateway at {self._target} answered {error.code().name}: {details}"
