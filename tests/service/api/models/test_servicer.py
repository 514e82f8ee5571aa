"""ModelService of a running gateway: who may call it, what it moves, and commands that run long."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from service.pb.epcsentinel.v1 import models_pb2 as pb
from tests.support.command import run
from tests.support.gateway import Gateway
from tests.support.processes import wait_for
from tests.support.requests import analyze, many
from tests.support.secrets import keys_of
from tests.support.versions import flip_last_byte
from tests.support.web.server import Web

SLOW = "sh -c 'for i in 1 2 3 4; do echo step $i 25%; sleep 0.2; done; sleep 300'"
QUICK = "sh -c 'printf \"10 %%\\r\"; echo version {version} against {champion}: 100 %'"


def ask(gateway: Gateway, method: str, token: str = "", **fields: object) -> Any:  # noqa: ANN401 - an answer
    asked = getattr(pb, f"ModelService{method}Request")(**fields)
    answers = getattr(pb, f"ModelService{method}Response")
    with grpc.insecure_channel(gateway.target) as channel:
        raw = channel.unary_unary(f"/epcsentinel.v1.ModelService/{method}")(
            asked.SerializeToString(), timeout=60, metadata=[("authorization", f"Bearer {token}")] if token else []
        )
    return answers.FromString(raw)


def refusal(*arguments: Any, **fields: Any) -> tuple[grpc.StatusCode, str]:  # noqa: ANN401 - of `ask`
    with pytest.raises(grpc.RpcError) as caught:
        ask(*arguments, **fields)
    return caught.value.code(), caught.value.details()


@pytest.fixture(scope="module")
def repository(two_versions: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of three versions, of which the third is damaged."""
    made = shutil.copytree(two_versions, tmp_path_factory.mktemp("models") / "repository")
    shutil.copytree(made / "epc_lstm" / "2", made / "epc_lstm" / "3")
    flip_last_byte(made / "epc_lstm" / "3" / "model.onnx")
    return made


@pytest.fixture
def managed(repository: Path, tmp_path: Path) -> Iterator[Gateway]:
    """A gateway that manages its models, with version 1 in use."""
    with Gateway(
        "--backend", f"onnx:{repository}", "--model-version", "1", "--lifecycle", str(tmp_path), "--model-service",
        "--retrain-command", SLOW, "--validate-command", QUICK,
    ) as running:  # fmt: skip
        yield running


def test_versions_are_listed_moved_and_deleted_and_what_cannot_be_is_said(managed: Gateway, repository: Path) -> None:
    found = ask(managed, "ListModels")
    assert [(one.version, one.state, one.loaded) for one in found.models] == [
        (3, pb.MODEL_STATE_NONE, False), (2, pb.MODEL_STATE_NONE, False), (1, pb.MODEL_STATE_CHAMPION, True),
    ]  # fmt: skip
    assert found.models[0].problem
    assert ask(managed, "LoadModel", version=2, why="to be compared").standing.challenger == 2
    assert {one.version for one in ask(managed, "ListModels").models if one.loaded} == {1, 2}
    assert ask(managed, "Promote", version=2, why="better", instead_of=1).standing.champion == 2
    assert analyze(managed.target, many(5)).model_version == "epc_lstm/2", "it judges when the call returns"
    one = ask(managed, "GetModel", version=2).model
    assert [(entry.action, entry.why) for entry in one.promotions] == [
        ("load", "to be compared"),
        ("promote", "better"),
    ]
    assert one.promotions[0].who.startswith("anonymous@")
    assert one.metrics.fields
    code, details = refusal(managed, "Promote", version=1, why="race", instead_of=1)
    assert (code, details) == (grpc.StatusCode.FAILED_PRECONDITION, "the champion is version 2, not 1: look again")
    for method in ("LoadModel", "Promote"):
        code, details = refusal(managed, method, version=3, why="try")
        assert code is grpc.StatusCode.FAILED_PRECONDITION
        assert details.startswith("version 3 cannot be used: ")
        assert str(repository) not in details
    assert refusal(managed, "DeleteModel", version=2, why="room")[0] is grpc.StatusCode.FAILED_PRECONDITION
    assert refusal(managed, "GetModel", version=9)[0] is grpc.StatusCode.NOT_FOUND
    code, details = refusal(managed, "Promote", version=0, why=" ")
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert "version: " in details
    assert "why: " in details
    assert ask(managed, "Rollback", why="alarms").standing.champion == 1
    assert analyze(managed.target, many(5)).model_version == "epc_lstm/1"
    listed = run("models", "list", "--target", managed.target, "--json")
    assert json.loads(listed.stdout)["standing"]["champion"] == 1


