"""The border of the server: no error of any service shows internals, and nothing is inflated."""

from __future__ import annotations

import grpc
import pytest

from service.bench.load import Server
from tests.support.gateway import SERVICE, Gateway
from tests.support.requests import call, many, request, scan
from tests.support.wire import header_frames, recording_proxy

BODY = request(scan(1)).SerializeToString()
HEALTH = "/grpc.health.v1.Health/Check"
REFLECTION = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"


@pytest.mark.parametrize("path", [HEALTH, "/grpc.health.v1.Health/Watch", REFLECTION])
def test_bytes_that_are_no_message_are_an_invalid_argument_of_any_service(gateway: Gateway, path: str) -> None:
    with grpc.insecure_channel(gateway.target) as channel, pytest.raises(grpc.RpcError) as caught:
        list(channel.stream_stream(path)(iter([b"\xff\xff\xff"]), timeout=10))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert caught.value.details() == "request: is not a valid message of this method"


def test_a_unary_call_without_a_message_is_an_invalid_argument(gateway: Gateway) -> None:
    with grpc.insecure_channel(gateway.target) as channel, pytest.raises(grpc.RpcError) as caught:
        list(channel.stream_stream(f"/{SERVICE}/Analyze")(iter([]), timeout=10))
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert caught.value.details() == "request: is missing: send one message"


def test_an_unknown_method_is_unimplemented_trailers_only_and_its_name_is_not_logged(gateway: Gateway) -> None:
    with recording_proxy(gateway.target) as (target, received), pytest.raises(grpc.RpcError) as caught:
        call(target, "Odd-Name-99", BODY)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert header_frames(received) == 1
    assert "Odd-Name-99" not in str(gateway.log())


def test_callers_who_leave_before_they_have_read_everything_leave_no_traceback(gateway: Gateway) -> None:
    with grpc.insecure_channel(gateway.target) as channel:
        for _ in range(30):
            answers = channel.stream_stream(REFLECTION)(iter([b"\x3a\x00"] * 300), timeout=20)
            next(answers)
            answers.cancel()
    assert gateway.health() == "SERVING"
    assert not [line for line in gateway.log() if line["level"] == "error"]


def test_compressed_messages_are_not_inflated(gateway: Gateway) -> None:
    """A hundred megabytes of zeros are a tenth of one on the wire, and gRPC checks the size of what it has inflated."""
    server = Server(gateway.target, gateway.pid)
    call(gateway.target, "Analyze", many(1000).SerializeToString())
    before_mib = server.peak_rss_mib()
    with (
        grpc.insecure_channel(gateway.target, [("grpc.max_send_message_length", -1)]) as channel,
        pytest.raises(grpc.RpcError) as caught,
    ):
        channel.unary_unary(f"/{SERVICE}/Analyze")(bytes(100_000_000), compression=grpc.Compression.Gzip, timeout=60)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert server.peak_rss_mib() - before_mib < 20
