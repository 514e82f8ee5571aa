"""Large input in pieces: what stays together, and how the answers are put together again."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest

from service.api.requests import decode_request
from service.detect.names import DetectorName
from service.jobs import render
from service.jobs.analyze import analyze_files, lots_are_whole, merge, split
from service.jobs.positions import positions
from service.jobs.stories import causes_of
from service.pb.epcsentinel.v1 import anomaly_pb2 as pb
from service.settings import load_settings
from tests.support.command import HEADER
from tests.support.gateway import ROOT
from tests.support.requests import request, scan


def test_pieces_keep_epcs_whole_and_lots_together() -> None:
    lots = [f"001.8804823.1293291.0100{lot:02d}.20250701.{serial:09d}" for serial in range(3) for lot in range(4)]
    body = request(*(scan(at, epc_code=lots[at % 12]) for at in range(24)))
    events, *_ = decode_request(body.SerializeToString(), max_events=24, one_file=True)
    pieces = split(events, limit=13)
    assert sorted(np.concatenate(pieces).tolist()) == list(range(24))
    assert [len(piece) for piece in pieces] == [12, 12]
    first, second = ({code[:26] for code in events.take(piece).epc_codes} for piece in pieces)
    assert not first & second
    for limit in (2, 3, 4, 5):  # smaller than a lot: only EPCs stay whole
        pieces = split(events, limit)
        assert max(map(len, pieces)) <= limit
        assert sum(len(set(events.epc[piece].tolist())) for piece in pieces) == 12


def test_a_fallback_in_one_piece_is_a_fallback_of_the_whole() -> None:
    events, *_ = decode_request(request(scan(1), scan(2)).SerializeToString(), max_events=2, one_file=True)
    pieces = [np.array(positions, np.intp) for positions in ([0], [1], [])]
    counts = pb.FileAnomalyStats(total_events=2, jump_count=2)
    fallback = pb.AnalyzeResponse(file_id=1, method="rule-based-fallback", warning="why", file_anomaly_stats=counts)
    model = pb.AnalyzeResponse(file_id=1, method="lstm-deep-learning", file_anomaly_stats=counts)
    for answers in ([[fallback], [model]], [[model], [fallback]]):
        [merged] = merge(events, pieces[: len(answers)], answers).files
        assert (merged.method, merged.warning) == ("rule-based-fallback", "why")
        assert (merged.file_anomaly_stats.total_events, merged.file_anomaly_stats.jump_count) == (4, 4)
    model.warning = "codes"
    for answers in ([[fallback], [model], [model]], [[model], [fallback]]):
        [merged] = merge(events, pieces[: len(answers)], answers).files
        assert merged.method == "rule-based-fallback"
        assert sorted(merged.warning.split()) == ["codes", "why"]


def test_means_of_pieces_are_those_of_all_events_that_have_them() -> None:
    body = request(*(scan(at, file_id=1 + (at == 3)) for at in range(4)))
    events, *_ = decode_request(body.SerializeToString(), max_events=4, one_file=False)

    def answer(file_id: int, **means: float) -> pb.AnalyzeResponse:
        return pb.AnalyzeResponse(file_id=file_id, method="ensemble", ml_summary_stats=pb.MlSummaryStats(**means))

    first = [answer(1, mean_rule_score=10, mean_svm_outlier_score=3)]
    second = [answer(1, mean_rule_score=40), answer(2, mean_rule_score=7)]  # without the SVMs
    merged, other = merge(events, [np.array([0, 1]), np.array([2, 3])], [first, second]).files
    assert merged.ml_summary_stats == pb.MlSummaryStats(mean_rule_score=20, mean_svm_outlier_score=3)
    assert other.ml_summary_stats == pb.MlSummaryStats(mean_rule_score=7)


def test_positions_are_those_of_the_ids() -> None:
    events, *_ = decode_request(request(*map(scan, (7, -3, 9, 0))).SerializeToString(), max_events=4, one_file=True)
    assert positions(events, [0, 7, 9]) == {0: 3, 7: 0, 9: 2}
    assert positions(events, []) == {}


def test_lots_are_whole_unless_they_are_in_two_pieces() -> None:
    codes = ("001.8804823.1293291.010000.20250701.000000001", "002.8804823.1293291.010000.20250701.000000002",
             "001.8804823.1293291.010001.20250701.000000001", "forged", "forged too")  # fmt: skip
    body = request(*(scan(at, epc_code=code) for at, code in enumerate(codes)))
    events, *_ = decode_request(body.SerializeToString(), max_events=5, one_file=True)
    for pieces, whole in (([[0, 1, 2, 3, 4]], True), ([[0, 1, 3], [2, 4]], True), ([[0, 2], [1, 3, 4]], False)):
        assert lots_are_whole(events, [np.array(piece) for piece in pieces]) == whole


def test_the_sentences_of_incidents_are_those_that_every_finding_would_have(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In several pieces, and with items whose scans are in turn of one file and another."""
    scans = (("Factory", "Aggregation", 1), ("POS_Sell", "POS_Sell", 40), ("WMS", "WMS_Inbound", 2))
    rows = [
        f"{(item + at) % 3},001.8804823.1293291.0100{item % 7:02}.20250701.{item:09},{place},{step},{kind}"
        f",2025-07-0{2 + at} {item % 24:02}:00:00"
        for item in range(60)
        for at, (step, kind, place) in enumerate(scans)
    ]
    path = tmp_path / "mixed.csv"
    path.write_text("\n".join([f"file_id,{HEADER.strip()}", *rows]))
    settings = load_settings(model_repository=str(ROOT / "model_repository"), max_events_per_request="90")
    shown, reasons = [], []
    monkeypatch.setattr(render, "MAX_TABLE_ROWS", 5)
    for of_incidents in (None, 5):
        work = analyze_files([path], DetectorName.LSTM, None, settings, language="en", of_incidents=of_incidents)
        raw, answer, _ = asyncio.run(work)
        render.write_tables(raw, answer, by_event=False)
        shown.append(capsys.readouterr().out)
        reasons.append([why for each in answer.files for one in each.event_history for *_, why in causes_of(one)])
    assert shown[0] == shown[1]
    assert len(list(filter(None, reasons[0]))) > len(list(filter(None, reasons[1]))) >= 5
