"""Limits and strangers, as callers of a real gateway meet them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from queue import SimpleQueue

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from service.bench.load import Server
from service.client.stream import GatewayStream
from service.pb.epcsentinel.v1 import anomaly_pb2 as pb
from service.security.jwt_keys import LEEWAY_S
from tests.support.gateway import SERVICE, Gateway
from tests.support.processes import wait_for
from tests.support.requests import call, crowd, many, request, scan
from tests.support.secrets import AUDIENCE, ISSUER, bearer, jwks, key_entry, new_jwt, new_token
from tests.support.wire import header_frames, recording_proxy

BODY = request(scan(1)).SerializeToString()

STREAM = f"/{SERVICE}/AnalyzeStream"


def refused(target: str, body: bytes = BODY, metadata: tuple[tuple[str, str], ...] = ()) -> grpc.RpcError | None:
    try:
        call(target, "Analyze", body, metadata=metadata)
    except grpc.RpcError as error:
        return error
    return None


def retry_s(error: grpc.RpcError) -> float:
    """Return the delay of the error's RetryInfo."""
    status = rpc_status.from_call(error)
    assert status is not None
    info = error_details_pb2.RetryInfo()
    assert status.details[0].Unpack(info)
    return float(info.retry_delay.ToNanoseconds() / 1e9)


def test_a_caller_over_his_rate_is_told_when_to_retry_and_others_are_not_held_up(
    start_gateway: Callable[..., Gateway], tmp_path: Path
) -> None:
    one, two = new_token(), new_token()
    (tmp_path / "keys.toml").write_text(key_entry("one", one, "analyze") + key_entry("two", two, "analyze"))
    gateway = start_gateway(
        "--auth-keys", str(tmp_path / "keys.toml"), "--rate-limit-events-per-s", "10", "--rate-limit-burst-s", "50"
    )
    body = many(2_000, pb.DETECTOR_RULES).SerializeToString()
    assert refused(gateway.target, body, bearer(one)) is None
    error = refused(gateway.target, body, bearer(one))
    assert error is not None
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert error.details() == "more than 10 events per second"
    assert 100 < retry_s(error) <= 200
    assert refused(gateway.target, body, bearer(two)) is None
    with grpc.insecure_channel(gateway.target) as channel, pytest.raises(grpc.RpcError) as caught:
        list(channel.stream_stream(STREAM)(iter([BODY]), metadata=bearer(one)))
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_the_retries_of_grpc_wait_as_long_as_the_gateway_says(start_gateway: Callable[..., Gateway]) -> None:
    gateway = start_gateway("--rate-limit-calls-per-s", "0.5", "--rate-limit-burst-s", "2")
    policy = {
        "maxAttempts": 3,
        "initialBackoff": "0.01s",
        "maxBackoff": "0.01s",
        "backoffMultiplier": 1,
        "retryableStatusCodes": ["RESOURCE_EXHAUSTED"],
    }
    config = json.dumps({"methodConfig": [{"name": [{}], "retryPolicy": policy}]})
    with grpc.insecure_channel(gateway.target, options=[("grpc.service_config", config)]) as channel:
        analyze = channel.unary_unary(f"/{SERVICE}/Analyze")

        def codes() -> list[str]:
            return [line["code"] for line in gateway.log() if line["event"] in ("call", "refused")]

        while "RESOURCE_EXHAUSTED" not in codes():  # on a slow machine two seconds may pass between two calls
            analyze(BODY, timeout=30)  # backoff alone would try three times within 30 ms
    wait_for(lambda: codes()[-2:] == ["RESOURCE_EXHAUSTED", "OK"])
    assert codes().count("RESOURCE_EXHAUSTED") == 1


def test_calls_per_second_are_refused_before_the_request_is_read_and_trailers_only(
    start_gateway: Callable[..., Gateway],
) -> None:
    gateway = start_gateway("--rate-limit-calls-per-s", "0.01", "--rate-limit-burst-s", "100")
    assert refused(gateway.target) is None
    with recording_proxy(gateway.target) as (target, received):
        error = refused(target, b"not even a message")
    assert error is not None
    assert (error.code(), error.details()) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "more than 0.01 calls per second")
    assert header_frames(received) == 1
    assert gateway.health() == "SERVING", "probes are not counted"


