"""What really goes over the wire: a proxy that records, and details of errors."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status


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
