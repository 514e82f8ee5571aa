"""The flow model in the registry: listed, promoted by a gate while it answers, rolled back, and not deleted in use."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from service.pb.epcsentinel.v1 import flow_pb2, models_pb2
from tests.support.flows.model import (
    ask_flow,
    backtest_metrics,
    champion_metrics,
    flow_repository,
    flow_version,
)
from tests.support.gateway import Gateway
from tests.support.processes import wait_for

FLOW = "epc_flow"


class Managed:
    """A gateway that manages its models."""

    def __init__(self, gateway: Gateway, repository: Path, folder: Path) -> None:
        self.target, self.repository, self.folder = gateway.target, repository, folder

    def ask(self, method: str, **fields: object) -> Any:  # noqa: ANN401 - its answer
        request = getattr(models_pb2, f"ModelService{method}Request")(model=FLOW, **fields)
        answers = getattr(models_pb2, f"ModelService{method}Response")
        with grpc.insecure_channel(self.target) as channel:
            call = channel.unary_unary(f"/epcsentinel.v1.ModelService/{method}")
            return answers.FromString(call(request.SerializeToString(), timeout=60))

    def refusal(self, method: str, **fields: object) -> str:
        """Return the words of a refusal; the state forbids the call."""
        with pytest.raises(grpc.RpcError) as caught:
            self.ask(method, **fields)
        assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
        return str(caught.value.details())

    def answering(self) -> str:
        """Return which version forecasts."""
        return str(ask_flow(self.target, "Predict", prediction_days=1).model)


@pytest.fixture
def managed(tmp_path: Path) -> Iterator[Managed]:
    repository = flow_repository(tmp_path)
    lifecycle = tmp_path / "lifecycle"
    flags = ("--backend", f"onnx:{repository}", "--lifecycle", str(lifecycle), "--model-service",
             "--flow", str(tmp_path / "flow"))  # fmt: skip
    with Gateway(*flags) as gateway:
        yield Managed(gateway, repository, lifecycle)


def test_a_version_of_flow_is_promoted_by_its_backtest_alone(managed: Managed) -> None:
    [only] = managed.ask("ListModels").models
    assert (only.model, only.version, only.state) == (FLOW, 1, models_pb2.MODEL_STATE_NONE)
    assert managed.answering() == "epc_flow/1"  # the newest, where none passes the gate
    assert "its manifest has no backtest" in managed.refusal("Promote", version=1, why="try")
    second = flow_version(managed.repository, 2, backtest_metrics())
    assert managed.ask("Promote", version=2, why="first").standing.champion == 2
    flow_version(managed.repository, 3, champion_metrics(second, its=0.09))
    flow_version(managed.repository, 4, champion_metrics(second, its=0.11))
    assert "11.1% above the champion's, 0.090" in managed.refusal("Promote", version=3, why="worse")
    assert managed.answering() == "epc_flow/2"  # and not the newest
    assert managed.ask("Promote", version=4, why="better", instead_of=2).standing.previous == 2
    assert managed.answering() == "epc_flow/4"
    assert "it is the previous" in managed.refusal("DeleteModel", version=2, why="old")
    with pytest.raises(grpc.RpcError) as caught:
        ask_flow(managed.target, "DeleteModel", flow_pb2.FlowServiceDeleteModelRequest(model_id="4"))
    assert "it is the champion" in caught.value.details()
    assert managed.ask("Rollback", why="odd on Mondays").standing.champion == 2
    assert managed.answering() == "epc_flow/2"
    one = managed.ask("GetModel", version=4).model
    assert [entry.action for entry in one.promotions] == ["promote"]
    assert one.metrics["errors"]["wip"]["served"]["7"]["wape"] == 0.1
    assert one.lineage["source"] == "plants"
    states = {one.model_id: one.state for one in ask_flow(managed.target, "ListModels").models}
    assert states == {"1": "none", "2": "champion", "3": "none", "4": "archived"}
    assert managed.ask("DeleteModel", version=3, why="never used").standing.champion == 2
    assert [one.version for one in managed.ask("ListModels").models] == [4, 2, 1]


def test_before_the_first_promotion_the_newest_that_passes_the_gate_answers(managed: Managed) -> None:
    flow_version(managed.repository, 2, backtest_metrics())
    flow_version(managed.repository, 3, backtest_metrics(served=0.2))
    found = ask_flow(managed.target, "Predict", prediction_days=1)
    assert found.model == "epc_flow/2"
    assert any("epc_flow/3 does not pass the gate: its WAPE of" in line for line in found.warnings)


def test_a_champion_that_cannot_be_read_does_not_stay_for_ever(managed: Managed) -> None:
    champion = flow_version(managed.repository, 2, backtest_metrics())
    managed.ask("Promote", version=2, why="first")
    flow_version(managed.repository, 3, backtest_metrics())
    assert "was not compared with the champion" in managed.refusal("Promote", version=3, why="next")
    (champion / "history.npz").unlink(missing_ok=True)
    (champion / "manifest.json").write_text("{}")
    assert managed.ask("Promote", version=3, why="the champion is broken").standing.champion == 3
    assert managed.answering() == "epc_flow/3"


def test_a_log_that_is_damaged_leaves_in_use_what_was(managed: Managed) -> None:
    flow_version(managed.repository, 2, backtest_metrics())
    managed.ask("Promote", version=2, why="first")
    assert managed.answering() == "epc_flow/2"
    flow_version(managed.repository, 3, backtest_metrics())
    with (managed.folder / "flow" / "promotions.jsonl").open("a") as log:
        log.write("no entry\n")
    assert managed.answering() == "epc_flow/2"


def test_the_model_that_judges_has_a_log_of_its_own(managed: Managed) -> None:
    flow_version(managed.repository, 2, backtest_metrics())
    managed.ask("Promote", version=2, why="first")
    assert (managed.folder / "flow" / "promotions.jsonl").read_text().count('"version":2') == 1
    wait_for((managed.folder / "promotions.jsonl").exists)
    assert '"version":2' not in (managed.folder / "promotions.jsonl").read_text()


def test_no_call_is_lost_while_versions_change_places(managed: Managed) -> None:
    folders = {1: flow_version(managed.repository, 2, backtest_metrics())}
    managed.ask("Promote", version=2, why="first")
    heard: list[str] = []
    failures: list[Exception] = []
    over = threading.Event()

    def caller() -> None:
        while not over.is_set():
            try:
                heard.append(managed.answering())
            except grpc.RpcError as error:
                failures.append(error)

    callers = [threading.Thread(target=caller) for _ in range(3)]
    for one in callers:
        one.start()
    champion = folders[1]
    for number in range(3, 9):
        champion = flow_version(managed.repository, number, champion_metrics(champion, its=0.1))
        managed.ask("Promote", version=number, why="next")
        seen = len(heard)
        wait_for(lambda seen=seen: len(heard) > seen + 3)  # type: ignore[misc]
    over.set()
    for one in callers:
        one.join()
    assert not failures
    assert {f"epc_flow/{number}" for number in range(3, 9)} <= set(heard)
    assert managed.answering() == "epc_flow/8"


def test_an_unknown_model_is_named(managed: Managed) -> None:
    request = models_pb2.ModelServiceListModelsRequest(model="epc_gnn")
    with grpc.insecure_channel(managed.target) as channel, pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary("/epcsentinel.v1.ModelService/ListModels")(request.SerializeToString(), timeout=60)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
