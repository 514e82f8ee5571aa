"""A gateway whose networks of flow run on a real Triton: swaps lose no call, and a dead server is said."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from service.flow.forecast.forecaster import FlowForecaster
from service.flow.forecast.question import FlowQuestion
from service.pb.epcsentinel.v1 import models_pb2
from tests.servers.triton.fixture import TritonServer
from tests.support.flows.model import ask_flow, backtest_metrics, champion_metrics
from tests.support.flows.network import network_version
from tests.support.gateway import ROOT, Gateway
from tests.support.processes import wait_for


class OnTriton:
    """A gateway, its repository, and the server that it tells what to load."""

    def __init__(self, gateway: Gateway, triton: TritonServer, repository: Path) -> None:
        self.target, self.triton, self.repository = gateway.target, triton, repository

    def promote(self, version: int) -> None:
        request = models_pb2.ModelServicePromoteRequest(model="epc_flow", version=version, why="next")
        with grpc.insecure_channel(self.target) as channel:
            call = channel.unary_unary("/epcsentinel.v1.ModelService/Promote")
            call(request.SerializeToString(), timeout=60)

    def predict(self) -> Any:  # noqa: ANN401 - the answer
        return ask_flow(self.target, "Predict", prediction_days=30)


@pytest.fixture
def on_triton(tmp_path: Path) -> Iterator[OnTriton]:
    repository = tmp_path / "repository"
    repository.mkdir()
    (tmp_path / "none").mkdir()
    for name in ("epc_lstm", "epc_svm"):
        (repository / name).symlink_to(ROOT / "model_repository" / name)
    with TritonServer(tmp_path / "none", extra_args=["--model-control-mode=explicit"]) as triton:
        where = ("--backend", f"triton://{triton.url}", "--triton-control", "explicit", "--triton-config", "cpu")
        with Gateway(
            *where, "--model-repository", str(repository), "--lifecycle", str(tmp_path / "lifecycle"),
            "--model-service", "--flow", str(tmp_path / "flow"),
        ) as gateway:  # fmt: skip
            yield OnTriton(gateway, triton, repository)


def test_swaps_lose_no_call_and_a_dead_server_is_said(on_triton: OnTriton, flow_repository: Path) -> None:
    champion = network_version(flow_repository, on_triton.repository, 1, 1.0, backtest_metrics())
    on_triton.promote(1)
    heard: dict[str, np.ndarray] = {}
    failures: list[grpc.RpcError] = []
    over = threading.Event()

    def caller() -> None:
        while not over.is_set():
            try:
                found = on_triton.predict()
            except grpc.RpcError as error:
                failures.append(error)
                continue
            values = np.array([[day.wip.value, day.throughput.value, day.cycle_time_h.value] for day in found.days])
            heard[found.model] = values

    callers = [threading.Thread(target=caller) for _ in range(3)]
    for one in callers:
        one.start()
    for number in range(2, 6):  # more than a shelf keeps: some are unloaded meanwhile
        metrics = champion_metrics(champion, its=0.1)
        champion = network_version(flow_repository, on_triton.repository, number, 1 - 0.1 * number, metrics)
        on_triton.promote(number)
        wait_for(lambda number=number: f"epc_flow/{number}" in heard)  # type: ignore[misc]
    over.set()
    for one in callers:
        one.join()
    assert not failures
    for number in range(2, 6):
        days = FlowForecaster.load(on_triton.repository, number).predict(FlowQuestion(days=30)).days
        expected = [[day.wip.value, day.throughput.value, day.cycle_h.value] for day in days]
        np.testing.assert_allclose(heard[f"epc_flow/{number}"], expected, rtol=1e-5, atol=1e-5)
    on_triton.triton.stop()
    with pytest.raises(grpc.RpcError) as caught:
        on_triton.predict()
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert "for the network of epc_flow/5" in caught.value.details()
    on_triton.triton.start()  # without any model: what is asked for is loaded again
    wait_for(lambda: _answers(on_triton))


def _answers(on_triton: OnTriton) -> bool:
    try:
        on_triton.predict()
    except grpc.RpcError:
        return False
    return True
