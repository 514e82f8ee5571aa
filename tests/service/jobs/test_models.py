"""Versions managed through a gateway: none is moved for that of another model by one that knows but one."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from service.jobs.models import unknown_to
from service.lifecycle.promotion_log import PromotionLog
from service.pb.epcsentinel.v1 import models_pb2 as pb
from tests.support.command import assert_one_line, run
from tests.support.flows.model import backtest_metrics, flow_repository, flow_version
from tests.support.gateway import Gateway

FLOW = "epc_flow"
NAMELESS = pb.ModelVersion(version=3)  # as a release lists one of epc_lstm that passes over `model`
OF_FLOW = pb.ModelVersion(version=3, model=FLOW)
OF_LSTM = pb.ModelVersion(version=3, model="epc_lstm")


@pytest.mark.parametrize(
    ("models", "moves", "problem"),
    [
        ([OF_FLOW], True, ""),
        ([NAMELESS], True, "knows no model epc_flow: update it first"),
        ([NAMELESS], False, "knows no model epc_flow: update it first"),
        ([OF_FLOW, OF_LSTM], True, "knows no model epc_flow: update it first"),
        ([], True, "no version of epc_flow"),
        ([], False, ""),
    ],
)
def test_what_a_gateway_lists_says_whether_it_knows_the_model(
    models: list[pb.ModelVersion], moves: bool, problem: str
) -> None:
    said = unknown_to(pb.ModelServiceListModelsResponse(models=models), FLOW, moves=moves)
    assert bool(said) is bool(problem)
    assert problem in said


def test_a_version_of_flow_is_moved_by_command_where_the_gateway_says_that_it_has_one(
    start_gateway: Callable[..., Gateway], tmp_path: Path
) -> None:
    repository, lifecycle = flow_repository(tmp_path), tmp_path / "lifecycle"
    flow_version(repository, 2, backtest_metrics() | {"days": {"30": 0.4, "7": 0.2, "14": 0.3, "1": 0.1}})
    gateway = start_gateway("--backend", f"onnx:{repository}", "--lifecycle", str(lifecycle), "--model-service")
    of_flow = ("--model", FLOW, "--target", gateway.target)
    promoted = run("models", "promote", 2, "--why", "first", *of_flow)
    assert promoted.stdout == "champion 2 (entry 1 of the log)\n", promoted.stderr
    assert PromotionLog(lifecycle / "flow").standing().champion == 2
    listed = run("models", "list", *of_flow)
    assert listed.stdout.count(FLOW) == 2
    shown = run("models", "show", 2, *of_flow).stdout
    assert "epc_flow/2: champion" in shown
    assert re.findall(r"^days\.(\d+) ", shown, re.MULTILINE) == ["1", "7", "14", "30"]


def test_without_a_version_of_flow_a_gateway_lists_none_and_is_asked_to_move_none(
    start_gateway: Callable[..., Gateway], two_versions: Path, tmp_path: Path
) -> None:
    log = PromotionLog(tmp_path / "lifecycle")
    gateway = start_gateway("--backend", f"onnx:{two_versions}", "--lifecycle", str(log.folder), "--model-service")
    of_flow, number = ("--model", FLOW, "--target", gateway.target), log.standing().number
    assert run("models", "list", *of_flow).returncode == 0
    for moved in (("promote", 2), ("load", 2), ("delete", 1), ("rollback",)):
        assert_one_line(run("models", *moved, "--why", "x", *of_flow), 1, gateway.target, "no version of epc_flow")
    assert log.standing().number == number
