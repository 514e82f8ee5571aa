"""What really goes over the wire: a proxy that records, and details of errors."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from queue import SimpleQueue
from typing import Any

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from service.pb.epcsentinel.v1 import anomaly_pb2 as pb
from tests.support.gateway import Gateway
from tests.support.requests import request, scan


def fields_of(error: grpc.RpcError) -> list[str]:
    status = rpc_status.from_call(error)
    assert status is not None
    details = error_details_pb2.BadRequest()
    assert status.details[0].Unpack(details)
    return [violation.field for violation in details.field_violations]


@contextmanager
def recording_proxy(target: str) -> Iterator[tuple[str, bytearray]]:
    """Forward one connection to ``target`` and record what comes back."""
    host, port = target.split(":")
    received = bytearray()
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:

        def pump(source: socket.socket, sink: socket.socket, record: bytearray | None) -> None:
            while chunk := source.recv(65536):
                if record is not None:
                    record += chunk
                sink.sendall(chunk)
            with suppress(OSError):  # the other side may be gone already
                sink.shutdown(socket.SHUT_WR)

        def forward() -> None:
            client, _ = listener.accept()
            with client, socket.create_connection((host, int(port))) as server:
                upstream = threading.Thread(target=pump, args=(client, server, None))
                upstream.start()
                pump(server, client, received)
                upstream.join()

        thread = threading.Thread(target=forward)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}", received
        thread.join(10)


def header_frames(received: bytearray) -> int:
    """Count the HEADERS frames (type 1) of an HTTP/2 stream of frames."""
    at = count = 0
    while at < len(received):
        count += received[at + 3] == 1
        at += 9 + int.from_bytes(received[at : at + 3], "big")
    return count


PATH = "/epcsentinel.v1.AnomalyService/AnalyzeStream"

OWN_CONNECTION = ("grpc.use_local_subchannel_pool", 1)


@contextmanager
def stream(
    target: str, bodies: Iterable[bytes], timeout_s: float | None = None, request_id: str = ""
) -> Iterator[grpc.Call]:
    """Open a stream, written from ``bodies`` in a thread of gRPC; it is cancelled at the end, unless it is over."""
    # A small window for the answers: otherwise the library takes 4 MiB of them before anybody reads.
    options = [OWN_CONNECTION, ("grpc.http2.bdp_probe", 0)]
    with grpc.insecure_channel(target, options=options) as channel:
        metadata = (("x-request-id", request_id),) if request_id else ()
        yield channel.stream_stream(PATH)(iter(bodies), timeout=timeout_s, metadata=metadata)


@contextmanager
def talk(
    target: str, request_id: str = "", timeout_s: float | None = None
) -> Iterator[tuple[Callable[[bytes], pb.AnalyzeResponse], grpc.Call]]:
    """Open a stream of a caller who waits for each answer; give what sends a request and returns its answer."""
    bodies: SimpleQueue[bytes | None] = SimpleQueue()
    with stream(target, iter(bodies.get, None), timeout_s, request_id) as call:

        def ask(body: bytes) -> pb.AnalyzeResponse:
            bodies.put(body)
            return pb.AnalyzeResponse.FromString(next(call))

        yield ask, call
        call.cancel()
        bodies.put(None)


def read(call: grpc.Call) -> tuple[list[pb.AnalyzeResponse], grpc.RpcError]:
    """Return the answers until the stream ends, and how it ended."""
    answers = []
    try:
        for raw in call:
            answers.append(pb.AnalyzeResponse.FromString(raw))
    except grpc.RpcError as error:
        return answers, error
    return answers, call  # its code is OK


def numbered(count: int, detector: pb.Detector.ValueType = pb.DETECTOR_RULES) -> Iterator[bytes]:
    """Yield requests of one event; request i has file_id i, which its answer repeats."""
    for at in range(count):
        yield request(scan(at, file_id=at), detector=detector).SerializeToString()


def line_of(gateway: Gateway, request_id: str, within_s: float = 10) -> dict[str, Any]:
    """Return the log line of a call; it is written after the caller knows the status."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if found := [line for line in gateway.log() if line.get("request_id") == request_id]:
            [line] = found
            return line
        time.sleep(0.02)
    raise AssertionError(f"no line of {request_id}")


FORGED = request(*(scan(at, epc_code=f"forged {at}") for at in range(500)), detector=pb.DETECTOR_RULES)
"""24 KiB, and as much of answer."""
