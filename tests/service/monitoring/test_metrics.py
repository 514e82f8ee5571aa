"""Metrics: what a gateway counts, and how it names it."""

from __future__ import annotations

import math
import socket
from collections.abc import Callable, Iterator
from contextlib import closing

import grpc
import numpy as np
import pytest

from service.detect.coverage import Coverage
from service.detect.detector import Judgement
from service.detect.names import Method
from service.monitoring.metrics import Metrics
from service.monitoring.records import Analysis
from service.pb.epcsentinel.v1 import anomaly_pb2 as pb
from service.runtime.timing import STAGES
from tests.support.gateway import Gateway
from tests.support.observed import samples, scrape, value
from tests.support.requests import call, many, request, scan

MODEL = "epc_lstm/1"


@pytest.fixture(scope="module")
def measured() -> Iterator[Gateway]:
    with Gateway("--metrics-port", "0") as running:
        yield running


def test_calls_events_findings_and_scores_are_counted(measured: Gateway) -> None:
    before = samples(scrape(measured))
    body = request(*(scan(at, epc_code="forged") for at in range(7))).SerializeToString()
    for _ in range(3):
        call(measured.target, "Analyze", body)
    with pytest.raises(grpc.RpcError):
        call(measured.target, "Analyze", b"")
    with pytest.raises(grpc.RpcError):
        call(measured.target, "Explain", b"")
    with grpc.insecure_channel(measured.target) as channel:
        stream = channel.stream_stream("/epcsentinel.v1.AnomalyService/AnalyzeStream")
        assert len(list(stream(iter([body, body])))) == 2
    after = samples(scrape(measured))

    def more(name: str, **labels: str) -> float:
        was = value(before, name, **labels)
        return value(after, name, **labels) - (0 if math.isnan(was) else was)

    assert more("requests_total", method="Analyze", code="OK") == 3
    assert more("requests_total", method="Analyze", code="INVALID_ARGUMENT") == 1
    assert more("requests_total", method="AnalyzeStream", code="OK") == 2
    assert more("calls_total", method="AnalyzeStream", code="OK") == 1
    assert more("calls_total", method="Explain", code="INVALID_ARGUMENT") == 1
    assert more("request_duration_seconds_count", method="Analyze") == 4
    assert more("events_total", model_version=MODEL) == 35
    assert more("findings_total", kind="epcFake", model_version=MODEL) == 35
    assert more("score_count", kind="epcFake") == 35
    assert more("score_bucket", kind="epcFake", le="0.95") == 0
    assert more("score_sum", kind="epcFake") > 35 * 0.98
    assert all(more("stage_duration_seconds_count", stage=stage) >= 5 for stage in STAGES)
    assert more("stage_cpu_seconds_total", stage="features") > 0
    assert value(after, "calls_in_flight") == value(after, "events_in_flight") == 0
    assert 0 < value(after, "history_events") <= 35
    assert value(after, "model_info", model_version=MODEL) == 1
    assert value(after, "dependency_up", dependency="model") == 1
    assert value(after, "dependency_up", dependency="history") == 1
    assert more("fallback_answers_total") == 0
    assert after["process_resident_memory_bytes", frozenset()] > 1e6


def test_what_the_rules_judge_is_no_ones_model(measured: Gateway) -> None:
    before = value(samples(scrape(measured)), "events_total", model_version="rules")
    call(measured.target, "Analyze", many(10, pb.DETECTOR_RULES).SerializeToString())
    assert value(samples(scrape(measured)), "events_total", model_version="rules") - np.nan_to_num(before) == 10


def test_a_model_that_is_down_shows(start_gateway: Callable[..., Gateway]) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        nobody = free.getsockname()[1]
    running = start_gateway("--metrics-port", "0", "--backend", f"triton://127.0.0.1:{nobody}")
    call(running.target, "Analyze", many(10).SerializeToString())
    found = samples(scrape(running))
    assert value(found, "dependency_up", dependency="model") == 0
    assert value(found, "fallback_answers_total") == value(found, "degraded_answers_total") == 1
    assert value(found, "events_total", model_version="rules") == 10


def test_scores_fall_into_the_buckets_of_their_kind() -> None:
    metrics = Metrics()
    rng = np.random.default_rng(1)
    given = rng.random((1_000, 5), dtype=np.float32) ** np.arange(1, 6, dtype=np.float32)
    given[0] = (0.0, 1.0, 0.5, 0.01, 0.99)  # on the bounds, which belong to the bucket below
    for part in np.array_split(given, 7):
        metrics._scores.add("m/1", part)
    [family] = metrics._scores.collect()
    for sample in family.samples:
        column = given[:, ["epcFake", "epcDup", "locErr", "evtOrderErr", "jump"].index(sample.labels["kind"])]
        if sample.name.endswith("_bucket"):
            assert sample.value == (column <= np.float32(sample.labels["le"])).sum()
        elif sample.name.endswith("_count"):
            assert sample.value == 1_000
        else:
            assert sample.value == pytest.approx(column.sum(), rel=1e-5)


def test_every_name_follows_the_conventions() -> None:
    metrics = Metrics()
    metrics.gauge("things", "Things.", lambda: 1.0)
    metrics.counter("things_done", "Things done.", lambda: 2.0)
    for family in metrics.registry.collect():
        if family.name.startswith(("process_", "python_")):
            continue
        assert family.name.startswith("epc_sentinel_"), family.name
        assert family.documentation.endswith("."), family.name
        assert not family.name.endswith(("_ms", "_us", "_count", "_total")), family.name


def test_files_whose_hours_look_shifted_are_counted() -> None:
    metrics, scores = Metrics(), np.zeros((1, 5), dtype=np.float32)
    for shifts in ({1: 9, 2: 9}, {}, {7: -9}):
        judgement = Judgement(scores, scores > 1, Method.RULES, shifts=shifts)
        metrics.analysed(Analysis("AnalyzeFiles", "", "", "", b"", judgement=judgement, code="OK"))
    assert metrics.registry.get_sample_value("epc_sentinel_shifted_files_total") == 3
    assert metrics.registry.get_sample_value("epc_sentinel_degraded_answers_total") == 0


def test_what_the_tables_lack_is_counted_by_part() -> None:
    metrics, scores = Metrics(), np.zeros((1, 5), dtype=np.float32)
    files = {1: Coverage({"product": 10, "place": 40}, {"product": 3}), 2: Coverage({"product": 5}, {"product": 5})}
    judgement = Judgement(scores, scores > 1, Method.RULES, coverage=files)
    metrics.analysed(Analysis("AnalyzeFiles", "", "", "", b"", judgement=judgement, code="OK"))
    for part, looked_up, unknown in (("product", 15, 8), ("place", 40, 0), ("lane", 0, 0)):
        values = (metrics.registry.get_sample_value(f"epc_sentinel_{name}_total", {"part": part})
                  for name in ("looked_up", "unknown"))  # fmt: skip
        assert tuple(values) == (looked_up, unknown)


def test_two_gateways_in_one_process_share_nothing() -> None:
    first, second = Metrics(), Metrics()
    first.call_ended("Analyze", "OK")
    assert not [s for f in second.registry.collect() for s in f.samples if s.name == "epc_sentinel_calls_total"]
