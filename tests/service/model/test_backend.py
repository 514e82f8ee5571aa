"""One suite for all backends: the contract that each of them keeps. Triton is the real server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from service.errors import DeadlineExceeded, ModelUnavailable
from service.model.backend import CHUNK, Backend, infer_in_chunks, probe
from service.model.onnx_backend import OnnxBackend
from service.model.repository import load
from service.model.triton_backend import TritonBackend
from service.runtime.deadline import NEVER, Deadline
from tests.servers.triton.fixture import SPEC_HASH, TritonServer
from tests.support.backends import Request, random_request, soon, using

OpenBackend = Callable[[int], Backend]
"""Opens the backend under test on a version of ``small_repository``."""


@pytest.fixture(params=["onnx", "triton"])
def open_backend(request: pytest.FixtureRequest, small_repository: Path) -> OpenBackend:
    if request.param == "onnx":
        return lambda version: OnnxBackend(small_repository / "epc_lstm" / str(version) / "model.onnx")
    server: TritonServer = request.getfixturevalue("triton_server")
    return lambda version: TritonBackend(server.url, "epc_lstm", version)


@pytest.mark.parametrize("version", [1, 2])
def test_answers_are_those_of_the_model_file(open_backend: OpenBackend, small_repository: Path, version: int) -> None:
    session = onnxruntime.InferenceSession(small_repository / "epc_lstm" / str(version) / "model.onnx")

    async def work(backend: Backend) -> None:
        for B, T in ((1, 1), (1, 4), (5, 8), (64, 4), (2 * CHUNK + 1, 8)):
            features, lengths = random_request(B, T)
            (expected,) = session.run(None, {"features": features, "lengths": lengths})
            found = await backend.infer(features, lengths, soon())
            assert found.dtype == np.float32
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)

    using(open_backend(version), work)


def test_batched_answer_equals_the_single_answer(open_backend: OpenBackend) -> None:
    async def work(backend: Backend) -> None:
        features, lengths = random_request(6)
        together = await backend.infer(features, lengths, soon())
        for i in range(6):
            alone = await backend.infer(features[i : i + 1], lengths[i : i + 1], soon())
            np.testing.assert_allclose(alone[0], together[i], rtol=0, atol=1e-5)

    using(open_backend(1), work)


def test_padding_does_not_matter(open_backend: OpenBackend) -> None:
    async def work(backend: Backend) -> None:
        features, lengths = random_request(8)
        real = np.arange(features.shape[1]) < lengths
        dirty = np.where(real[:, :, None], features, np.float32(1e6))
        np.testing.assert_array_equal(
            await backend.infer(dirty, lengths, soon()), await backend.infer(features, lengths, soon())
        )

    using(open_backend(1), work)


def test_concurrent_calls_get_their_own_answers(open_backend: OpenBackend) -> None:
    async def work(backend: Backend) -> None:
        requests = [random_request(B=1 + seed % 5, T=(4, 8)[seed % 2], seed=seed) for seed in range(40)]
        alone = [await backend.infer(*request, soon()) for request in requests]
        together = await asyncio.gather(*(backend.infer(*request, soon()) for request in requests))
        for expected, found in zip(alone, together, strict=True):
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)

    using(open_backend(1), work)


def test_deadline_is_kept_and_the_backend_lives_on(open_backend: OpenBackend) -> None:
    async def work(backend: Backend) -> None:
        await backend.infer(*random_request(1), soon())
        large, took_s = random_request(40 * CHUNK), []
        for timeout_s in (-1.0, 0.0, 0.002):
            start = time.monotonic()
            with pytest.raises(DeadlineExceeded):
                await backend.infer(*large, Deadline.after(timeout_s))
            took_s.append(time.monotonic() - start)
        assert float(np.median(took_s)) < 1  # the median: a busy machine may do something else during one
        await backend.infer(*random_request(1), soon())
        await backend.infer(*random_request(1), NEVER)

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
        good = [backend.infer(*random_request(2, T=4), soon()) for _ in range(4)]
        results = await asyncio.gather(*good, backend.infer(*request_, soon()), return_exceptions=True)
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
        await backend.infer(*random_request(1), soon())
        await backend.close()
        with pytest.raises(ModelUnavailable):
            await backend.infer(*random_request(1), soon())

    using(open_backend(1), work)


def test_embedded_and_triton_agree(small_repository: Path, triton_server: TritonServer) -> None:
    async def compare() -> None:
        embedded = OnnxBackend(small_repository / "epc_lstm" / "1" / "model.onnx")
        remote = TritonBackend(triton_server.url, "epc_lstm", 1)
        request = random_request(300)
        a, b = await asyncio.gather(embedded.infer(*request, soon()), remote.infer(*request, soon()))
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-5)
        await asyncio.gather(embedded.close(), remote.close())

    asyncio.run(compare())


def test_failure_of_one_chunk_is_the_failure_of_the_request() -> None:
    async def run(
        features: NDArray[np.float32], _lengths: NDArray[np.int64], _deadline: Deadline
    ) -> NDArray[np.float32]:
        if features[0, 0, 0] < 0:
            raise ModelUnavailable("chunk 2 failed")
        return np.zeros((*features.shape[:2], 5), dtype=np.float32)

    features, lengths = random_request(2 * CHUNK)
    features[:CHUNK, 0, 0], features[CHUNK:, 0, 0] = 1, -1
    with pytest.raises(ModelUnavailable, match="chunk 2 failed"):
        asyncio.run(infer_in_chunks(run, features, lengths, NEVER, parallel=2))


@pytest.mark.parametrize(
    ("answer", "message"),
    [(np.full((2, 8, 5), np.nan, np.float32), "not finite"), (np.zeros((2, 8, 4), np.float32), r"\[2, 8, 4\]")],
)
def test_answer_outside_the_contract_is_a_failure(answer: NDArray[np.float32], message: str) -> None:
    async def run(*_: object) -> NDArray[np.float32]:
        return answer

    with pytest.raises(ModelUnavailable, match=message):
        asyncio.run(infer_in_chunks(run, *random_request(2), NEVER, parallel=2))
