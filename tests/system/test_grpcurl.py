"""The real grpcurl, called as the README shows; no proto file is given, so reflection is what it works by."""

from __future__ import annotations

import json
import subprocess

from google.protobuf.json_format import Parse

from service.api.requests import decode_request
from service.pb.epcsentinel.v1 import anomaly_pb2 as pb
from service.rawfiles.columns import read_files
from tests.support.gateway import ROOT, SERVICE, Gateway
from tests.support.processes import GRPCURL

DATA = ROOT / "tests" / "data"

FORGED = """
{"data": [
  {"eventId": 1, "epcCode": "001.8804823.1293291.010004.20250701.000004002", "locationId": 1,
   "businessStep": "Factory", "eventType": "Aggregation", "eventTime": "2025-07-01T10:34:17Z", "fileId": 1},
  {"eventId": 2, "epcCode": "001.8804823.FORGED", "locationId": 1,
   "businessStep": "Factory", "eventType": "Aggregation", "eventTime": "2025-07-01T10:35:17Z", "fileId": 1}
]}"""


def grpcurl(gateway: Gateway, *arguments: str, flags: tuple[str, ...] = (), text: str = "") -> str:
    command = [str(GRPCURL), "-plaintext", *flags, gateway.target, *arguments]
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_list(gateway: Gateway) -> None:
    assert grpcurl(gateway, "list").splitlines() == [
        "epcsentinel.v1.AnomalyService",
        "epcsentinel.v1.FlowService",
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    ]
    assert grpcurl(gateway, "list", SERVICE).splitlines() == [
        f"{SERVICE}.{name}" for name in ("Analyze", "AnalyzeFiles", "AnalyzeStream", "Explain", "ExplainFindings")
    ]


def test_flow_is_measured_and_plans_are_checked(gateway: Gateway) -> None:
    plan = ("-d", '{"wip": 100, "throughput": 50, "cycleTimeDays": 2.5}')
    checked = json.loads(grpcurl(gateway, "epcsentinel.v1.FlowService/Validate", flags=plan))
    assert (checked.get("holds", False), checked["ratio"], checked["wip"]) == (False, 0.8, 125)
    events = json.loads((DATA / "real_events_request.json").read_text())["data"]
    asked = json.dumps({"data": events, "detector": "rules"})
    measured = json.loads(grpcurl(gateway, "epcsentinel.v1.FlowService/Measure", flags=("-d", "@"), text=asked))
    assert measured["method"] == "rule-based"
    assert {"day", "step", "meanWip"} <= set(measured["rows"][0])


def test_describe(gateway: Gateway) -> None:
    described = grpcurl(gateway, "describe", f"{SERVICE}.Analyze")
    assert "rpc Analyze ( .epcsentinel.v1.AnalyzeRequest ) returns ( .epcsentinel.v1.AnalyzeResponse )" in described
    assert "string epc_code = 2;" in grpcurl(gateway, "describe", "epcsentinel.v1.ScanEvent")


def test_a_call_answers_in_the_backends_shape(gateway: Gateway) -> None:
    answer = json.loads(grpcurl(gateway, f"{SERVICE}/Analyze", flags=("-d", FORGED)))
    assert list(answer) == [
        "fileId", "method", "EventHistory", "epcAnomalyStats", "fileAnomalyStats", "modelVersion",
    ]  # fmt: skip
    assert answer["method"] == "lstm-deep-learning"
    [finding] = [finding for finding in answer["EventHistory"] if finding["eventId"] == "2"]
    assert finding["epcFake"] is True
    assert 0 < finding["epcFakeScore"] <= 100
    counts = ["totalEvents", "jumpCount", "evtOrderErrCount", "epcFakeCount", "epcDupCount", "locErrCount"]
    assert list(answer["epcAnomalyStats"][-1]) == ["epcCode", *counts]
    assert list(answer["fileAnomalyStats"]) == counts


def test_real_rows_are_normal_journeys(gateway: Gateway) -> None:
    request = (DATA / "real_events_request.json").read_text()
    answer = json.loads(grpcurl(gateway, f"{SERVICE}/Analyze", flags=("-d", "@"), text=request))
    assert "EventHistory" not in answer
    assert answer["fileAnomalyStats"]["totalEvents"] == 0


def test_the_request_file_holds_the_real_rows() -> None:
    request = Parse((DATA / "real_events_request.json").read_text(), pb.AnalyzeRequest())
    sent, *_ = decode_request(request.SerializeToString(), max_events=100, one_file=True)
    raw = read_files([DATA / "real_events_sample.tsv"]).events
    assert list(sent.epc_codes) == list(raw.epc_codes)
    for column in ("event_id", "epc", "location_id", "step", "event_type", "time_us", "file_id"):
        assert getattr(sent, column).tolist() == getattr(raw, column).tolist()


def test_health(gateway: Gateway) -> None:
    asked = ("-d", json.dumps({"service": SERVICE}))
    assert json.loads(grpcurl(gateway, "grpc.health.v1.Health/Check", flags=asked)) == {"status": "SERVING"}


def test_a_refused_call_names_the_field(gateway: Gateway) -> None:
    command = [str(GRPCURL), "-plaintext", "-d", '{"data": [{"eventId": 1}]}', gateway.target, f"{SERVICE}/Analyze"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode != 0
    for part in ("Code: InvalidArgument", "data[0].event_time: is missing", "google.rpc.BadRequest"):
        assert part in done.stderr
