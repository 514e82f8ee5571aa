"""FlowService of a running gateway, and the same by HTTP: what it answers, what it refuses, and whom."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from google.protobuf.json_format import ParseDict
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]

from service.pb.epcsentinel.v1 import flow_pb2 as pb
from tests.support.flows.model import ask_flow, flow_repository
from tests.support.gateway import Gateway
from tests.support.processes import wait_for
from tests.support.requests import many
from tests.support.secrets import keys_of
from tests.support.web.server import Web

TRAIN = "sh -c 'echo {data} in {folder} for {repository}: 100 %' name {options}"
PATHS = {
    "GenerateData": "/api/data/generate",
    "Train": "/api/model/train",
    "Predict": "/api/model/predict",
    "Validate": "/api/model/validate",
}
ADMIN, ANALYST = {"Authorization": "Bearer admin"}, {"Authorization": "Bearer analyze"}
PLAN = {"wip": 100, "throughput": 50, "cycleTimeDays": 2}


@dataclass(frozen=True)
class Served:
    """A gateway that makes flow models, and the web service in front of it."""

    gateway: Gateway
    web: Web

    def ask(self, method: str, token: str = "admin", **fields: object) -> Any:  # noqa: ANN401 - its answer
        return ask_flow(self.gateway.target, method, token=token, **fields)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("flow")
    repository = flow_repository(folder)
    keys = folder / "keys.toml"
    keys.write_text(keys_of("analyze", "admin", "label"))
    flags = ("--backend", f"onnx:{repository}", "--flow", str(folder / "flow"), "--flow-train-command", TRAIN,
             "--auth-keys", str(keys))  # fmt: skip
    with Gateway(*flags) as gateway, Web(gateway.target, folder / "store", "--auth-keys", str(keys)) as web:
        yield Served(gateway, web)


def test_data_are_made_learned_from_and_a_model_answers_and_goes(served: Served) -> None:
    made = served.ask("GenerateData", plants=["A"], historical_days=30, seed=5, with_rows=True)
    assert (made.series, len(made.rows), made.last_day) == (9, 270, "2025-12-31")
    assert made.law_error < 0.1
    first = made.rows[0]
    assert (first.plant, first.application, first.panel_size, first.location_id) == ("A", "TV", "32", 0)
    begun = served.ask("Train", data_id=made.data_id, lstm_units_1=32, learning_rate=0.01, why="try").operation
    assert (begun.state, begun.who, begun.why) == ("running", "key:admin", "try")
    ended: list[pb.FlowOperation] = []

    def over() -> bool:
        ended[:] = [served.ask("GetOperation", operation_id=begun.operation_id).operation]
        return bool(ended[0].state != "running")

    wait_for(over, 120)  # as long as other trainings get
    assert (ended[0].state, ended[0].progress) == ("succeeded", 1.0), ended[0].message
    assert f"{made.data_id}.csv in " in ended[0].message
    [model] = served.ask("ListModels", "analyze").models
    assert (model.model_id, model.name, model.last_day, model.problem) == ("1", "epc_flow/1", "2025-12-31", "")
    assert {one.name: list(one.values) for one in model.dimensions} == {
        "plant": ["P1", "P2"], "application": ["TV"], "panel_size": ["32", "55"],
    }  # fmt: skip
    found = served.ask("Predict", "analyze", plant="P1", planned_throughput=50, prediction_days=14)
    assert (found.model, len(found.days), found.days[0].day) == ("epc_flow/1", 14, "2026-01-01")
    assert all(one.wip.lower <= one.wip.value <= one.wip.upper for one in found.days)
    assert all(0 <= one.feasibility <= 1 for one in found.days)
    assert [one.measure for one in found.methods] == ["wip", "throughput", "cycle_h"]
    assert not any(one.HasField("coverage") for one in (*found.methods, *model.methods))  # this version has none
    assert found.advice[0].rule == "feasible_throughput"
    numbers = found.advice[0].numbers
    assert numbers["feasible_throughput"] == pytest.approx(numbers["wip"] * 24 / numbers["cycle_time_h"])
    assert not served.ask("Predict", "analyze").days[0].HasField("feasibility")


def test_scans_are_measured_without_what_is_flagged(served: Served) -> None:
    scans = [pb.FlowScan.FromString(one.SerializeToString()) for one in many(40).data]
    found = served.ask("Measure", "analyze", data=scans, detector="none")
    assert (found.left_out, found.method) == (0, "")
    assert sum(row.arrivals for row in found.rows) == 8
    law = found.law
    assert law.mean_wip == pytest.approx(law.items_per_h * law.hours_in_window)
    scans[0].epc_code = "forged"
    judged = served.ask("Measure", "analyze", data=scans, detector="rules")
    assert (judged.left_out, judged.method) == (1, "rule-based")


def test_scans_of_clocks_that_were_wrong_are_refused(served: Served) -> None:
    scans = [pb.FlowScan.FromString(one.SerializeToString()) for one in many(40).data]
    scans[0].event_time.FromJsonString("9999-01-01T00:00:00Z")
    with pytest.raises(grpc.RpcError) as caught:
        served.ask("Measure", "analyze", data=scans, detector="none")
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "data" in fields_of(caught.value)


def test_a_plan_is_checked(served: Served) -> None:
    assert served.ask("Validate", "analyze", wip=100, throughput=50, cycle_time_days=2).holds
    found = served.ask("Validate", "analyze", wip=100, throughput=50, cycle_time_days=2.5)
    assert (found.holds, found.ratio, found.wip, found.throughput, found.cycle_time_days) == (False, 0.8, 125, 40, 2)
    assert found.advice[0].rule == "little"


def test_the_same_over_http(served: Served) -> None:
    web = served.web
    assert web.get("/api/models").status == 401
    assert web.get("/api/models", **ANALYST).json()["models"][0]["modelId"] == "1"
    made = web.post(PATHS["GenerateData"], {"plants": ["A"], "panelSizes": [55], "historicalDays": 20}, **ADMIN)
    assert (made.status, made.json()["series"]) == (200, 3)
    begun = web.post(PATHS["Train"], {"lstmUnits1": 64, "trainTestSplit": 0.8}, **ADMIN)
    assert begun.status == 202
    unknown = web.get(f"{PATHS['Train']}?operationId=none", **ADMIN)
    assert (unknown.status, unknown.json()["errors"][0]["field"]) == (404, "operationId")
    asked = f"{PATHS['Train']}?operationId={begun.json()['operation']['operationId']}"
    web.wait(lambda: web.get(asked, **ADMIN).json()["operation"]["state"] == "succeeded", "end")
    body = {"plant": "P1", "panelSize": 55, "currentWIP": 120, "plannedThroughput": 55, "predictionDays": 30}
    days = web.post(PATHS["Predict"], body, **ANALYST).json()["days"]
    assert len(days) == 30
    assert set(days[0]) == {"day", "wip", "throughput", "cycleTimeH", "feasibility"}
    assert web.post(PATHS["Validate"], PLAN, **ANALYST).json()["holds"] is True
    described = web.get("/openapi.json", **ANALYST).json()["paths"]
    assert {"/api/model/{model_id}", "/api/models", *PATHS.values()} <= set(described)
    assert "currentWIP" in str(described["/api/model/predict"])


BAD = [
    ("Predict", {"site": "12"}, "site"),  # a dimension that the model lacks
    ("Predict", {"step": "WMS", "product": "1"}, "step"),
    ("Predict", {"plant": "P9"}, "plant"),
    ("Predict", {"plant": "x" * 201}, "plant"),
    ("Predict", {"predictionDays": 61}, "predictionDays"),
    ("Predict", {"predictionDays": -1}, "predictionDays"),
    ("Predict", {"currentWIP": -1}, "currentWIP"),
    ("Predict", {"plannedThroughput": 1e13}, "plannedThroughput"),
    ("Predict", {"modelId": "../1"}, "modelId"),
    ("Predict", {"modelId": "77"}, "modelId"),
    ("Validate", PLAN | {"wip": 0}, "wip"),
    ("Validate", PLAN | {"throughput": -1}, "throughput"),
    ("Validate", PLAN | {"cycleTimeDays": 1e13}, "cycleTimeDays"),
    ("Validate", PLAN | {"tolerance": 1}, "tolerance"),
    ("Validate", PLAN | {"throughput": 1e-300, "cycleTimeDays": 1e-300}, "throughput"),
    ("GenerateData", {"plants": ["A", "A"]}, "plants"),
    ("GenerateData", {"historicalDays": 0}, "historicalDays"),
    ("GenerateData", {"baseWIP": 0}, "baseWIP"),
    ("GenerateData", {"baseThroughput": 1e6}, "baseThroughput"),
    ("GenerateData", {"seasonality": 2}, "seasonality"),
    ("GenerateData", {"noiseLevel": -1}, "noiseLevel"),
    ("Train", {"lstmUnits1": 0}, "lstmUnits1"),
    ("Train", {"dropoutRate": 1}, "dropoutRate"),
    ("Train", {"trainTestSplit": 1}, "trainTestSplit"),
    ("Train", {"dataId": "0" * 16}, "dataId"),
]


@pytest.mark.parametrize(("method", "body", "field"), BAD, ids=lambda value: str(value)[:40])
def test_bad_inputs_name_the_field_by_both_ways(served: Served, method: str, body: dict[str, Any], field: str) -> None:
    said = served.web.post(PATHS[method], body, **ADMIN)
    assert said.status in (400, 404)
    assert field in [one["field"] for one in said.json()["errors"]]
    request = ParseDict(body, getattr(pb, f"FlowService{method}Request")())
    with pytest.raises(grpc.RpcError) as caught:
        ask_flow(served.gateway.target, method, request, "admin")
    snake = next(one.name for one in request.DESCRIPTOR.fields if one.json_name == field)
    assert snake in fields_of(caught.value)
    assert caught.value.code() in (grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND)


def fields_of(error: Any) -> list[str]:  # noqa: ANN401 - of gRPC
    """Return the fields that an error names, in its details or in words."""
    found = [error.details().partition(":")[0]]
    for key, value in error.trailing_metadata():
        if key == "grpc-status-details-bin":
            for detail in status_pb2.Status.FromString(value).details:
                bad = error_details_pb2.BadRequest()
                if detail.Unpack(bad):
                    found += [one.field for one in bad.field_violations]
    return found


@pytest.mark.parametrize(
    ("method", "body"),
    [
        ("Predict", {"plantt": "P1"}),
        ("Predict", {"predictionDays": 0}),
        ("Validate", {"wip": "many"}),
        ("Validate", {"wip": 1}),
    ],
)
def test_what_is_no_request_is_said_by_http(served: Served, method: str, body: dict[str, Any]) -> None:
    said = served.web.post(PATHS[method], body, **ANALYST)
    assert said.status == 400
    assert {one["field"] for one in said.json()["errors"]} & {"plantt", "predictionDays", "wip", "throughput"}


def test_all_fields_have_the_names_of_json(served: Served) -> None:
    said = served.web.post(PATHS["GenerateData"], {"historicalDays": 0, "baseWIP": -1}, **ADMIN).json()
    assert {one["field"] for one in said["errors"]} == {"historicalDays", "baseWIP"}
    assert said["detail"].startswith("historicalDays: is 0: ")
    assert "; baseWIP: is -1: " in said["detail"]


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"detector": "magic"}, "detector"),
        ({"detector": "none"}, "data"),
        ({"window_begin": "2025-01-01T00:00:00Z"}, "window_end"),
    ],
)
def test_scans_that_cannot_be_measured(served: Served, fields: dict[str, str], named: str) -> None:
    request = ParseDict(fields, pb.FlowServiceMeasureRequest())
    with pytest.raises(grpc.RpcError) as caught:
        ask_flow(served.gateway.target, "Measure", request, "analyze")
    assert named in fields_of(caught.value)


def test_who_may_what(served: Served, gateway: Gateway) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        served.ask("Train", "analyze")
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
    with pytest.raises(grpc.RpcError) as caught:
        served.ask("Predict", "label")
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert served.web.post(PATHS["Train"], {}, **ANALYST).status == 403
    with pytest.raises(grpc.RpcError) as caught:
        ask_flow(gateway.target, "GenerateData")
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert "--flow FOLDER" in caught.value.details()
    with pytest.raises(grpc.RpcError) as caught:
        ask_flow(gateway.target, "Predict")
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION


def test_a_model_is_removed_for_good(served: Served) -> None:
    deleted = served.web.ask("DELETE", "/api/model/1", b"", ADMIN)
    assert (deleted.status, deleted.json()["models"]) == (200, [])
    assert served.web.ask("DELETE", "/api/model/1", b"", ADMIN).status == 404
