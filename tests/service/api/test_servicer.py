"""The gateway as callers meet it: a real server process, real gRPC."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import grpc
import numpy as np
import pytest

from service.api.admission import Admission
from service.api.interceptor import build_interceptor
from service.api.servicer import AnomalyServicer
from service.detect.analyzer import Analyzer
from service.detect.detector import Detector, Judgement
from service.detect.names import DetectorName, Method
from service.events.vocabulary import KINDS
from service.explain.explainer import Explainer
from service.features.case import View
from service.monitoring.records import Watch
from service.pb.epcsentinel.v1 import anomaly_pb2 as pb
from service.runtime.deadline import NEVER, Deadline
from service.settings import Settings
from tests.support.gateway import Gateway
from tests.support.requests import analyze, call, many, request, scan
from tests.support.wire import fields_of, header_frames, recording_proxy
from tests.support.worlds import reference
from tests.tools.bad_input import CASES, Case

METHODS = [method.name for method in pb.DESCRIPTOR.services_by_name["AnomalyService"].methods]


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


def test_every_method_of_the_contract_has_a_handler() -> None:
    servicer = AnomalyServicer(analyzer(Broken()), Explainer(reference(), {}), admission=Admission(1, 1))
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


def analyzer(detector: Detector) -> Analyzer:
    return Analyzer({DetectorName.LSTM: detector}, reference())


@asynccontextmanager
async def serving(analyzer: Analyzer) -> AsyncIterator[grpc.aio.UnaryUnaryMultiCallable]:
    """Serve an analyzer in this process and give a client of Analyze."""
    server = grpc.aio.server(interceptors=[build_interceptor(Settings(), Watch())])
    servicer = AnomalyServicer(analyzer, Explainer(reference(), {}), admission=Admission(100, 1_000))
    server.add_generic_rpc_handlers((servicer.handler(),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield channel.unary_unary("/epcsentinel.v1.AnomalyService/Analyze")
    await server.stop(None)


def test_a_bug_reaches_the_caller_as_an_id_only() -> None:
    async def scenario() -> None:
        async with serving(analyzer(Broken())) as client:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await client(request(scan(1)).SerializeToString(), metadata=(("x-request-id", "ask-7"),))
            assert caught.value.code() is grpc.StatusCode.INTERNAL
            assert caught.value.details() == "internal error, id ask-7"

    asyncio.run(scenario())


def test_the_callers_deadline_reaches_the_detector_and_his_leaving_cancels_it() -> None:
    async def scenario() -> None:
        patient = Patient()
        async with serving(analyzer(patient)) as client:
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
