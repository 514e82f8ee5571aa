"""The ports of a gateway, as the connections of clients meet them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import grpc

from service.client import stream
from service.gateway.listen import KEEPALIVE

SCALE = 10
"""A second of the options is this part of a second here; a client of gRPC's own pings once a second at most."""

CLIENTS = {
    "GatewayStream": stream.KEEPALIVE,
    "the shortest that Java allows": (("grpc.keepalive_time_ms", 10_000), ("grpc.http2.max_pings_without_data", 0)),
}


def scaled(options: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
    return [
        ("grpc.use_local_subchannel_pool", 1),
        *((name, value // SCALE if name.endswith("_ms") else value) for name, value in options),
    ]


def echo(requests: Iterator[bytes], _context: grpc.ServicerContext) -> Iterator[bytes]:
    yield from requests


def test_streams_that_wait_are_not_cut_for_the_pings_of_their_clients() -> None:
    """They wait for a hundred seconds. A caller whose ping comes too soon for the third time is cut off."""
    server = grpc.server(ThreadPoolExecutor(len(CLIENTS)), options=scaled(KEEPALIVE))
    method = grpc.stream_stream_rpc_method_handler(echo)
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("test", {"Echo": method})])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()

    def requests() -> Iterator[bytes]:
        yield b"before"
        time.sleep(100 / SCALE)
        yield b"after"

    def ask(options: Sequence[tuple[str, int]]) -> object:
        with grpc.insecure_channel(f"127.0.0.1:{port}", scaled(options)) as channel:
            try:
                return list(channel.stream_stream("/test/Echo")(requests(), timeout=60))
            except grpc.RpcError as error:
                return error.details()

    with ThreadPoolExecutor() as pool:
        ends = dict(zip(CLIENTS, pool.map(ask, CLIENTS.values()), strict=True))
    server.stop(0)
    assert ends == {name: [b"before", b"after"] for name in CLIENTS}
