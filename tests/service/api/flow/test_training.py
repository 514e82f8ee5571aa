"""A real training through FlowService is ended before its time: its processes go, and nothing of it is used."""

from __future__ import annotations

from pathlib import Path

from service.pb.epcsentinel.v1 import flow_pb2 as pb
from tests.support.flows.model import ask_flow, flow_repository
from tests.support.gateway import Gateway
from tests.support.processes import wait_for


def commands_in(folder: Path) -> list[str]:
    """Return the command lines of running processes that name ``folder``."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:  # it has ended
            continue
        if f"{folder}/runs" in words:
            found.append(words)
    return found


def test_a_training_beside_a_log_of_promotions_ends_at_the_gate(tmp_path: Path) -> None:
    repository, folder = flow_repository(tmp_path), tmp_path / "flow"
    flags = ("--flow", str(folder), "--lifecycle", str(tmp_path / "lifecycle"))
    with Gateway("--backend", f"onnx:{repository}", *flags) as gateway:
        ask_flow(gateway.target, "GenerateData", plants=["A"], applications=["TV"], historical_days=80)
        began = ask_flow(gateway.target, "Train", epochs=1).operation

        def now() -> pb.FlowOperation:
            answer: pb.FlowServiceGetOperationResponse
            answer = ask_flow(gateway.target, "GetOperation", operation_id=began.operation_id)
            return answer.operation

        wait_for(lambda: now().state != "running", 120)
        states = {one.model_id: one.state for one in ask_flow(gateway.target, "ListModels").models}
        passed = now().state == "succeeded"
        assert states == {"1": "none", "2": "champion" if passed else "none"}
        assert ("epc_flow/2 is the champion now" if passed else "version 2 does not pass the gate") in now().message


def test_a_training_at_work_is_cancelled(tmp_path: Path) -> None:
    repository, folder = flow_repository(tmp_path), tmp_path / "flow"
    with Gateway("--backend", f"onnx:{repository}", "--flow", str(folder)) as gateway:

        def now(operation_id: str) -> pb.FlowOperation:
            found: pb.FlowOperation = ask_flow(gateway.target, "GetOperation", operation_id=operation_id).operation
            return found

        ask_flow(gateway.target, "GenerateData", plants=["A"], historical_days=120)
        began = ask_flow(gateway.target, "Train", epochs=40, lstm_units_1=128, why="by mistake").operation
        wait_for(lambda: 0 < now(began.operation_id).progress < 1, 120)
        assert commands_in(folder)
        assert ask_flow(gateway.target, "CancelOperation", operation_id=began.operation_id).operation.state == "running"
        wait_for(lambda: now(began.operation_id).state != "running", 60)
        ended = now(began.operation_id)
        assert (ended.state, ended.message, bool(ended.ended_at)) == ("cancelled", "cancelled", True)
        assert not commands_in(folder)
        assert [one.model_id for one in ask_flow(gateway.target, "ListModels").models] == ["1"]
        again = ask_flow(gateway.target, "CancelOperation", operation_id=began.operation_id).operation
        assert again.state == "cancelled"
        following = ask_flow(gateway.target, "Train", epochs=1000).operation  # the turn is free again
        assert following.operation_id != began.operation_id
        ask_flow(gateway.target, "CancelOperation", operation_id=following.operation_id)
        wait_for(lambda: now(following.operation_id).state == "cancelled", 60)
