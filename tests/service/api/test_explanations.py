"""Explain and ExplainFindings as callers meet them: on the bundled model, real requests, both languages."""

# ruff: noqa: ANN401
# Fields of messages, and metadata as gRPC takes it.

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.json_format import ParseDict

from service.explain.causes import CODES
from service.pb.epcsentinel.v1 import anomaly_pb2 as pb
from tests.servers.triton.fixture import TritonServer
from tests.support.gateway import ROOT, Gateway
from tests.support.requests import NORMAL_CODE, analyze, call, request, scan

JUMP, FORGED = 4, 5
KOREAN = (("accept-language", "ko-KR,ko;q=0.9,en;q=0.5"),)
FLAGS = {
    "epcFake": "epc_fake",
    "epcDup": "epc_dup",
    "locErr": "loc_err",
    "evtOrderErr": "evt_order_err",
    "jump": "jump",
}


def example(**fields: Any) -> pb.AnalyzeRequest:
    made: pb.AnalyzeRequest = ParseDict(json.loads((ROOT / "examples/request.json").read_text()), pb.AnalyzeRequest())
    made.MergeFrom(pb.AnalyzeRequest(**fields))
    return made


def explain(gateway: Gateway, event_id: int, metadata: Any = (), **fields: Any) -> pb.ExplainResponse:
    asked = pb.ExplainRequest(data=example().data, event_id=event_id, **fields)
    answer = call(gateway.target, "Explain", asked.SerializeToString(), metadata=metadata)
    return pb.ExplainResponse.FromString(answer)


def findings(gateway: Gateway, asked: pb.AnalyzeRequest, metadata: Any = ()) -> pb.ExplainFindingsResponse:
    answer = call(gateway.target, "ExplainFindings", asked.SerializeToString(), metadata=metadata)
    return pb.ExplainFindingsResponse.FromString(answer)


def of_kind(answer: pb.ExplainResponse, kind: str) -> pb.Explanation:
    [found] = [one for one in answer.explanations if one.kind == kind]
    return found


def test_an_impossible_leg_is_explained_by_its_numbers(gateway: Gateway) -> None:
    jump = of_kind(explain(gateway, JUMP), "jump")
    assert (jump.cause, jump.flagged, jump.reason_elsewhere) == ("too_fast_to_travel", True, False)
    assert jump.reason.startswith("49.2 km in 2 minutes (1,477 km/h), from place 5 to place 13; this lane takes ")
    assert not of_kind(explain(gateway, JUMP), "epcFake").flagged


def test_effects_name_what_moved_the_score_and_sum_to_its_change(gateway: Gateway) -> None:
    answer = explain(gateway, JUMP)
    jump = of_kind(answer, "jump")
    assert answer.warning == ""
    assert {effect.feature for effect in jump.effects[:3]} & {"speed_prev", "gap_prev", "lane_below", "lane_z"}
    sizes = [abs(effect.effect) for effect in jump.effects]
    assert sizes == sorted(sizes, reverse=True)
    # A normal event has none; those that are not listed are 7 points here. That all sum up is tested beside effects.
    assert sum(effect.effect for effect in jump.effects) == pytest.approx(jump.score, abs=8)


@pytest.mark.parametrize("detector", [pb.DETECTOR_LSTM, pb.DETECTOR_RULES, pb.DETECTOR_SVM, pb.DETECTOR_ENSEMBLE])
def test_findings_are_those_of_analyze_and_each_has_a_cause(gateway: Gateway, detector: pb.Detector.ValueType) -> None:
    asked = example(detector=detector)
    judged, told = analyze(gateway.target, asked), findings(gateway, asked)
    flagged = [
        (finding.event_id, kind, getattr(finding, f"{name}_score"))
        for finding in judged.event_history
        for kind, name in FLAGS.items()
        if getattr(finding, name)
    ]
    explained = [(found.event_id, one.kind, one.score) for found in told.findings for one in found.explanations]
    assert flagged
    assert [pair[:2] for pair in explained] == [pair[:2] for pair in flagged]
    assert [pair[2] for pair in explained] == pytest.approx([pair[2] for pair in flagged], abs=1e-3)
    assert (told.method, told.model_version) == (judged.method, judged.model_version)
    for found in told.findings:
        assert all(one.cause in CODES and one.reason and one.flagged for one in found.explanations)
        assert bool(found.explanations[0].effects) == (detector != pb.DETECTOR_RULES)


def test_reasons_are_in_the_callers_language(gateway: Gateway) -> None:
    jump = of_kind(explain(gateway, JUMP, KOREAN), "jump")
    assert jump.reason.startswith("장소 5 → 장소 13, 49.2 km 거리를 2분 만에 이동(시속 1,477 km)")
    fake = of_kind(findings(gateway, example(), KOREAN).findings[1], "epcFake")
    assert fake.cause == "code_malformed"
    assert "형식" in fake.reason


def test_analyze_says_why_only_if_it_is_asked(gateway: Gateway) -> None:
    plain, told = analyze(gateway.target, example()), analyze(gateway.target, example(explain=True))
    assert not any(name.endswith(("_cause", "_reason")) for one in plain.event_history for name in names(one))
    jump, fake = told.event_history
    assert (jump.jump_cause, fake.epc_fake_cause) == ("too_fast_to_travel", "code_malformed")
    assert jump.jump_reason.startswith("49.2 km in 2 minutes")
    assert "FORGED" in fake.epc_fake_reason
    for finding in told.event_history:
        for name in [name for name in names(finding) if name.endswith(("_cause", "_reason"))]:
            finding.ClearField(name)
    assert told == plain


