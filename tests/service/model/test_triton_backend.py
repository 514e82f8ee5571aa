"""What can only go wrong with a model server. Triton is the real one."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import time
from pathlib import Path

import grpc
import pytest
from tritonclient.utils import InferenceServerException

from service.errors import DeadlineExceeded, ModelUnavailable
from service.model.backend import Backend
from service.model.triton_backend import TritonBackend, map_error
from service.runtime.deadline import Deadline
from tests.servers.triton.fixture import TritonServer
from tests.support.backends import TIMEOUT_S, random_request, soon, using
from tests.support.processes import stand_still


@pytest.mark.parametrize(("model", "version"), [("epc_lstm", 9), ("nobody", 1)])
def test_unknown_model_or_version(triton_server: TritonServer, model: str, version: int) -> None:
    async def work(backend: Backend) -> None:
        with pytest.raises(ModelUnavailable, match="does not serve this version"):
            await backend.infer(*random_request(1), soon())

    using(TritonBackend(triton_server.url, model, version), work)


def test_server_that_hangs_dies_and_comes_back(small_repository: Path) -> None:
    async def fails_soon(backend: Backend, error: type[Exception], timeout_s: float) -> None:
        start = time.monotonic()
        with pytest.raises(error):
            await backend.infer(*random_request(1), Deadline.after(timeout_s))
        assert time.monotonic() - start < TIMEOUT_S / 2

    async def works_again(backend: Backend) -> None:
        begun = time.monotonic()
        while True:
            try:
                await backend.infer(*random_request(1), Deadline.after(1.0))
                return
            except (ModelUnavailable, DeadlineExceeded):
                assert time.monotonic() - begun < 30
                await asyncio.sleep(0.1)

    async def work(backend: Backend) -> None:
        await fails_soon(backend, ModelUnavailable, TIMEOUT_S)  # not up yet
        server.start()
        await works_again(backend)
        stand_still(server.pid)
        await fails_soon(backend, DeadlineExceeded, 0.3)
        os.kill(server.pid, signal.SIGCONT)
        await works_again(backend)
        server.kill()
        await fails_soon(backend, ModelUnavailable, TIMEOUT_S)
        server.start()
        await works_again(backend)

    server = TritonServer(small_repository)
    try:
        using(TritonBackend(server.url, "epc_lstm", 1), work)
    finally:
        server.kill()


def test_address_of_something_else_is_unavailable() -> None:
    async def run() -> None:
        other = grpc.aio.server()
        port = other.add_insecure_port("127.0.0.1:0")
        await other.start()
        backend = TritonBackend(f"127.0.0.1:{port}", "epc_lstm", 1)
        with pytest.raises(ModelUnavailable, match="not answer as a Triton server"):
            await backend.infer(*random_request(1), soon())
        await backend.close()
        await other.stop(None)

    asyncio.run(run())


INTERNAL = "/opt/secret.py line 12"


@pytest.mark.parametrize("code", list(grpc.StatusCode))
def test_every_status_is_mapped_without_internals(code: grpc.StatusCode) -> None:
    metadata = grpc.aio.Metadata()
    errors: tuple[Exception, ...] = (
        InferenceServerException(INTERNAL, status=str(code), debug_details=INTERNAL),
        grpc.aio.AioRpcError(code, metadata, metadata, details=INTERNAL),
    )
    expected = DeadlineExceeded if code is grpc.StatusCode.DEADLINE_EXCEEDED else ModelUnavailable
    for error in errors:
        mapped = map_error(error)
        assert type(mapped) is expected
        assert INTERNAL not in str(mapped)
        assert type(map_error(error, patience_over=True)) is ModelUnavailable


@pytest.mark.parametrize(
    "error", [InferenceServerException(INTERNAL), ValueError(INTERNAL), OSError(INTERNAL)], ids=repr
)
def test_failure_without_a_status_is_mapped(error: Exception) -> None:
    mapped = map_error(error)
    assert type(mapped) is ModelUnavailable
    assert INTERNAL not in str(mapped)


def test_original_error_is_chained_for_the_log(triton_server: TritonServer) -> None:
    async def work(backend: Backend) -> None:
        with pytest.raises(ModelUnavailable) as caught:
            await backend.infer(*random_request(1), soon())
        assert isinstance(caught.value.__cause__, InferenceServerException)

    using(TritonBackend(triton_server.url, "epc_lstm", 9), work)


def test_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tritonclient.grpc.aio", None)
    with pytest.raises(ModelUnavailable, match=r"epc-sentinel\[triton\]"):
        TritonBackend("127.0.0.1:1", "epc_lstm", 1)


def test_ready_server_is_ours_and_leaves_nothing_behind(triton_server: TritonServer, small_repository: Path) -> None:
    with TritonServer(small_repository) as other:
        assert other.id != triton_server.id
        pid, root = other.pid, other.log.parent
    assert not root.exists()
    with pytest.raises(ProcessLookupError):
        os.killpg(pid, 0)


def test_server_refuses_a_config_that_the_graph_does_not_have(small_repository: Path, tmp_path: Path) -> None:
    repository = shutil.copytree(small_repository, tmp_path / "repository")
    config = repository / "epc_lstm" / "configs" / "cpu.pbtxt"
    config.write_text(config.read_text().replace("dims: 5\n", "dims: 4\n"))
    with pytest.raises(RuntimeError, match=r"output probabilities: config TYPE_FP32 \[-?'?-1'?, '?4'?\]"):
        TritonServer(repository).start()
