"""Health, as those meet it who decide by it whether a gateway lives: nobody takes their room."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from threading import Event

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.support.gateway import Gateway

NAMES = ("", "epcsentinel.v1.AnomalyService", "liveness")


@contextmanager
def connected(port: int) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(f"127.0.0.1:{port}", [("grpc.use_local_subchannel_pool", 1)]) as channel:
        yield channel


def ask(channel: grpc.Channel, service: str = "") -> int:
    answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(service=service), timeout=10)
    return int(answer.status)


def first(watch: Iterator[health_pb2.HealthCheckResponse]) -> str:
    """Return what a watcher is told first, or how it ends."""
    try:
        return str(health_pb2.HealthCheckResponse.ServingStatus.Name(next(watch).status))
    except grpc.RpcError as error:
        return str(error.code().name)


def ports(gateway: Gateway) -> tuple[int, int]:
    """Return the port that serves, and the one of health alone."""
    line = gateway.wait_log("listening")
    return int(line["port"]), int(line["health_port"])


@pytest.fixture
def gateway(start_gateway: Callable[..., Gateway]) -> Gateway:
    return start_gateway("--health-port", "0")


@pytest.mark.parametrize("at", [0, 1], ids=["port", "health port"])
def test_watchers_take_no_room_from_checks_and_few_are_of_one_address(gateway: Gateway, at: int) -> None:
    with ExitStack() as stack:
        channels = [stack.enter_context(connected(ports(gateway)[at])) for _ in range(101)]
        asked = health_pb2.HealthCheckRequest()
        watches = [health_pb2_grpc.HealthStub(channel).Watch(asked, timeout=60) for channel in channels]
        assert Counter(map(first, watches)) == {"SERVING": 8, "RESOURCE_EXHAUSTED": 93}
        for port in ports(gateway):
            with connected(port) as channel:
                assert {ask(channel, name) for name in NAMES} == {health_pb2.HealthCheckResponse.SERVING}


def test_a_check_whose_message_never_comes_gives_its_room_back(gateway: Gateway) -> None:
    for port in ports(gateway):
        over = Event()

        def never(over: Event = over) -> Iterator[bytes]:
            over.wait()
            yield from ()

        with connected(port) as channel:
            check = channel.stream_unary("/grpc.health.v1.Health/Check")
            calls = [check.future(never(), timeout=60) for _ in range(12)]
            began = time.monotonic()
            codes = [call.code() for call in calls]
            over.set()
            assert codes.count(grpc.StatusCode.DEADLINE_EXCEEDED) == 10
            assert codes.count(grpc.StatusCode.RESOURCE_EXHAUSTED) == 2
            assert time.monotonic() - began < 20
            assert ask(channel) == health_pb2.HealthCheckResponse.SERVING


def test_a_gateway_whose_model_is_away_is_alive_and_not_ready(start_gateway: Callable[..., Gateway]) -> None:
    away = start_gateway("--backend", "triton://127.0.0.1:9", "--no-fallback", ready=False)
    assert [away.health(name) for name in NAMES] == ["NOT_SERVING", "NOT_SERVING", "SERVING"]
    assert away.health("another") == "UNREACHABLE"


def test_a_gateway_that_drains_is_not_alive(gateway: Gateway) -> None:
    with connected(ports(gateway)[0]) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service="liveness"), timeout=60)
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
        gateway.terminate()
        assert next(watch).status == health_pb2.HealthCheckResponse.NOT_SERVING