def test_commands_run_long_are_followed_cancelled_and_one_at_a_time(managed: Gateway) -> None:
    begun = ask(managed, "Retrain", why="new verdicts").operation
    assert (begun.kind, begun.state) == ("retrain", pb.OPERATION_STATE_RUNNING)
    wait_for(lambda: ask(managed, "GetOperation", operation_id=begun.operation_id).operation.progress == 0.25)
    code, details = refusal(managed, "Retrain", why="again")
    assert code is grpc.StatusCode.FAILED_PRECONDITION
    assert begun.operation_id in details
    ask(managed, "CancelOperation", operation_id=begun.operation_id)
    ended = []

    def over() -> bool:
        ended[:] = [ask(managed, "GetOperation", operation_id=begun.operation_id).operation]
        return bool(ended[0].state != pb.OPERATION_STATE_RUNNING)

    wait_for(over)
    assert (ended[0].state, bool(ended[0].ended_at)) == (pb.OPERATION_STATE_CANCELLED, True)
    done = run("models", "validate", "2", "--target", managed.target)
    assert (done.returncode, done.stdout.strip()) == (0, "version 2 against 1: 100 %")
    assert refusal(managed, "GetOperation", operation_id="../../x")[0] is grpc.StatusCode.NOT_FOUND


def test_an_operation_goes_on_when_its_gateway_is_killed_and_its_end_counts(
    repository: Path, tmp_path: Path, start_gateway: Callable[..., Gateway]
) -> None:
    go_on = tmp_path / "go on"
    flags = ("--backend", f"onnx:{repository}", "--model-version", "1", "--lifecycle", str(tmp_path), "--model-service",
             "--retrain-command", f"sh -c 'echo half: 50 %; until [ -e \"{go_on}\" ]; do sleep 0.1; done; echo done'",
             "--validate-command", "sleep 300")  # fmt: skip  # as long as a test may take
    first = start_gateway(*flags)
    retraining = ask(first, "Retrain", why="new verdicts").operation.operation_id
    checking = ask(first, "Validate", version=2, why="to be sure").operation.operation_id
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    second = start_gateway(*flags)

    def found(operation_id: str) -> Any:  # noqa: ANN401 - a message
        return ask(second, "GetOperation", operation_id=operation_id).operation

    wait_for(lambda: found(retraining).progress == 0.5)
    assert found(retraining).state == pb.OPERATION_STATE_RUNNING
    assert refusal(second, "Retrain", why="again")[0] is grpc.StatusCode.FAILED_PRECONDITION
    ask(second, "CancelOperation", operation_id=checking)
    go_on.touch()
    wait_for(lambda: found(retraining).state == pb.OPERATION_STATE_SUCCEEDED)
    assert found(retraining).message == "done"
    wait_for(lambda: found(checking).state == pb.OPERATION_STATE_CANCELLED)
    [path] = tmp_path.rglob(f"{retraining}.json")
    path.with_name("notes.json").write_text("{}")
    path.with_name(f"{0:016x}.json").write_text(path.read_text()[:40])
    assert ask(second, "Retrain", why="what is no operation holds nobody up").operation.operation_id


def test_it_is_off_by_default_and_for_admins(
    gateway: Gateway, repository: Path, tmp_path: Path, start_gateway: Callable[..., Gateway]
) -> None:
    code, details = refusal(gateway, "ListModels")
    assert code is grpc.StatusCode.UNIMPLEMENTED
    assert "--model-service" in details
    keys = tmp_path / "keys.toml"
    keys.write_text(keys_of("analyze", "admin"))
    guarded = start_gateway(
        "--backend", f"onnx:{repository}", "--model-version", "1", "--lifecycle", str(tmp_path / "lifecycle"),
        "--model-service", "--auth-keys", str(keys),
    )  # fmt: skip
    assert refusal(guarded, "ListModels", "analyze")[0] is grpc.StatusCode.PERMISSION_DENIED
    assert ask(guarded, "Promote", "admin", version=2, why="better").standing.champion == 2
    assert ask(guarded, "GetModel", "admin", version=2).model.promotions[0].who == "key:admin"


