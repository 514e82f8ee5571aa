"""Requests that come together are run together, by Triton's own statistics: its batcher, and the gateway's passes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import grpc
import pytest
from tritonclient.grpc import InferenceServerClient

from service.model.triton_backend import TritonBackend
from service.pb.epcsentinel.v1 import anomaly_pb2 as pb
from tests.servers.triton.fixture import TritonServer
from tests.support.backends import random_request, soon
from tests.support.gateway import SERVICE, Gateway
from tests.support.requests import many

CALLS = 64


@dataclass(frozen=True)
class Counted:
    """What a Triton server did with version 1 of the LSTM since it began."""

    requests: int
    inferences: int  # sequences
    executions: int  # runs of the model

    @classmethod
    def at(cls, url: str) -> Self:
        """Ask the server."""
        with InferenceServerClient(url) as client:
            [model] = client.get_inference_statistics("epc_lstm", "1").model_stats
        return cls(model.inference_stats.success.count, model.inference_count, model.execution_count)

    def __sub__(self, before: Counted) -> Counted:
        return Counted(
            self.requests - before.requests,
            self.inferences - before.inferences,
            self.executions - before.executions,
        )


def test_triton_merges_requests_of_direct_callers(triton_server: TritonServer) -> None:
    """They come when this process has sent them: if that is slower than the server, it takes more of them at once."""

    async def ask_together(calls: int) -> None:
        backend = TritonBackend(triton_server.url, "epc_lstm", 1)
        try:
            await asyncio.gather(*(backend.infer(*random_request(1, seed=seed), soon()) for seed in range(calls)))
        finally:
            await backend.close()

    found = []
    for calls in (CALLS, 4 * CALLS, 16 * CALLS):
        before = Counted.at(triton_server.url)
        asyncio.run(ask_together(calls))
        done = Counted.at(triton_server.url) - before
        assert (done.requests, done.inferences) == (calls, calls), "a sequence each"
        found.append(done)
        if done.executions < done.inferences:
            return
    pytest.fail(f"each ran alone: {found}")


def test_triton_runs_requests_that_come_one_by_one_alone(triton_server: TritonServer) -> None:
    """The other side: the statistics can tell."""

    async def ask_in_turn() -> None:
        backend = TritonBackend(triton_server.url, "epc_lstm", 1)
        try:
            for seed in range(5):
                await backend.infer(*random_request(1, seed=seed), soon())
        finally:
            await backend.close()

    before = Counted.at(triton_server.url)
    asyncio.run(ask_in_turn())
    assert Counted.at(triton_server.url) - before == Counted(requests=5, inferences=5, executions=5)


@pytest.fixture(scope="module")
def production(bundled_repository: Path) -> Iterator[TritonServer]:
    with TritonServer(bundled_repository) as server:
        yield server


def test_the_gateway_merges_the_calls_of_its_clients(production: TritonServer) -> None:
    body = many(50).SerializeToString()  # 10 journeys of 5 events: one length, nothing but time keeps them apart
    flags = ("--backend", f"triton://{production.url}", "--no-fallback", "--probe-interval-s", "3600",
             "--model-timeout-s", "30")  # fmt: skip  # a slow machine is no reason to try a pass again
    with Gateway(*flags) as gateway, grpc.insecure_channel(gateway.target) as channel:
        analyze = channel.unary_unary(f"/{SERVICE}/Analyze")
        analyze(body, timeout=30)
        for calls in (CALLS, 2 * CALLS, 4 * CALLS):  # in the end more than are answered while this process sends them
            before = Counted.at(production.url)
            answers = [call.result() for call in [analyze.future(body, timeout=60) for _ in range(calls)]]
            done = Counted.at(production.url) - before
            assert {pb.AnalyzeResponse.FromString(answer).method for answer in answers} == {"lstm-deep-learning"}
            assert done.inferences == 10 * calls
            assert done.executions <= done.requests
            if done.requests < calls and done.inferences > 10 * done.executions:
                break
    assert done.requests < calls, f"the gateway's passes are of several calls: {done}"
    assert done.inferences > 10 * done.executions, f"more sequences in a run than any call has: {done}"
