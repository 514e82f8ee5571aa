"""Traces as a collector gets them: a real exporter, a real Triton, and the caller's context through both."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as otlp
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as otlp_grpc
from opentelemetry.proto.trace.v1 import trace_pb2

from service.monitoring.span_exporter import _EXPORT_S
from service.runtime.timing import STAGES
from tests.servers import relay as tcp
from tests.servers.prometheus import BINARY, MISSING, Prometheus
from tests.servers.triton.fixture import TritonServer
from tests.support.gateway import Gateway
from tests.support.processes import wait_for
from tests.support.requests import call, many

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
CALLER = (("traceparent", f"00-{TRACE}-{SPAN}-01"), ("x-request-id", "mine"))


class Collector(otlp_grpc.TraceServiceServicer):
    """The OTLP service of a collector: keeps what it gets."""

    def __init__(self) -> None:
        self.spans: list[trace_pb2.Span] = []
        self.answers = threading.Event()
        self.answers.set()

    def Export(self, request: Any, context: Any) -> Any:  # noqa: ANN401, ARG002, N802 - the stubs have no types
        self.answers.wait()
        for resource in request.resource_spans:
            assert [a.value.string_value for a in resource.resource.attributes if a.key == "service.name"] == [
                "epc-sentinel"
            ]
            self.spans += [span for scope in resource.scope_spans for span in scope.spans]
        return otlp.ExportTraceServiceResponse()

    def named(self, ending: str) -> list[trace_pb2.Span]:
        return [span for span in self.spans if span.name.endswith(ending)]


@contextmanager
def serving(add: Callable[[grpc.Server], None]) -> Iterator[str]:
    server = grpc.server(futures.ThreadPoolExecutor(4))
    add(server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(1).wait()


@pytest.fixture
def collector() -> Iterator[tuple[Collector, str]]:
    found = Collector()
    with serving(lambda server: otlp_grpc.add_TraceServiceServicer_to_server(found, server)) as target:
        yield found, f"http://{target}"
        found.answers.set()


class Relay(grpc.GenericRpcHandler):
    """Passes unary calls on to the real server, and keeps their metadata."""

    def __init__(self, target: str) -> None:
        self._channel = grpc.insecure_channel(target)
        self.metadata: list[dict[str, str]] = []

    def service(self, details: Any) -> Any:  # noqa: ANN401 - as gRPC has it
        def forward(body: bytes, _context: object) -> bytes:
            if details.method.endswith("/ModelInfer"):
                self.metadata.append({key: value for key, value in details.invocation_metadata if key == "traceparent"})
            return bytes(self._channel.unary_unary(details.method)(body, timeout=30))

        return grpc.unary_unary_rpc_method_handler(forward)


def attributes(span: trace_pb2.Span) -> dict[str, object]:
    return {a.key: a.value.string_value or a.value.int_value for a in span.attributes}


def test_the_callers_trace_goes_through_to_triton(
    collector: tuple[Collector, str], bundled_repository: Path, start_gateway: Callable[..., Gateway]
) -> None:
    found, endpoint = collector
    with TritonServer(bundled_repository) as triton:
        relay = Relay(triton.url)
        with serving(lambda server: server.add_generic_rpc_handlers((relay,))) as between:
            flags = ("--backend", f"triton://{between}", "--tracing", endpoint, "--no-fallback")
            running = start_gateway(*flags)
            call(running.target, "Analyze", many(100).SerializeToString(), metadata=CALLER)
            running.stop()
    [request] = [span for span in found.named("/Analyze") if span.trace_id.hex() == TRACE]
    assert request.parent_span_id.hex() == SPAN
    assert request.kind == trace_pb2.Span.SPAN_KIND_SERVER
    said = attributes(request)
    assert (said["rpc.method"], said["rpc.grpc.status"]) == ("Analyze", "OK")
    assert (said["epc_sentinel.request_id"], said["epc_sentinel.events"]) == ("mine", 100)
    assert said["epc_sentinel.model_version"] == "epc_lstm/1"
    below = [span for span in found.spans if span.parent_span_id == request.span_id]
    assert {span.name for span in below} >= {*STAGES} - {"infer"}
    infer = [span for span in below if span.name.endswith("/ModelInfer")]
    assert infer
    sent = {f"00-{TRACE}-{span.span_id.hex()}-01" for span in infer}
    assert sent == {m["traceparent"] for m in relay.metadata if TRACE in m.get("traceparent", "")}
    assert len(found.named("/ModelInfer")) == len(infer)  # none of the probes
    for span in below:
        assert request.start_time_unix_nano <= span.end_time_unix_nano
        assert span.end_time_unix_nano <= request.end_time_unix_nano + 5_000_000


def test_spans_of_a_pass_lie_in_the_trace_of_one_of_its_requests(
    collector: tuple[Collector, str], start_gateway: Callable[..., Gateway]
) -> None:
    found, endpoint = collector
    running = start_gateway("--tracing", endpoint)
    bodies = [many(50).SerializeToString()] * 60
    with futures.ThreadPoolExecutor(6) as callers:  # a caller or more wait all the time: passes follow each other
        list(callers.map(lambda body: call(running.target, "Analyze", body), bodies))
    running.stop()
    requests = {span.span_id: span for span in found.named("/Analyze")}
    assert len(requests) == 60
    stages = [span for span in found.spans if span.name in STAGES]
    assert {span.name for span in stages} == set(STAGES)
    for span in stages:
        request = requests[span.parent_span_id]
        assert request.start_time_unix_nano <= span.start_time_unix_nano + 1_000_000
        assert span.end_time_unix_nano <= request.end_time_unix_nano + 5_000_000
    features = [span.parent_span_id for span in stages if span.name == "features"]
    assert len(set(features)) == len(features) > 10  # each pass in the trace of another request


def test_a_request_of_its_own_and_a_refused_one(
    collector: tuple[Collector, str], start_gateway: Callable[..., Gateway]
) -> None:
    found, endpoint = collector
    running = start_gateway("--tracing", endpoint)
    call(running.target, "Analyze", many(10).SerializeToString())
    with pytest.raises(grpc.RpcError):
        call(running.target, "Analyze", b"\xff")
    running.stop()
    good, bad = found.named("/Analyze")
    assert good.parent_span_id == bad.parent_span_id == b""
    assert good.trace_id != bad.trace_id
    assert (good.status.code, bad.status.code) == (
        trace_pb2.Status.STATUS_CODE_UNSET,
        trace_pb2.Status.STATUS_CODE_ERROR,
    )
    assert attributes(bad)["rpc.grpc.status"] == "INVALID_ARGUMENT"
    assert not bad.events  # no exception text in spans


def test_lines_of_the_log_name_the_trace(
    collector: tuple[Collector, str], start_gateway: Callable[..., Gateway]
) -> None:
    found, endpoint = collector
    running = start_gateway("--tracing", endpoint)
    body = many(10).SerializeToString()
    call(running.target, "Analyze", body, metadata=CALLER)
    call(running.target, "Analyze", body)
    with grpc.insecure_channel(running.target) as channel:
        list(channel.stream_stream("/epcsentinel.v1.AnomalyService/AnalyzeStream")(iter([body]), metadata=CALLER))
    running.terminate()
    running.wait()
    lines = running.log()
    first, second, stream = (line["trace_id"] for line in lines if line["event"] == "call")
    assert first == stream == TRACE
    assert {first, second} == {span.trace_id.hex() for span in found.named("/Analyze")}
    assert not [line for line in lines if line["event"] in ("listening", "ready", "draining") and "trace_id" in line]


def test_the_share_holds_for_requests_whose_callers_do_not_say(
    collector: tuple[Collector, str], start_gateway: Callable[..., Gateway]
) -> None:
    found, endpoint = collector
    running = start_gateway("--tracing", endpoint, "--tracing-share", "0")
    call(running.target, "Analyze", many(10).SerializeToString())
    call(running.target, "Analyze", many(10).SerializeToString(), metadata=CALLER)
    running.stop()
    assert [span.trace_id.hex() for span in found.named("/Analyze")] == [TRACE]


def test_a_collector_that_is_down_costs_no_answer(start_gateway: Callable[..., Gateway]) -> None:
    running = start_gateway("--tracing", "http://127.0.0.1:9")
    for _ in range(3):
        call(running.target, "Analyze", many(10).SerializeToString(), timeout=10)
    assert running.stop() == 0


@pytest.mark.needs(BINARY is not None, MISSING)
@pytest.mark.parametrize("workers", [(), ("--workers", "2", "--history", "none")], ids=["one", "workers"])
def test_the_time_of_a_request_leads_to_its_trace(
    collector: tuple[Collector, str], start_gateway: Callable[..., Gateway], workers: tuple[str, ...]
) -> None:
    running = start_gateway("--tracing", collector[1], "--metrics-port", "0", *workers)
    untraced = (("traceparent", f"00-{'1' * 32}-{SPAN}-00"),)
    for metadata in (untraced, CALLER):
        call(running.target, "Analyze", many(20).SerializeToString(), metadata=metadata)
    with Prometheus({f"127.0.0.1:{running.wait_log('listening')['metrics_port']}": {}}) as prometheus:
        buckets = "epc_sentinel_request_duration_seconds_bucket"
        found = {one["labels"]["trace_id"] for one in prometheus.exemplars(buckets)}
        assert found == {TRACE}
        [row] = prometheus.query("sum(epc_sentinel_request_duration_seconds_count)")
        assert float(row["value"][1]) == 2


def asked(gateway: Gateway, number: int) -> list[str]:
    """Make calls, none of which may wait for a collector, as long as an export may take; return their traces."""
    traces = [f"{at:032x}" for at in range(number, number + 20)]
    for trace in traces:
        began = time.monotonic()
        call(
            gateway.target,
            "Analyze",
            many(10).SerializeToString(),
            metadata=(("traceparent", f"00-{trace}-{SPAN}-01"),),
        )
        assert time.monotonic() - began < _EXPORT_S
    return traces


def got(found: Collector) -> list[str]:
    """Return the traces of all requests that arrived; one sent again, because its receipt was lost, counts once."""
    return sorted({span.span_id: span.trace_id.hex() for span in found.named("/Analyze")}.values())


def test_a_connection_that_goes_dead_loses_no_span_and_delays_no_call(
    collector: tuple[Collector, str], start_gateway: Callable[..., Gateway]
) -> None:
    found, endpoint = collector
    with tcp.Relay(endpoint.removeprefix("http://")) as line:
        running = start_gateway("--tracing", f"http://{line.address}", OTEL_BSP_SCHEDULE_DELAY="200")
        traces = asked(running, 1)
        wait_for(lambda: got(found) == traces)
        line.swallow()
        traces += asked(running, 100)
        wait_for(lambda: got(found) == traces)
        line.swallow()  # and while it stops
        traces += asked(running, 200)
        running.terminate()
        assert running.wait() == 0
        assert "no end in time" not in {line["event"] for line in running.log()}
    assert got(found) == traces


def test_a_collector_that_hangs_delays_no_stop(
    collector: tuple[Collector, str], start_gateway: Callable[..., Gateway]
) -> None:
    found, endpoint = collector

    def stops_soon() -> bool:
        # Batches are small: for each of them the stop would wait.
        running = start_gateway("--tracing", endpoint, OTEL_BSP_MAX_EXPORT_BATCH_SIZE="8")
        found.answers.set()
        asked(running, 1)
        found.answers.clear()
        asked(running, 100)
        began = time.monotonic()
        running.terminate()
        assert running.wait() == 0
        assert "no end in time" not in {line["event"] for line in running.log()}
        return time.monotonic() - began < 8

    assert any(stops_soon() for _ in range(3))  # one stop may be held up by other work of a busy machine