def test_the_same_over_http_for_admins(repository: Path, tmp_path: Path) -> None:
    keys = tmp_path / "keys.toml"
    keys.write_text(keys_of("analyze", "admin"))
    flags = ("--backend", f"onnx:{repository}", "--model-version", "1", "--lifecycle", str(tmp_path / "lifecycle"),
             "--model-service", "--retrain-command", "echo done", "--auth-keys", str(keys))  # fmt: skip
    path, admin = "/api/admin/ml/models", {"Authorization": "Bearer admin"}
    with Gateway(*flags) as gateway, Web(gateway.target, tmp_path / "store", "--auth-keys", str(keys)) as web:
        assert web.get(path).status == 401
        assert web.get(path, Authorization="Bearer analyze").status == 403
        listed = web.get(path, **admin).json()
        assert (len(listed["models"]), listed["standing"]["champion"]) == (3, 1)
        promoted = web.post(path, {"action": "promote", "version": 2, "why": "better", "insteadOf": 1}, **admin)
        assert promoted.json()["standing"]["champion"] == 2
        again = web.post(path, {"action": "promote", "version": 2, "why": "again"}, **admin)
        assert (again.status, again.json()["detail"]) == (409, "version 2 is the champion already")
        assert web.post(path, {"action": "promote", "why": "which"}, **admin).status == 400
        assert web.get(f"{path}?version=2", **admin).json()["model"]["promotions"][0]["who"] == "key:admin"
        begun = web.post("/api/v1/svm/train", {"why": "new verdicts"}, **admin)
        assert begun.status == 202
        asked = f"/api/admin/ml/retrain?operationId={begun.json()['operation']['operationId']}"
        web.wait(lambda: web.get(asked, **admin).json()["operation"]["state"] == "OPERATION_STATE_SUCCEEDED", "end")


def test_hostile_ids_over_http_are_refused_and_move_nothing(repository: Path, tmp_path: Path) -> None:
    flags = ("--backend", f"onnx:{repository}", "--model-version", "1", "--lifecycle", str(tmp_path / "lifecycle"),
             "--model-service", "--retrain-command", "echo done")  # fmt: skip
    path, training = "/api/admin/ml/models", "/api/admin/ml/retrain"
    with Gateway(*flags) as gateway, Web(gateway.target, tmp_path / "store") as web:
        numbers = (
            "0",
            "-1",
            str(2**31),
            str(2**64),
            "9" * 5_000,
            "1e3",
            "NaN",
            "../1",
            "1%00",
            "%EF%BC%91.5",
            "0x1",
            "",
        )
        for one in numbers:
            assert web.get(f"{path}?version={one}").status == 400, one
        assert web.get(f"{path}?version={2**31 - 1}").status == 404
        for one in (
            "../promotions",
            "..%2F..%2Fetc%2Fpasswd",
            "%00",
            "0" * 16,
            "*",
            "%1b[2J",
            "%F0%9F%92%A3",
            "",
            "%FF",
        ):
            assert web.get(f"{training}?operationId={one}").status == 404, one
            assert web.ask("DELETE", f"{training}?operationId={one}", b"", {}).status == 404, one
        assert web.get(f"{training}?operationId={'0' * 65}").status == 400
        bodies: list[object] = [
            {"action": "promote", "version": one, "why": "x"}
            for one in (0, -1, 2**31, 10**400, 1.5, "2; rm", None, [2], {})
        ]
        bodies += [
            {"action": "../delete", "version": 2, "why": "x"},
            {"action": "promote", "version": 2, "why": ""},
            {"action": "promote", "version": 2, "why": "x" * 2_001},
            {"action": "promote", "version": 2, "why": "x", "who": "root"},
            [], "x", None,
        ]  # fmt: skip
        for body in bodies:
            assert web.post(path, body).status == 400, body
        for raw in (b'{"action": "promote", "version": 2, "why": "\\ud800"}', b"{", b"\xff", b"[" * 20_000):
            assert web.post(path, raw, Content_Type="application/json").status == 400, raw[:60]
        standing = web.get(path).json()["standing"]
    assert standing["champion"] == 1
    assert len((tmp_path / "lifecycle" / "promotions.jsonl").read_text().splitlines()) == 1
