"""The gateway as callers meet it: a real server process, real gRPC."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import grpc
import numpy as np
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from structlog.testing import capture_logs

from service.api.admission import Admission
from service.api.interceptor import build_interceptor
from service.api.servicer import AnomalyServicer
from service.api.status import CODES, status_of
from service.detect.analyzer import Analyzer
from service.detect.detector import Judgement
from service.detect.names import DetectorName, Method
from service.errors import InvalidRequest, ModelRepositoryError, Overloaded, SentinelError
from service.events.vocabulary import KINDS
from service.features.case import View
from service.gateway.server import _ended
from service.monitoring.records import Watch
from service.pb.epcsentinel.v1 import anomaly_pb2 as pb
from service.runtime.deadline import NEVER, Deadline
from service.settings import Settings
from tests.servers.triton.fixture import TritonServer
from tests.support.gateway import Gateway
from tests.support.processes import free_ports
from tests.support.requests import Metadata, call, many, request, scan
from tests.support.wire import fields_of, header_frames, recording_proxy
from tests.tools.bad_input import CASES, Case

METHODS = [method.name for method in pb.DESCRIPTOR.services_by_name["AnomalyService"].methods]


def analyze(target: str, body: pb.AnalyzeRequest, metadata: Metadata = ()) -> pb.AnalyzeResponse:
    return pb.AnalyzeResponse.FromString(call(target, "Analyze", body.SerializeToString(), metadata=metadata))


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.name} {case.method}")
def test_bad_input(gateway: Gateway, case: Case) -> None:
    if case.code is grpc.StatusCode.OK:
        raw = call(gateway.target, case.method, case.body)
        if case.method == "Analyze":
            history = pb.AnalyzeResponse.FromString(raw).event_history
            assert all(getattr(history[0], {"epcFake": "epc_fake"}[kind]) for kind in case.kinds)
    else:
        with pytest.raises(grpc.RpcError) as caught:
            call(gateway.target, case.method, case.body)
        assert caught.value.code() is case.code
        assert case.says in caught.value.details()
        assert fields_of(caught.value) == list(case.fields)
    assert gateway.health() == "SERVING"


def test_a_thousand_violations_fit_into_the_trailers_of_common_clients(gateway: Gateway) -> None:
    body = request(*(scan(1) for _ in range(1001))).SerializeToString()
    with pytest.raises(grpc.RpcError) as caught:
        call(gateway.target, "Analyze", body)
    fields = fields_of(caught.value)
    assert fields[:2] == ["data[1].event_id", "data[2].event_id"]
    assert fields[-1] == "request"
    assert "and 997 more" in caught.value.details()
    assert sum(len(key) + len(value) for key, value in caught.value.trailing_metadata()) * 4 / 3 < 8_000


def test_the_limit_on_bytes_is_the_servers_own_error(start_gateway: Callable[..., Gateway]) -> None:
    small = start_gateway("--max-message-bytes", "2000")
    with pytest.raises(grpc.RpcError) as caught:
        analyze(small.target, many(100))
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert analyze(small.target, many(5)).file_id == 1


def test_analyze_files_answers_file_by_file(gateway: Gateway) -> None:
    body = request(scan(1, file_id=9), scan(2, file_id=4), scan(3, file_id=9)).SerializeToString()
    response = pb.AnalyzeFilesResponse.FromString(call(gateway.target, "AnalyzeFiles", body))
    assert [answer.file_id for answer in response.files] == [9, 4]
    assert all(answer.method == "lstm-deep-learning" for answer in response.files)


def test_rules_are_a_detector(gateway: Gateway) -> None:
    response = analyze(gateway.target, request(scan(1, epc_code="forged"), detector=pb.DETECTOR_RULES))
    assert (response.method, response.model_version, response.warning) == ("rule-based", "", "")
    assert response.event_history[0].epc_fake
    assert not response.event_history[0].HasField("jump")


def test_one_class_svms_are_a_detector(gateway: Gateway) -> None:
    response = analyze(gateway.target, request(scan(1, epc_code="forged"), scan(2), detector=pb.DETECTOR_SVM))
    assert (response.method, response.model_version, response.warning) == ("svm-one-class", "epc_svm/1", "")
    assert response.event_history[0].epc_fake
    assert response.event_history[0].epc_fake_score >= 99


@pytest.mark.parametrize("method", ["Explain"])
def test_methods_to_come_are_unimplemented(gateway: Gateway, method: str) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        call(gateway.target, method, b"", timeout=10)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert method in caught.value.details()


def test_every_method_of_the_contract_has_a_handler() -> None:
    servicer = AnomalyServicer(Analyzer({DetectorName.LSTM: Broken()}), admission=Admission(1, 1))
    assert sorted(METHODS) == sorted(servicer.handlers())


def test_health_is_per_service(gateway: Gateway) -> None:
    assert [gateway.health(name) for name in ("", "epcsentinel.v1.AnomalyService")] == ["SERVING", "SERVING"]
    assert gateway.health("no.such.Service") == "UNREACHABLE"


def test_each_call_writes_one_line_without_codes(gateway: Gateway) -> None:
    analyze(gateway.target, request(scan(1, epc_code="SECRET-CODE")), metadata=(("x-request-id", "ask-1"),))
    [line] = [line for line in gateway.log() if line.get("request_id") == "ask-1"]
    assert line["event"] == "call"
    assert (line["method"], line["code"], line["events"], line["epcs"]) == ("Analyze", "OK", 1, 1)
    assert line["findings"] >= 1
    assert line["duration_ms"] > 0
    assert "SECRET-CODE" not in str(gateway.log())


# ---------------------------------------------------------------- the model server is away
@pytest.mark.parametrize("detector", [pb.DETECTOR_LSTM, pb.DETECTOR_SVM, pb.DETECTOR_ENSEMBLE])
def test_rules_answer_for_a_model_server_that_is_down(
    start_gateway: Callable[..., Gateway], bundled_repository: Path, detector: pb.Detector.ValueType
) -> None:
    down = start_gateway(
        "--backend", f"triton://127.0.0.1:{free_ports(1)[0]}", "--model-repository", str(bundled_repository)
    )
    response = analyze(down.target, request(scan(1, epc_code="forged"), detector=detector))
    assert response.method == "rule-based-fallback"
    assert "model server cannot be reached" in response.warning
    assert response.event_history[0].epc_fake
    for event in ("degraded", "svm degraded"):
        assert "model server" in down.wait_log(event)["reason"]


def test_without_fallback_a_model_server_that_is_down_is_unavailable(
    start_gateway: Callable[..., Gateway], bundled_repository: Path
) -> None:
    down = start_gateway(
        "--backend", f"triton://127.0.0.1:{free_ports(1)[0]}", "--model-repository", str(bundled_repository),
        "--no-fallback", ready=False,
    )  # fmt: skip
    with pytest.raises(grpc.RpcError) as caught:
        analyze(down.target, request(scan(1)))
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert "model server" in caught.value.details()
    assert analyze(down.target, request(scan(1), detector=pb.DETECTOR_RULES)).method == "rule-based"
    assert down.health() == down.health("") == "NOT_SERVING"


def test_the_gateway_follows_a_model_server_that_comes_and_goes(
    start_gateway: Callable[..., Gateway], bundled_repository: Path
) -> None:
    triton = TritonServer(bundled_repository)
    running = start_gateway(
        "--backend", f"triton://{triton.url}", "--model-repository", str(bundled_repository), "--no-fallback",
        "--probe-interval-s", "0.2", ready=False,
    )  # fmt: skip
    assert running.health() == "NOT_SERVING"
    with triton:
        running.wait_health("SERVING")
        assert analyze(running.target, many(20)).method == "lstm-deep-learning"
        assert analyze(running.target, many(20, pb.DETECTOR_SVM)).method == "svm-one-class"
    running.wait_health("NOT_SERVING")


# ---------------------------------------------------------------- drain
def test_sigterm_loses_no_call_in_flight_and_watchers_do_not_hold_it_up(start_gateway: Callable[..., Gateway]) -> None:
    running = start_gateway("--drain-s", "20")
    body = many(20_000, pb.DETECTOR_RULES).SerializeToString()
    with ThreadPoolExecutor() as pool, watching(running.target) as states:
        calls = [pool.submit(call, running.target, "Analyze", body) for _ in range(4)]
        calls[0].exception()  # one is answered: the others have reached the server
        running.terminate()
        assert all(pb.AnalyzeResponse.FromString(one.result()).file_id == 1 for one in calls)
        assert running.wait() == 0
    assert states == ["SERVING", "NOT_SERVING"]
    with pytest.raises(grpc.RpcError) as caught:
        call(running.target, "Analyze", b"", timeout=5)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


def test_drain_ends_when_its_time_is_over(start_gateway: Callable[..., Gateway]) -> None:
    running = start_gateway("--drain-s", "0")
    body = many(50_000).SerializeToString()
    with ThreadPoolExecutor() as pool:
        calls = [pool.submit(call, running.target, "Analyze", body) for _ in range(6)]
        calls[0].exception()
        running.terminate()
        assert running.wait() == 0
        failures = [error for one in calls if isinstance(error := one.exception(), grpc.RpcError)]
    assert failures
    assert {failure.code() for failure in failures} <= {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
    [line] = [line for line in running.log() if line["event"] == "drain time is over"]
    assert line["cut_off"] > 0


def test_what_does_not_end_keeps_no_gateway_from_its_end() -> None:
    async def scenario() -> None:
        with capture_logs() as lines:
            await _ended("ends", asyncio.sleep(0), 60)
            await _ended("never ends", asyncio.Event().wait(), 0.1)
        assert [(line["event"], line["what"]) for line in lines] == [("no end in time", "never ends")]
        with pytest.raises(ZeroDivisionError):
            await _ended("fails", asyncio.to_thread(lambda: 1 / 0), 60)

    asyncio.run(asyncio.wait_for(scenario(), 30))


@contextmanager
def watching(target: str) -> Iterator[list[str]]:
    """Collect the health states that a watcher is told."""
    states: list[str] = []
    first = threading.Event()

    def watch(stub: health_pb2_grpc.HealthStub) -> None:
        try:
            for answer in stub.Watch(health_pb2.HealthCheckRequest()):
                states.append(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))
                first.set()
        except grpc.RpcError:
            pass  # the server stopped

    with grpc.insecure_channel(target) as channel:
        thread = threading.Thread(target=watch, args=(health_pb2_grpc.HealthStub(channel),))
        thread.start()
        assert first.wait(10)
        yield states
        thread.join(10)


def test_a_port_in_use_is_one_line_not_a_shared_port(gateway: Gateway) -> None:
    port = gateway.target.rpartition(":")[2]
    with pytest.raises(RuntimeError, match="error: cannot listen on 127"):
        Gateway("--port", port)


# ---------------------------------------------------------------- errors
def gateway_errors() -> list[type[SentinelError]]:
    """Return the errors that the gateway defines; the training side has more, if a test has imported it."""
    found = [SentinelError]
    for kind in found:
        found += kind.__subclasses__()
    return [kind for kind in found[1:] if kind.__module__.startswith("service.")]


def test_the_map_of_errors_is_complete() -> None:
    assert set(CODES) == set(gateway_errors())


@pytest.mark.parametrize("error", [RuntimeError("/secret/path"), ModelRepositoryError("/secret/path"), KeyError("epc")])
def test_internal_errors_show_nothing_of_themselves(error: Exception) -> None:
    status = status_of(error, "id-1")
    assert (status.code, status.message, status.trailers) == (grpc.StatusCode.INTERNAL, "internal error, id id-1", ())


def test_overload_says_when_to_retry() -> None:
    status = status_of(Overloaded("too many calls", retry_after_s=2.5), "id-1")
    [retry] = status.details
    assert status.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert isinstance(retry, error_details_pb2.RetryInfo)
    assert retry.retry_delay.ToMilliseconds() == 2500


def test_one_huge_violation_is_still_reported() -> None:
    [detail] = status_of(InvalidRequest([("data", "x" * 5000)]), "id-1").details
    assert isinstance(detail, error_details_pb2.BadRequest)


class Broken:
    """A detector with a bug."""

    async def judge(self, view: View, deadline: Deadline) -> Judgement:  # noqa: ARG002 (of the protocol)
        raise RuntimeError("/secret/path")


class Patient:
    """A detector that notes its time limit, and never finishes if it has none."""

    def __init__(self) -> None:
        self.timeouts: list[float | None] = []
        self.cancelled = asyncio.Event()

    async def judge(self, view: View, deadline: Deadline) -> Judgement:
        self.timeouts.append(deadline.left_s)
        if deadline is NEVER:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.cancelled.set()
                raise
        shape = (len(view), len(KINDS))
        return Judgement(np.zeros(shape, np.float32), np.zeros(shape, np.bool_), Method.LSTM)


@asynccontextmanager
async def serving(analyzer: Analyzer) -> AsyncIterator[grpc.aio.UnaryUnaryMultiCallable]:
    """Serve an analyzer in this process and give a client of Analyze."""
    server = grpc.aio.server(interceptors=[build_interceptor(Settings(), Watch())])
    server.add_generic_rpc_handlers((AnomalyServicer(analyzer, admission=Admission(100, 1_000)).handler(),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel.unary_unary("/epcsentinel.v1.AnomalyService/Analyze")
    await server.stop(None)


def test_a_bug_reaches_the_caller_as_an_id_only() -> None:
    async def scenario() -> None:
        async with serving(Analyzer({DetectorName.LSTM: Broken()})) as client:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await client(request(scan(1)).SerializeToString(), metadata=(("x-request-id", "ask-7"),))
            assert caught.value.code() is grpc.StatusCode.INTERNAL
            assert caught.value.details() == "internal error, id ask-7"

    asyncio.run(scenario())


def test_the_callers_deadline_reaches_the_detector_and_his_leaving_cancels_it() -> None:
    async def scenario() -> None:
        patient = Patient()
        async with serving(Analyzer({DetectorName.LSTM: patient})) as client:
            await client(request(scan(1)).SerializeToString(), timeout=30)
            assert patient.timeouts[0] is not None
            assert 20 < patient.timeouts[0] < 31  # gRPC rounds it up on the wire
            leaving = client(request(scan(1)).SerializeToString())
            while len(patient.timeouts) < 2:
                await asyncio.sleep(0.01)
            leaving.cancel()
            await asyncio.wait_for(patient.cancelled.wait(), 10)
            assert patient.timeouts[1] is None

    asyncio.run(scenario())


def test_errors_go_out_trailers_only(gateway: Gateway) -> None:
    """A proxy may retry a call elsewhere only if no initial metadata was sent: one HEADERS frame, not two."""
    with recording_proxy(gateway.target) as (target, received):
        analyze(target, request(scan(1)))
        assert header_frames(received) == 2
    with recording_proxy(gateway.target) as (target, received), pytest.raises(grpc.RpcError):
        analyze(target, request())
    assert header_frames(received) == 1
