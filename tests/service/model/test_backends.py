"""One suite for all backends, then what can only go wrong with one of them. Triton is the real server."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import grpc
import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state
from tritonclient.utils import InferenceServerException

from service.errors import DeadlineExceeded, ModelUnavailable
from service.model.backend import CHUNK, Backend, infer_in_chunks, probe
from service.model.onnx_backend import ONNX_ERRORS, OnnxBackend
from service.model.repository import load
from service.model.triton_backend import TritonBackend, map_error
from tests.servers.triton.fixture import FEATURES, SPEC_HASH, TritonServer

F = len(FEATURES)
TIMEOUT_S = 10.0

Request = tuple[NDArray[np.float32], NDArray[np.int64]]
OpenBackend = Callable[[int], Backend]
"""Opens the backend under test on a version of ``small_repository``."""


@pytest.fixture(params=["onnx", "triton"])
def open_backend(request: pytest.FixtureRequest, small_repository: Path) -> OpenBackend:
    if request.param == "onnx":
        return lambda version: OnnxBackend(small_repository / "epc_lstm" / str(version) / "model.onnx")
    server: TritonServer = request.getfixturevalue("triton_server")
    return lambda version: TritonBackend(server.url, "epc_lstm", version)


def random_request(B: int, T: int = 8, seed: int = 0) -> Request:
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(B, T, F)).astype(np.float32)
    features[:, :, 0] = rng.integers(0, 2, size=(B, 1))  # both modes
    return features, rng.integers(1, T + 1, size=(B, 1))


def using(backend: Backend, work: Callable[[Backend], Awaitable[None]]) -> None:
    """Run ``work`` with ``backend`` in a new event loop, then close the backend."""

    async def run() -> None:
        try:
            await work(backend)
        finally:
            await backend.close()

    asyncio.run(run())


# --- every backend -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [1, 2])
def test_answers_are_those_of_the_model_file(open_backend: OpenBackend, small_repository: Path, version: int) -> None:
    session = onnxruntime.InferenceSession(small_repository / "epc_lstm" / str(version) / "model.onnx")

    async def work(backend: Backend) -> None:
        for B, T in ((1, 1), (1, 4), (5, 8), (64, 4), (2 * CHUNK + 1, 8)):
            features, lengths = random_request(B, T)
            (expected,) = session.run(None, {"features": features, "lengths": lengths})
            found = await backend.infer(features, lengths, TIMEOUT_S)
            assert found.dtype == np.float32
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)

    using(open_backend(version), work)


def test_batched_answer_equals_the_single_answer(open_backend: OpenBackend) -> None:
    async def work(backend: Backend) -> None:
        features, lengths = random_request(6)
        together = await backend.infer(features, lengths, TIMEOUT_S)
        for i in range(6):
            alone = await backend.infer(features[i : i + 1], lengths[i : i + 1], TIMEOUT_S)
            np.testing.assert_allclose(alone[0], together[i], rtol=0, atol=1e-5)

    using(open_backend(1), work)


def test_padding_does_not_matter(open_backend: OpenBackend) -> None:
    async def work(backend: Backend) -> None:
        features, lengths = random_request(8)
        real = np.arange(features.shape[1]) < lengths
        dirty = np.where(real[:, :, None], features, np.float32(1e6))
        np.testing.assert_array_equal(
            await backend.infer(dirty, lengths, TIMEOUT_S), await backend.infer(features, lengths, TIMEOUT_S)
        )

    using(open_backend(1), work)


def test_concurrent_calls_get_their_own_answers(open_backend: OpenBackend) -> None:
    async def work(backend: Backend) -> None:
        requests = [random_request(B=1 + seed % 5, T=(4, 8)[seed % 2], seed=seed) for seed in range(40)]
        alone = [await backend.infer(*request, TIMEOUT_S) for request in requests]
        together = await asyncio.gather(*(backend.infer(*request, TIMEOUT_S) for request in requests))
        for expected, found in zip(alone, together, strict=True):
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)

    using(open_backend(1), work)


def test_deadline_is_kept_and_the_backend_lives_on(open_backend: OpenBackend) -> None:
    async def work(backend: Backend) -> None:
        await backend.infer(*random_request(1), TIMEOUT_S)
        for timeout_s in (-1.0, 0.0, 0.002):
            start = time.monotonic()
            with pytest.raises(DeadlineExceeded):
                await backend.infer(*random_request(40 * CHUNK), timeout_s)
            assert time.monotonic() - start < 1
        await backend.infer(*random_request(1), TIMEOUT_S)
        await backend.infer(*random_request(1), None)

    using(open_backend(1), work)


def wrong_requests() -> Iterator[tuple[str, Request, str]]:
    features, lengths = random_request(2, T=4)
    yield "no sequences", (features[:0], lengths[:0]), "features must be"
    yield "one feature too many", (np.repeat(features, 2, axis=2), lengths), "features|refused the input"
    yield "float64", (features.astype(np.float64), lengths), "float64"  # type: ignore[arg-type]
    yield "flat", (features[0], lengths), "features"
    yield "flat lengths", (features, lengths[:, 0]), "lengths must be int64"
    yield "int32 lengths", (features, lengths.astype(np.int32)), "int32"  # type: ignore[arg-type]
    yield "lengths of other sequences", (features, lengths[:1]), "lengths"
    yield "NaN", (np.where(features > 1, np.float32(np.nan), features), lengths), "finite"
    yield "length 0", (features, lengths * 0), r"1\.\.4, got 0\.\.0"
    yield "length beyond T", (features, lengths * 0 + 5), r"1\.\.4, got 5\.\.5"


@pytest.mark.parametrize(("request_", "message"), [pytest.param(r, m, id=name) for name, r, m in wrong_requests()])
def test_wrong_request_is_refused_alone(open_backend: OpenBackend, request_: Request, message: str) -> None:
    async def work(backend: Backend) -> None:
        good = [backend.infer(*random_request(2, T=4), TIMEOUT_S) for _ in range(4)]
        results = await asyncio.gather(*good, backend.infer(*request_, TIMEOUT_S), return_exceptions=True)
        assert all(isinstance(result, np.ndarray) for result in results[:4])
        with pytest.raises(ModelUnavailable, match=message):
            raise results[4]

    using(open_backend(1), work)


def test_probe_knows_its_version(open_backend: OpenBackend, small_repository: Path) -> None:
    manifests = {v: load(small_repository, v, feature_spec_hash=SPEC_HASH).manifest for v in (1, 2)}

    async def work(backend: Backend) -> None:
        await probe(backend, manifests[2])
        with pytest.raises(ModelUnavailable, match="serves another model"):
            await probe(backend, manifests[1])

    using(open_backend(2), work)


def test_closed_backend_is_unavailable(open_backend: OpenBackend) -> None:
    async def work(backend: Backend) -> None:
        await backend.infer(*random_request(1), TIMEOUT_S)
        await backend.close()
        with pytest.raises(ModelUnavailable):
            await backend.infer(*random_request(1), TIMEOUT_S)

    using(open_backend(1), work)


def test_embedded_and_triton_agree(small_repository: Path, triton_server: TritonServer) -> None:
    async def compare() -> None:
        embedded = OnnxBackend(small_repository / "epc_lstm" / "1" / "model.onnx")
        remote = TritonBackend(triton_server.url, "epc_lstm", 1)
        request = random_request(300)
        a, b = await asyncio.gather(embedded.infer(*request, TIMEOUT_S), remote.infer(*request, TIMEOUT_S))
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-5)
        await asyncio.gather(embedded.close(), remote.close())

    asyncio.run(compare())


def test_failure_of_one_chunk_is_the_failure_of_the_request() -> None:
    async def run(
        features: NDArray[np.float32], _lengths: NDArray[np.int64], _left_s: float | None
    ) -> NDArray[np.float32]:
        if features[0, 0, 0] < 0:
            raise ModelUnavailable("chunk 2 failed")
        return np.zeros((*features.shape[:2], 5), dtype=np.float32)

    features, lengths = random_request(2 * CHUNK)
    features[:CHUNK, 0, 0], features[CHUNK:, 0, 0] = 1, -1
    with pytest.raises(ModelUnavailable, match="chunk 2 failed"):
        asyncio.run(infer_in_chunks(run, features, lengths, TIMEOUT_S, parallel=2))


@pytest.mark.parametrize(
    ("answer", "message"),
    [(np.full((2, 8, 5), np.nan, np.float32), "not finite"), (np.zeros((2, 8, 4), np.float32), r"\[2, 8, 4\]")],
)
def test_answer_outside_the_contract_is_a_failure(answer: NDArray[np.float32], message: str) -> None:
    async def run(*_: object) -> NDArray[np.float32]:
        return answer

    with pytest.raises(ModelUnavailable, match=message):
        asyncio.run(infer_in_chunks(run, *random_request(2), TIMEOUT_S, parallel=2))


# --- the embedded model ------------------------------------------------------------------------------------------


def test_every_exception_of_onnxruntime_is_mapped() -> None:
    vendor = [v for v in vars(onnxruntime_pybind11_state).values() if isinstance(v, type) and issubclass(v, Exception)]
    assert {"Fail", "InvalidArgument", "RuntimeException", "NoSuchFile"} <= {error.__name__ for error in vendor}
    assert all(issubclass(error, ONNX_ERRORS) for error in vendor)


@pytest.mark.parametrize("content", [None, b"", b"not a model"])
def test_file_that_is_no_model(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "model.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelUnavailable) as caught:
        OnnxBackend(path)
    assert str(tmp_path) not in str(caught.value)
    assert isinstance(caught.value.__cause__, ONNX_ERRORS)


# --- the model server --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("model", "version"), [("epc_lstm", 9), ("nobody", 1)])
def test_unknown_model_or_version(triton_server: TritonServer, model: str, version: int) -> None:
    async def work(backend: Backend) -> None:
        with pytest.raises(ModelUnavailable, match="does not serve this version"):
            await backend.infer(*random_request(1), TIMEOUT_S)

    using(TritonBackend(triton_server.url, model, version), work)


def test_server_that_hangs_dies_and_comes_back(small_repository: Path) -> None:
    async def fails_soon(backend: Backend, error: type[Exception], timeout_s: float) -> None:
        start = time.monotonic()
        with pytest.raises(error):
            await backend.infer(*random_request(1), timeout_s)
        assert time.monotonic() - start < 1

    async def works_again(backend: Backend) -> None:
        for _ in range(50):
            try:
                await backend.infer(*random_request(1), 1.0)
                return
            except (ModelUnavailable, DeadlineExceeded):
                await asyncio.sleep(0.1)
        pytest.fail("the backend did not come back within 5 s")

    async def hang(pid: int) -> None:
        os.kill(pid, signal.SIGSTOP)
        threads = list(Path(f"/proc/{pid}/task").iterdir())
        while not all((thread / "stat").read_text().rpartition(")")[2].split()[0] == "T" for thread in threads):
            await asyncio.sleep(0.01)  # the signal is under way: on a busy machine, a thread still answers

    async def work(backend: Backend) -> None:
        await fails_soon(backend, ModelUnavailable, TIMEOUT_S)  # not up yet
        server.start()
        await works_again(backend)
        await hang(server.pid)
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
            await backend.infer(*random_request(1), TIMEOUT_S)
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
            await backend.infer(*random_request(1), TIMEOUT_S)
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
