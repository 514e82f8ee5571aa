"""Gateways that are added get calls: clients look for them when the gateway ends a connection, which costs no call."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import grpc

from service.client.retries import retried
from service.client.stream import GatewayStream
from tests.servers.nameserver import NameServer
from tests.support.client import METHOD
from tests.support.gateway import Gateway
from tests.support.processes import free_ports
from tests.support.requests import many, request, scan


class Calls:
    """One caller with one channel, as fast as he gets answers; a context manager."""

    def __init__(self, target: str) -> None:
        self.answered, self.lost = 0, []
        self._target, self._over = target, threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def __enter__(self) -> Calls:
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        options = [*retried(), ("grpc.dns_min_time_between_resolutions_ms", 200)]
        with grpc.insecure_channel(self._target, options) as channel:
            call, body = channel.unary_unary(METHOD), many(5).SerializeToString()
            while not self._over.wait(0.01):
                try:
                    call(body, timeout=20)
                    self.answered += 1
                except grpc.RpcError as error:
                    self.lost.append(f"{error.code()}: {error.details()}")


def calls_of(gateway: Gateway) -> int:
    return sum(line["event"] == "call" for line in gateway.log())


def wait_calls(gateway: Gateway, count: int) -> None:
    deadline = time.monotonic() + 30
    while calls_of(gateway) < count:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_client_finds_a_new_gateway_by_its_name_and_loses_no_call(start_gateway: Callable[..., Gateway]) -> None:
    [port] = free_ports(1)
    flags = ("--port", str(port), "--history", "none", "--max-connection-age-s", "1")
    old = start_gateway("--host", "127.0.0.1", *flags)
    with NameServer(["127.0.0.1"]) as names, Calls(names.target(port)) as calls:
        wait_calls(old, 20)
        new = start_gateway("--host", "127.0.0.2", *flags, ready=False)
        names.addresses = ["127.0.0.1", "127.0.0.2"]
        wait_calls(new, 20)
        before = calls_of(old)
        wait_calls(old, before + 20)
    assert calls.lost == []


def test_a_stream_outlives_its_connections_age_and_ends_with_a_word(start_gateway: Callable[..., Gateway]) -> None:
    gateway = start_gateway("--max-connection-age-s", "0.3", "--max-stream-age-s", "1.5")
    retries: list[float] = []
    began = time.monotonic()
    stream = GatewayStream(gateway.target, give_up_s=10, on_retry=lambda: retries.append(time.monotonic() - began))
    number = 0
    while len(retries) < 2:
        number += 1
        stream.send(request(scan(number)))
        assert stream.receive().response.file_id == 1
        time.sleep(0.03)
    stream.finish()
    stream.close()
    assert retries[0] > 1
    assert retries[1] > 2
    wait_calls(gateway, 3)
    ends = [line for line in gateway.log() if line["event"] == "call"]
    assert [line["code"] for line in ends] == ["UNAVAILABLE", "UNAVAILABLE", "OK"]
    assert all("greatest age" in line["reason"] for line in ends if line["code"] != "OK")