def test_calls_and_streams_at_a_time(start_gateway: Callable[..., Gateway]) -> None:
    gateway = start_gateway("--max-calls", "2", "--max-streams-per-caller", "2")
    body = many(30_000, pb.DETECTOR_RULES).SerializeToString()
    answered, refusals = crowd(gateway.target, body, callers=8)
    assert answered >= 2, "those who had the two slots"
    assert {error.code() for error in refusals} == {grpc.StatusCode.RESOURCE_EXHAUSTED}
    assert refused(gateway.target, body) is None, "slots were given back"
    with grpc.insecure_channel(gateway.target) as channel, ExitStack() as held:
        streams = []
        for _ in range(2):
            requests: SimpleQueue[bytes | None] = SimpleQueue()
            streams.append(channel.stream_stream(STREAM)(iter(requests.get, None)))
            held.callback(requests.put, None)
            requests.put(BODY)
            next(streams[-1])
        with pytest.raises(grpc.RpcError) as caught:
            list(channel.stream_stream(STREAM)(iter([BODY])))
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert caught.value.details() == "more than 2 streams of one caller at a time"
        assert refused(gateway.target) is None, "calls and streams are counted apart"


def test_a_stream_ends_at_its_age_and_the_client_goes_on_in_a_new_one(start_gateway: Callable[..., Gateway]) -> None:
    gateway = start_gateway("--max-stream-age-s", "0.6")
    retries: list[float] = []
    started = time.monotonic()
    stream = GatewayStream(gateway.target, give_up_s=10, on_retry=lambda: retries.append(time.monotonic() - started))
    answers = 0
    while len(retries) < 3:
        answers += 1
        stream.send(request(scan(answers)))
        assert stream.receive().response.file_id == 1
        time.sleep(0.02)
    stream.finish()
    stream.close()
    assert all(moment > 0.5 * (number + 1) for number, moment in enumerate(retries)), "not before its age"
    lines = [line for line in gateway.log() if line["event"] == "call" and line["code"] == "UNAVAILABLE"]
    assert "greatest age" in lines[0]["reason"]
    wait_for(lambda: sum(line["events"] for line in gateway.log() if line["event"] == "call") >= answers)


def test_a_stream_ends_with_the_token_it_was_opened_with(start_gateway: Callable[..., Gateway], tmp_path: Path) -> None:
    signer = ec.generate_private_key(ec.SECP256R1())
    (tmp_path / "jwks.json").write_text(jwks(a=signer))
    given = ("--auth-jwks", str(tmp_path / "jwks.json"), "--auth-issuer", ISSUER, "--auth-audience", AUDIENCE)
    gateway = start_gateway(*given)

    def slowly() -> Iterator[bytes]:
        while True:
            yield BODY
            time.sleep(0.05)

    token = new_jwt(signer, exp=int(time.time() - LEEWAY_S) + 2)
    with grpc.insecure_channel(gateway.target) as channel, pytest.raises(grpc.RpcError) as caught:
        list(channel.stream_stream(STREAM)(slowly(), timeout=60, metadata=bearer(token)))
    assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_what_strangers_send_is_not_taken_in(start_gateway: Callable[..., Gateway], tmp_path: Path) -> None:
    """gRPC reads the message of a unary call before its handler runs: 40 times 30 MB would be here, for nothing."""
    (tmp_path / "keys.toml").write_text(key_entry("one", new_token(), "analyze"))
    gateway = start_gateway("--auth-keys", str(tmp_path / "keys.toml"))
    server = Server(gateway.target, gateway.pid)
    before_mib = server.peak_rss_mib()
    body = bytes(30_000_000)
    with ThreadPoolExecutor(8) as pool:
        errors = list(pool.map(lambda _: refused(gateway.target, body), range(40)))
    assert {error.code() for error in errors if error} == {grpc.StatusCode.UNAUTHENTICATED}
    assert server.peak_rss_mib() - before_mib < 25