def names(message: Any) -> list[str]:
    return [field.name for field, _ in message.ListFields()]


def test_a_stream_says_why_too(start_gateway: Callable[..., Gateway]) -> None:
    running = start_gateway()  # of its own: it remembers these events
    first, last = example(), example(explain=True)
    del first.data[3:]
    del last.data[:3]
    with grpc.insecure_channel(running.target) as channel:
        stream = channel.stream_stream("/epcsentinel.v1.AnomalyService/AnalyzeStream")
        answers = list(stream(iter([first.SerializeToString(), last.SerializeToString()]), timeout=30))
    told = pb.AnalyzeResponse.FromString(answers[1])
    assert told.event_history[0].jump_cause == "too_fast_to_travel"
    assert "49.2 km in 2 minutes" in told.event_history[0].jump_reason


def test_items_that_go_wrong_together_are_one_incident(gateway: Gateway) -> None:
    legs = (
        (1, "Aggregation", 0),
        (5, "WMS_Inbound", 3_000),
        (5, "WMS_Outbound", 2_500_000),
        (13, "HUB_Inbound", 2_500_090),
    )
    events = [
        scan(
            item * 10 + at,
            epc_code=f"{NORMAL_CODE[:36]}{item:09d}",
            location_id=place,
            event_type=type_,
            business_step="",
            seconds=1_751_366_057 + later,
        )
        for item in range(4)
        for at, (place, type_, later) in enumerate(legs)
    ]
    told = findings(gateway, request(*events))
    [together] = [one for one in told.incidents if one.cause == "too_fast_to_travel"]
    assert together.items == 4
    assert list(together.event_ids) == [3, 13, 23, 33]
    assert together.reason.startswith("4 items of lot 010004 at place 13 from 2025-07-")
    listed = sorted(event for one in told.incidents if one.kind == "jump" for event in one.event_ids)
    assert listed == sorted(
        found.event_id for found in told.findings for one in found.explanations if one.kind == "jump"
    )


def test_an_event_that_is_not_there_is_not_found(gateway: Gateway) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        explain(gateway, 77)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    assert caught.value.details() == "event_id 77 is not among the 5 events of the request: send it along"


def test_too_many_events_are_refused_as_in_analyze(start_gateway: Callable[..., Gateway]) -> None:
    small = start_gateway("--max-events-per-request", "4")
    for method in ("Explain", "ExplainFindings"):
        with pytest.raises(grpc.RpcError) as caught:
            call(small.target, method, example().SerializeToString())
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert "has 5 events, the limit is 4" in caught.value.details()


def test_a_history_that_is_down_is_said_and_findings_are_explained(start_gateway: Callable[..., Gateway]) -> None:
    running = start_gateway("--history", "valkey://127.0.0.1:1", "--history-timeout-s", "0.2")
    told = findings(running, example(history=pb.HISTORY_USE_ON))
    assert "The history is unavailable" in told.warning
    causes = [{one.kind: one.cause for one in found.explanations} for found in told.findings]
    assert [causes[0]["jump"], causes[1]["epcFake"]] == ["too_fast_to_travel", "code_malformed"]


def test_the_history_counts_in_explanations_as_it_does_in_analyze(start_gateway: Callable[..., Gateway]) -> None:
    running = start_gateway("--history", "memory")
    before, last = example(history=pb.HISTORY_USE_ON), example(history=pb.HISTORY_USE_ON)
    del before.data[3:]
    del last.data[:3]
    del last.data[1:]
    analyze(running.target, before)
    told = findings(running, last)
    assert [one.cause for found in told.findings for one in found.explanations] == ["too_fast_to_travel"]


def test_rules_in_place_of_a_model_are_explained_and_the_answer_says_who_judged(
    start_gateway: Callable[..., Gateway],
) -> None:
    running = start_gateway("--backend", "triton://127.0.0.1:1")
    told = findings(running, example())
    assert told.method == "rule-based-fallback"
    assert "rules judged these events" in told.warning
    assert {one.cause for found in told.findings for one in found.explanations} >= {
        "too_fast_to_travel",
        "code_malformed",
    }
    assert not any(one.effects for found in told.findings for one in found.explanations)


def test_models_on_a_triton_are_explained_as_the_embedded_ones(
    gateway: Gateway, bundled_repository: Path, start_gateway: Callable[..., Gateway]
) -> None:
    """Effects come from the local files of the models, and their answers from the server's: both are of one score."""
    with TritonServer(bundled_repository) as triton:
        remote = start_gateway("--backend", f"triton://{triton.url}", "--model-repository", str(bundled_repository))
        for detector in (pb.DETECTOR_LSTM, pb.DETECTOR_ENSEMBLE):
            here, there = (explain(each, JUMP, detector=detector) for each in (gateway, remote))
            assert (there.warning, there.model_version) == ("", here.model_version)
            one, other = of_kind(here, "jump"), of_kind(there, "jump")
            assert (other.cause, other.reason) == (one.cause, one.reason)
            assert other.score == pytest.approx(one.score, abs=1e-3)
            assert [effect.feature for effect in other.effects] == [effect.feature for effect in one.effects]
            assert [effect.effect for effect in other.effects] == pytest.approx(
                [effect.effect for effect in one.effects], abs=1e-3
            )
