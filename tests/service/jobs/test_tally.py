"""The numbers of a replay."""

from __future__ import annotations

import numpy as np

from service.client.stream import Answered
from service.jobs.tally import Latencies, Tally
from service.pb.epcsentinel.v1 import anomaly_pb2 as pb


def test_percentiles_are_those_of_numpy_within_two_percent() -> None:
    values = np.random.default_rng(1).lognormal(-4, 1, 5000)
    latencies = Latencies()
    for value in values.tolist():
        latencies.add(value)
    for percent in (50, 90, 99, 100):
        true = np.percentile(values, percent, method="inverted_cdf")
        assert true * 0.999 <= latencies.percentile_s(percent) <= true * 1.0201


def test_a_tally_counts_findings_by_kind() -> None:
    tally = Tally()
    finding = pb.EventFinding(event_id=1, jump=True, jump_score=90.0, epc_dup=True, epc_dup_score=80.0)
    response = pb.AnalyzeResponse(event_history=[finding], warning="no history")
    tally.add(Answered(pb.AnalyzeRequest(data=[pb.ScanEvent(event_id=1)]), response, 0.5))
    summary = tally.summary()
    assert {kind for kind, count in summary["findings"].items() if count} == {"jump", "epcDup"}
    assert (summary["flagged"], summary["degraded"], summary["latency_ms"]["max"]) == (1, 1, 500.0)


def test_warnings_that_differ_in_their_numbers_are_one_the_latest() -> None:
    tally = Tally()
    for warning in ("90 % of 1,000 codes are unknown.", "", "92 % of 1,050 codes are unknown.", "no history"):
        tally.add(Answered(pb.AnalyzeRequest(), pb.AnalyzeResponse(warning=warning), 0.1))
    assert tally.summary()["degraded"] == 3
    assert tally.summary()["warnings"] == [
        {"text": "92 % of 1,050 codes are unknown.", "answers": 2},
        {"text": "no history", "answers": 1},
    ]


def test_warnings_take_bounded_memory() -> None:
    tally = Tally()
    for number in range(200):
        tally.add(Answered(pb.AnalyzeRequest(), pb.AnalyzeResponse(warning="no " * number), 0.1))
    assert tally.summary()["degraded"] == 199
    assert len(tally.summary()["warnings"]) == 50
