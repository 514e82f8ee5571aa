"""Operating points: the request's wins over the setting's, costs over points, and whoever answers keeps to it."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

import grpc
import numpy as np
import pytest

from service.detect.cutoffs import Cutoffs, Preference
from service.detect.detector import Judgement
from service.events.vocabulary import OperatingPoint
from service.gateway.build import build_wiring
from service.model.manifest import Manifest, Thresholds
from service.pb.epcsentinel.v1 import anomaly_pb2 as pb
from service.settings import Settings
from tests.support.gateway import Gateway
from tests.support.requests import call, request, scan
from tests.support.worlds import code, journey, to_events

BUDGET = Thresholds(retrospective=[0.05] * 5, causal=[0.1] * 5)
POINTS = {
    OperatingPoint.PRECISE: Thresholds(retrospective=[0.9] * 5, causal=[0.8] * 5),
    OperatingPoint.BALANCED: Thresholds(retrospective=[0.5] * 5, causal=[0.4] * 5),
    OperatingPoint.SENSITIVE: BUDGET,
}


def test_a_point_is_that_of_the_request_or_else_of_the_setting() -> None:
    cutoffs = Cutoffs(BUDGET, POINTS, Preference(OperatingPoint.PRECISE))
    assert cutoffs.of(None, causal=False).tolist() == pytest.approx([0.9] * 5)
    assert cutoffs.of(OperatingPoint.BALANCED, causal=True).tolist() == pytest.approx([0.4] * 5)
    assert (cutoffs.name(None), cutoffs.name(OperatingPoint.BALANCED)) == ("precise", "balanced")


def test_without_points_every_point_is_the_budget() -> None:
    cutoffs = Cutoffs(BUDGET, None, Preference())
    for point in (None, *OperatingPoint):
        assert cutoffs.of(point, causal=True).tolist() == pytest.approx([0.1] * 5)


def test_costs_decide_for_their_kinds_where_no_point_is_asked_for() -> None:
    cutoffs = Cutoffs(BUDGET, POINTS, Preference(costs={"jump": (3, 1), "epcFake": (1, 1e6)}))
    # A malformed code has a score of 0.99, and is a finding whatever it costs.
    assert cutoffs.of(None, causal=False).tolist() == pytest.approx([0.99, 0.5, 0.5, 0.5, 0.25])
    assert cutoffs.of(OperatingPoint.BALANCED, causal=False).tolist() == pytest.approx([0.5] * 5)
    assert cutoffs.name(None) == "balanced, costs"


@pytest.fixture(scope="module")
def pointed(tmp_path_factory: pytest.TempPathFactory, bundled_repository: Path) -> Path:
    """The bundled repository, whose models have points: hardly anything is a finding at the precise one."""
    copy = Path(shutil.copytree(bundled_repository, tmp_path_factory.mktemp("pointed") / "repository"))
    for path in copy.glob("epc_*/1/manifest.json"):
        manifest = Manifest.model_validate_json(path.read_bytes())
        points = {
            point: Thresholds(retrospective=[value] * 5, causal=[value] * 5)
            for point, value in zip(OperatingPoint, (1.0, 0.5, 0.001), strict=True)
        }
        changed = {"operating_points": points}
        if manifest.ensemble:
            changed |= {"ensemble": manifest.ensemble.model_copy(update={"operating_points": points})}
        path.write_text(manifest.model_copy(update=changed).to_json())
    return copy


@pytest.mark.parametrize("detector", ["lstm", "svm", "ensemble"])
def test_requests_of_one_pass_have_each_their_own_point(pointed: Path, detector: str) -> None:
    events = to_events([*journey(code(4_000)), *journey("001.9.9.9.9")])
    wiring = build_wiring(Settings(backend=f"onnx:{pointed}", operating_point="sensitive"))

    async def judge_all() -> list[Judgement]:
        asked = [None, *OperatingPoint] * 3
        work = [wiring.analyzer.analyze(events, detector, point=point) for point in asked]  # type: ignore[arg-type]
        return list(await asyncio.gather(*work))

    found = asyncio.run(judge_all())
    for at, (judgement, least) in enumerate(zip(found, (0.001, 1.0, 0.5, 0.001) * 3, strict=True)):
        np.testing.assert_allclose(judgement.scores, found[0].scores, atol=1e-5)
        np.testing.assert_array_equal(judgement.flags, judgement.scores >= np.float32(least))
        assert judgement.point == ["sensitive", *OperatingPoint][at % 4]
    counts = [int(judgement.flags.sum()) for judgement in found[1:4]]
    assert counts[0] < counts[2], "the points differ on these events"


def stream(gateway: Gateway, *points: int) -> list[pb.AnalyzeResponse]:
    """Return the answers to the same event, asked at each of ``points``."""
    bodies = []
    for point in points:
        body = request(scan(1, location_id=999))
        body.operating_point = point
        bodies.append(body.SerializeToString())
    with grpc.insecure_channel(gateway.target) as channel:
        method = channel.stream_stream("/epcsentinel.v1.AnomalyService/AnalyzeStream")
        return [pb.AnalyzeResponse.FromString(raw) for raw in method(iter(bodies), timeout=30)]


def test_the_gateway_keeps_to_the_point_and_its_log_names_it(
    start_gateway: Callable[..., Gateway], pointed: Path
) -> None:
    running = start_gateway("--backend", f"onnx:{pointed}", "--operating-point", "precise")
    calls = {}
    for point in (pb.OPERATING_POINT_UNSPECIFIED, pb.OPERATING_POINT_SENSITIVE):
        body = request(scan(1, location_id=999))
        body.operating_point = point
        calls[point] = pb.AnalyzeResponse.FromString(call(running.target, "Analyze", body.SerializeToString()))
    assert [len(answer.event_history) for answer in calls.values()] == [0, 1]
    lines = [line for line in running.log() if line["event"] == "call" and line["method"] == "Analyze"]
    assert [line["operating_point"] for line in lines] == ["precise", "sensitive"]
    assert [line["model_version"] for line in lines] == ["epc_lstm/1"] * 2


def test_a_repeated_event_has_the_same_scores_and_the_flags_of_the_point_asked(
    start_gateway: Callable[..., Gateway], pointed: Path
) -> None:
    running = start_gateway("--backend", f"onnx:{pointed}")
    sensitive, precise, again = stream(
        running, pb.OPERATING_POINT_SENSITIVE, pb.OPERATING_POINT_PRECISE, pb.OPERATING_POINT_SENSITIVE
    )
    assert len(sensitive.event_history) == 1
    assert not precise.event_history
    assert again == sensitive
