"""A live stream to a running gateway that survives its restarts."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from queue import SimpleQueue

import grpc

from service.client.access import OPEN, Access
from service.client.gateway import explain
from service.client.retries import PASSING, SERVICE
from service.errors import CommandError
from service.pb.epcsentinel.v1 import anomaly_pb2 as pb

_RETRIED = PASSING | {grpc.StatusCode.OK}
"""How a stream ends that may go on; OK before the last answer is a proxy that leaves."""

KEEPALIVE = (
    ("grpc.keepalive_time_ms", 20_000),  # notices a gateway whose machine is gone
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.max_pings_without_data", 0),  # no limit: gRPC else all but stops to ping on a stream that waits
)

_FIRST_BACKOFF_S, _MAX_BACKOFF_S = 0.1, 2.0


@dataclass(frozen=True, slots=True)
class Answered:
    """A request of a stream with its answer."""

    request: pb.AnalyzeRequest
    response: pb.AnalyzeResponse
    latency_s: float  # from the first time it was sent, so that an outage of the gateway counts


class GatewayStream:
    """An AnalyzeStream on a connection of its own that survives restarts of the gateway.

    What got no answer is kept and sent again, unchanged and in order: no event is lost, and the gateway knows repeated
    events by their ids. It uses gRPC's blocking client, as that of grpc.aio may report INTERNAL in place of the status
    that a stream ended with (https://github.com/grpc/grpc/issues/36066).
    """

    def __init__(self, target: str, *, give_up_s: float, on_retry: Callable[[], None], access: Access = OPEN) -> None:
        """Open the stream.

        Args:
            target: HOST:PORT of the gateway.
            give_up_s: how long to try without any answer.
            on_retry: called each time that the stream is opened again.
            access: how to get in; the token is read again for every stream.
        """
        self._access = access
        self._target = target
        self._give_up_s = give_up_s
        self._on_retry = on_retry
        self._closed = threading.Event()
        self._unanswered: deque[tuple[pb.AnalyzeRequest, float]] = deque()  # with the time of sending
        options = [
            ("grpc.max_receive_message_length", -1),
            ("grpc.use_local_subchannel_pool", 1),  # else all streams share a connection, and with it one gateway
            ("grpc.max_reconnect_backoff_ms", 1000),
            *KEEPALIVE,
        ]
        self._channel = access.channel(target, options)
        self._method = self._channel.stream_stream(
            f"/{SERVICE}/AnalyzeStream",
            request_serializer=pb.AnalyzeRequest.SerializeToString,
            response_deserializer=pb.AnalyzeResponse.FromString,
        )
        self._open()

    @property
    def unanswered(self) -> int:
        """Requests without an answer."""
        return len(self._unanswered)

    @property
    def unanswered_events(self) -> int:
        """Events without an answer."""
        return sum(len(request.data) for request, _ in self._unanswered)

    def send(self, request: pb.AnalyzeRequest) -> None:
        """Send a request, and do not wait."""
        self._unanswered.append((request, time.monotonic()))
        self._outbox.put(request)

    def receive(self) -> Answered:
        """Wait for the first answer to the oldest request without one; final ones that follow later are passed over.

        Raises:
            CommandError: the gateway refused, or gave no answer for ``give_up_s``, or the stream was closed.
        """
        started, backoff_s = time.monotonic(), _FIRST_BACKOFF_S
        while True:
            try:
                response = next(self._call)
            except (grpc.RpcError, StopIteration):
                ended = self._call  # it knows how
            else:
                if response.verdict == pb.VERDICT_FINAL:
                    continue
                request, sent = self._unanswered.popleft()
                return Answered(request, response, time.monotonic() - sent)
            if ended.code() not in _RETRIED or time.monotonic() - started > self._give_up_s or self._closed.is_set():
                raise CommandError(explain(self._target, ended))
            self._closed.wait(backoff_s)
            backoff_s = min(2 * backoff_s, _MAX_BACKOFF_S)
            self._on_retry()
            self._outbox.put(None)
            self._open()

    def finish(self) -> None:
        """Half-close, after the last answer, and wait for the end of the stream."""
        self._outbox.put(None)
        with suppress(grpc.RpcError):  # there is nothing left to lose
            for _ in self._call:
                pass

    def close(self) -> None:
        """Give up what is under way; may be called from another thread."""
        self._closed.set()
        self._outbox.put(None)
        self._channel.close()

    def _open(self) -> None:
        self._outbox: SimpleQueue[pb.AnalyzeRequest | None] = SimpleQueue()
        for request, _ in self._unanswered:
            self._outbox.put(request)
        self._call = self._method(_until_none(self._outbox), metadata=self._access.metadata())


def _until_none(outbox: SimpleQueue[pb.AnalyzeRequest | None]) -> Iterator[pb.AnalyzeRequest]:
    while (request := outbox.get()) is not None:
        yield request
