"""The network of a flow model on a real Triton: the embedded answers, loaded when asked for, refused when wrong."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import astuple, replace
from pathlib import Path

import numpy as np
import pytest
import tritonclient.grpc

from export.flow import export_flow
from service.errors import ModelRepositoryError, ModelUnavailable, WrongModel
from service.flow.forecast.forecaster import FlowForecaster
from service.flow.forecast.manifest import FLOW_MODEL, FlowVersion, read_flow_version
from service.flow.forecast.question import FlowForecast, FlowQuestion
from service.flow.forecast.triton_network import TritonPlace
from service.flow.shelf import FlowShelf
from service.model.manifest import MODEL_FILE
from tests.servers.triton.fixture import TritonServer
from tests.support.flows.network import by_network, network_version
from tests.support.processes import stand_still, wait_for
from tests.training.flow.plants import CONFIG, plants
from training.flow.history import FlowHistory
from training.flow.train import train_flow

QUESTIONS = (FlowQuestion(days=60), FlowQuestion(plant="P1", days=7), FlowQuestion(application="TV", current_wip=90.0))


@pytest.fixture(scope="module")
def triton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonServer]:
    with TritonServer(tmp_path_factory.mktemp("none"), extra_args=["--model-control-mode=explicit"]) as server:
        yield server


def place(server: TritonServer, repository: Path, *, explicit: bool = True) -> TritonPlace:
    return TritonPlace(server.url, repository, is_explicit=explicit, config="cpu", timeout_s=20.0)


def numbers(forecast: FlowForecast) -> np.ndarray:
    return np.array([[*astuple(day.wip), *astuple(day.throughput), *astuple(day.cycle_h)] for day in forecast.days])


def is_loaded(server: TritonServer, name: str) -> bool:
    client = tritonclient.grpc.InferenceServerClient(server.url)
    try:
        return bool(client.is_model_ready(name))
    finally:
        client.close()


def test_triton_answers_as_this_process_does(triton: TritonServer, flow_repository: Path, tmp_path: Path) -> None:
    network_version(flow_repository, tmp_path, 1)
    here, there = FlowForecaster.load(tmp_path), FlowForecaster.load(tmp_path, triton=place(triton, tmp_path))
    for question in QUESTIONS:
        expected, found = numbers(here.predict(question)), numbers(there.predict(question))
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    there.retire()
    assert not is_loaded(triton, f"{FLOW_MODEL}_v1")
    np.testing.assert_allclose(numbers(there.predict(QUESTIONS[0])), numbers(here.predict(QUESTIONS[0])), rtol=1e-5)
    there.retire()


def test_a_repository_that_triton_loads_by_itself_answers_too(flow_repository: Path, tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    network_version(flow_repository, repository, 1)
    shorter = CONFIG.model_copy(update={"sequence_length": 7, "epochs": 1, "trees": 1})
    train_flow(FlowHistory(plants(80)), shorter, tmp_path / "run", lambda _what, _done: None)
    export_flow(tmp_path / "run", repository)  # its config is for 7 days, which version 1 does not see
    second = read_flow_version(repository, 2)
    second = FlowVersion(by_network(second.manifest), second.files)
    with TritonServer(repository) as server:
        told = place(server, repository, explicit=False)
        with pytest.raises(ModelUnavailable, match="for the network of epc_flow/1"):
            FlowForecaster.load(repository, 1, triton=told).prepare()
        there = FlowForecaster(second, told)
        found = numbers(there.predict(QUESTIONS[0]))
        expected = numbers(FlowForecaster(second).predict(QUESTIONS[0]))
        np.testing.assert_allclose(found, expected, rtol=1e-5)
        server.stop()
        with pytest.raises(ModelUnavailable, match="cannot be reached or is not ready, for the network of epc_flow/2"):
            there.predict(QUESTIONS[0])
        server.start()
        wait_for(lambda: _answers(there))


def _answers(forecaster: FlowForecaster) -> bool:
    try:
        forecaster.predict(FlowQuestion(days=1))
    except ModelUnavailable:
        return False
    return True


def test_another_network_under_the_name_of_a_version_is_refused(
    triton: TritonServer, flow_repository: Path, tmp_path: Path
) -> None:
    network_version(flow_repository, tmp_path, 7)
    client = tritonclient.grpc.InferenceServerClient(triton.url)
    there = FlowForecaster.load(tmp_path, triton=place(triton, tmp_path))
    there.prepare()
    config = client.get_model_config(f"{FLOW_MODEL}_v7", as_json=True)["config"]
    trees = (tmp_path / FLOW_MODEL / "7" / "trees.onnx").read_bytes()
    client.unload_model(f"{FLOW_MODEL}_v7")
    client.load_model(f"{FLOW_MODEL}_v7", config=json.dumps(config), files={"file:7/model.onnx": trees})
    with pytest.raises(WrongModel, match=r"the probe of epc_flow/7 is off by .*: it serves another model"):
        there.predict(FlowQuestion(days=3))
    client.unload_model(f"{FLOW_MODEL}_v7")
    wait_for(lambda: _answers(there))  # and is asked again once it is right
    there.retire()
    client.close()


def test_a_server_that_hangs_costs_one_call_its_time_and_others_nothing(
    triton: TritonServer, flow_repository: Path, tmp_path: Path
) -> None:
    network_version(flow_repository, tmp_path, 9)
    there = FlowForecaster.load(tmp_path, triton=replace(place(triton, tmp_path), timeout_s=1.0))
    wait_for(lambda: _answers(there))
    stand_still(triton.pid)
    try:
        took_s = []
        for _ in range(4):
            begun = time.monotonic()
            with pytest.raises(ModelUnavailable, match="did not answer for epc_flow/9 in time"):
                there.predict(QUESTIONS[0])
            took_s.append(time.monotonic() - begun)
        assert 0.9 < took_s[0] < 5
        assert min(took_s[1:]) < 0.5  # each, if nothing else holds it up
    finally:
        os.kill(triton.pid, signal.SIGCONT)
    wait_for(lambda: _answers(there))


def test_versions_that_leave_the_shelf_are_unloaded(
    triton: TritonServer, flow_repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.flow.shelf._LINGER_S", 0.1)
    shelf = FlowShelf(tmp_path, triton=place(triton, tmp_path))
    for number in range(11, 16):
        network_version(flow_repository, tmp_path, number)
        forecaster, problems = shelf.answering()
        assert (forecaster.title, problems) == (f"{FLOW_MODEL}/{number}", [])
        forecaster.predict(FlowQuestion(days=1))
    wait_for(lambda: not is_loaded(triton, f"{FLOW_MODEL}_v11"))
    assert all(is_loaded(triton, f"{FLOW_MODEL}_v{number}") for number in range(12, 16))
    shelf.delete("15")
    wait_for(lambda: not is_loaded(triton, f"{FLOW_MODEL}_v15"))
    assert shelf.loaded() == [12, 13, 14]


def test_many_threads_load_a_version_once_and_all_answer(
    triton: TritonServer, flow_repository: Path, tmp_path: Path
) -> None:
    network_version(flow_repository, tmp_path, 21)
    there = FlowForecaster.load(tmp_path, triton=place(triton, tmp_path))
    found: list[np.ndarray] = []
    threads = [threading.Thread(target=lambda: found.append(numbers(there.predict(QUESTIONS[0])))) for _ in range(6)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    expected = numbers(FlowForecaster.load(tmp_path).predict(QUESTIONS[0]))
    assert len(found) == len(threads)
    for one in found:
        np.testing.assert_allclose(one, expected, rtol=1e-5, atol=1e-5)


def test_a_repository_without_a_config_of_triton_says_so(
    triton: TritonServer, flow_repository: Path, tmp_path: Path
) -> None:
    network_version(flow_repository, tmp_path, 1)
    shutil.rmtree(tmp_path / FLOW_MODEL / "configs")
    with pytest.raises(ModelRepositoryError, match=r"configs/cpu.pbtxt is missing or no config of Triton"):
        FlowForecaster.load(tmp_path, triton=place(triton, tmp_path))
    assert (tmp_path / FLOW_MODEL / "1" / MODEL_FILE).exists()
