"""The ports of a gateway, as the connections of clients meet them."""

from __future__ import annotations

import socket
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from service.client import stream
from service.gateway.listen import KEEPALIVE, MAX_METADATA_BYTES
from tests.support.command import run
from tests.support.gateway import Gateway
from tests.support.observed import scrape
from tests.support.requests import analyze, many

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


@pytest.mark.parametrize("size", [8_000, 12_000, 17_000, 30_000])
def test_large_tokens_are_let_in_always(gateway: Gateway, size: int) -> None:
    """With the limits that gRPC has by itself, tokens between 8 and 16 KiB fail by chance."""
    token = (("authorization", f"Bearer {'x' * size}"),)
    for _ in range(20):
        assert analyze(gateway.target, many(1), token).file_id == 1


def test_a_token_over_the_limit_is_refused_always(gateway: Gateway) -> None:
    for _ in range(10):
        with pytest.raises(grpc.RpcError) as caught:
            analyze(gateway.target, many(1), (("authorization", "x" * MAX_METADATA_BYTES),))
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.needs(socket.has_dualstack_ipv6(), "no IPv6 here")
@pytest.mark.parametrize(
    "workers", [(), ("--workers", "2", "--history", "none", "--onnx-threads", "1")], ids=["1", "2"]
)
def test_all_ports_listen_on_all_interfaces_of_both_kinds(
    start_gateway: Callable[..., Gateway], workers: tuple[str, ...]
) -> None:
    gateway = start_gateway("--host", "::", "--metrics-port", "0", "--health-port", "0", *workers)
    line = gateway.wait_log("listening")
    assert "epc_sentinel" in scrape(gateway)
    for host in ("127.0.0.1", "[::1]"):
        assert analyze(f"{host}:{line['port']}", many(5)).file_id == 1
        assert analyze(f"ipv6:[::1]:{line['port']}", many(5)).file_id == 1
        with urllib.request.urlopen(f"http://{host}:{line['metrics_port']}/metrics", timeout=10) as answer:
            assert answer.status == 200
        with grpc.insecure_channel(f"{host}:{line['health_port']}") as channel:
            grpc.channel_ready_future(channel).result(10)
    done = run("serve", "--host", "::", "--port", str(line["port"]), *workers)
    assert f"error: cannot listen on [::]:{line['port']}: in use" in done.stderr
