"""What is certain whatever judges, as callers of a real gateway meet it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from service.pb.epcsentinel.v1 import anomaly_pb2 as pb
from tests.support.gateway import Gateway
from tests.support.requests import NORMAL_CODE, analyze, found, request, scan

NOON = int(datetime(2025, 7, 2, 3, tzinfo=UTC).timestamp())  # in Seoul, where the places are
HUB = {"business_step": "Logistics_HUB", "event_type": "HUB_Inbound"}
SHOP = {"business_step": "R_Stock", "event_type": "R_Stock_Inbound"}


@pytest.mark.parametrize("history", [pb.HISTORY_USE_ON, pb.HISTORY_USE_OFF])
@pytest.mark.parametrize("detector", ["LSTM", "RULES", "SVM", "ENSEMBLE"])
def test_scans_at_two_places_in_one_second_are_all_of_clones(
    gateway: Gateway, detector: str, history: pb.HistoryUse.ValueType
) -> None:
    item = f"{NORMAL_CODE[:36]}{7_100 + 10 * history + len(detector):09d}"
    scans = [scan(1, epc_code=item, seconds=NOON - 20 * 3600)]
    scans += [
        scan(at, epc_code=item, location_id=place, seconds=NOON, nanos=100_000_000 * at, **words)
        for at, (place, words) in enumerate(((13, HUB), (75, SHOP), (14, HUB)), start=2)
    ]
    asked = request(*scans, detector=pb.Detector.Value(f"DETECTOR_{detector}"), history=history)
    asked.explain = True
    answer = analyze(gateway.target, asked)
    clones = [event for event, kinds in found([answer]).items() if "epc_dup" in kinds]
    assert clones == [2, 3, 4]
    assert {one.epc_dup_cause for one in answer.event_history if one.epc_dup} == {"two_places_at_once"}
    assert all("in the same second" in one.epc_dup_reason for one in answer.event_history if one.epc_dup)
