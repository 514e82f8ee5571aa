"""A name server that knows one name, whose addresses change; what else is asked has no answer. Works without pytest."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Sequence
from typing import Self

_A, _IN = 1, 1
_ANSWER, _POINTER, _TTL_S = 0x8180, 0xC00C, 0  # a response without an error; the name is that of the question


class NameServer:
    """Answers on a free loopback port; a context manager."""

    def __init__(self, addresses: Sequence[str]) -> None:
        """Args: ``addresses`` of IPv4, which may be replaced."""
        self.addresses = addresses
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def target(self, port: int) -> str:
        """Return what a gRPC client has to ask for to get all addresses at this port."""
        return f"dns://127.0.0.1:{self.port}/gateways.test:{port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                query, client = self._socket.recvfrom(512)
                self._socket.sendto(self._answer(query), client)
            except OSError:  # closed
                return

    def _answer(self, query: bytes) -> bytes:
        end = query.index(b"\0", 12) + 5  # of the question: name, type, class
        kind, _ = struct.unpack("!HH", query[end - 4 : end])
        found = [socket.inet_aton(address) for address in self.addresses] if kind == _A else []
        head = query[:2] + struct.pack("!HHHHH", _ANSWER, 1, len(found), 0, 0)
        records = (struct.pack("!HHHIH", _POINTER, _A, _IN, _TTL_S, len(address)) + address for address in found)
        return head + query[12:end] + b"".join(records)
