"""A model server that hangs, whose connection is dead, or that serves another model: what that costs."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import numpy as np
import pytest
import uvloop
from numpy.typing import NDArray

from service.detect.model_detector import ModelDetector
from service.errors import DeadlineExceeded, ModelUnavailable
from service.features.case import View
from service.features.reference import Reference
from service.features.table import feature_spec_hash
from service.model.backend import infer_in_chunks
from service.model.breaker import Breaker
from service.model.guarded_backend import GuardedBackend
from service.model.manifest import Manifest
from service.model.repository import Model
from service.model.repository import load as load_model
from service.pb.epcsentinel.v1 import anomaly_pb2 as pb
from service.runtime.deadline import NEVER, Deadline
from tests.servers.relay import Relay
from tests.servers.triton.fixture import TritonServer
from tests.support.gateway import Gateway
from tests.support.processes import stand_still, wait_for
from tests.support.requests import call, many
from tests.support.versions import shift_scores
from tests.support.worlds import code, journey, to_events

CALLS_PER_S = 5  # few: those that wait for the model when it hangs are all answered at the same time
MODEL_S = 1.5
"""What a call gives the model, by default."""

DEADLINE_S = 2 * MODEL_S
"""Time for a slow machine to answer by the rules then; not for asking the model a second time."""

BODY = many(50).SerializeToString()


@dataclass
class Load:
    """Calls at a steady rate, each with a deadline; what became of them, with the moment that each began."""

    answers: list[tuple[float, float, pb.AnalyzeResponse]] = field(default_factory=list)  # (began, took, answer)
    lost: list[grpc.StatusCode] = field(default_factory=list)

    def methods(self, since: float, until: float) -> list[str]:
        """Return who judged the calls that began between two moments."""
        return [answer.method for began, _, answer in self.answers if since <= began < until]

    def wait_model(self) -> None:
        """Wait until the model judges, ten calls in a row."""
        since = time.monotonic()
        wait_for(lambda: self.methods(since, time.monotonic())[-10:] == ["lstm-deep-learning"] * 10)


@contextmanager
def load(target: str, timeout_s: float | None = DEADLINE_S) -> Iterator[Load]:
    """Put load on a gateway while the block runs."""
    found, stop = Load(), threading.Event()
    threads: list[threading.Thread] = []

    def one() -> None:
        began = time.monotonic()
        try:
            answer = pb.AnalyzeResponse.FromString(ask(BODY, timeout=timeout_s))
        except grpc.RpcError as error:
            found.lost.append(error.code())
        else:
            found.answers.append((began, time.monotonic() - began, answer))

    def begin() -> None:
        while not stop.wait(1 / CALLS_PER_S):
            threads.append(threading.Thread(target=one))
            threads[-1].start()

    with grpc.insecure_channel(target) as channel:
        ask = channel.unary_unary("/epcsentinel.v1.AnomalyService/Analyze")
        starter = threading.Thread(target=begin)
        starter.start()
        try:
            yield found
        finally:
            stop.set()
            starter.join()
            for thread in threads:
                thread.join()


@pytest.mark.parametrize("timeout_s", [DEADLINE_S, None])
def test_a_hung_server_costs_quality_and_no_call(
    bundled_repository: Path, start_gateway: Callable[..., Gateway], timeout_s: float | None
) -> None:
    with TritonServer(bundled_repository) as triton:
        gateway = start_gateway(
            "--backend", f"triton://{triton.url}", "--model-repository", str(bundled_repository)
        )  # fmt: skip
        with load(gateway.target, timeout_s) as found:
            found.wait_model()
            stand_still(triton.pid)
            hung = time.monotonic()
            time.sleep(4 * MODEL_S)  # for some trials
            wait_for(lambda: len(found.methods(hung, time.monotonic() - MODEL_S)) > 20)
            rules = pb.AnalyzeResponse.FromString(
                call(gateway.target, "Analyze", many(5, pb.DETECTOR_RULES).SerializeToString(), timeout=10)
            )
            back = time.monotonic()
            os.kill(triton.pid, signal.SIGCONT)
            found.wait_model()
        assert rules.method == "rule-based"
        assert not found.lost
        assert max(took for _, took, _ in found.answers) < DEADLINE_S
        given_up = back - MODEL_S  # a trial that began later may have got its answer in the end
        assert set(found.methods(hung, given_up)) == {"rule-based-fallback"}
        warnings = {answer.warning for _, _, answer in found.answers if answer.warning}
        assert any("the model did not answer within 1.5 s" in warning for warning in warnings)
        events = [line["event"] for line in gateway.log()]
        assert "the model is left alone" in events
        assert "the model is asked again" in events


def test_a_connection_that_swallows_everything_is_replaced(
    bundled_repository: Path, start_gateway: Callable[..., Gateway]
) -> None:
    with TritonServer(bundled_repository) as triton, Relay(triton.url) as relay:
        gateway = start_gateway(
            "--backend", f"triton://{relay.address}", "--model-repository", str(bundled_repository)
        )  # fmt: skip
        with load(gateway.target) as found:
            found.wait_model()
            dead = time.monotonic()
            relay.swallow()
            wait_for(lambda: "rule-based-fallback" in found.methods(dead, time.monotonic()))
            found.wait_model()
        assert not found.lost
        assert relay.accepted >= 2


@pytest.fixture
def bundled_model(bundled_repository: Path) -> tuple[Model, Reference]:
    model = load_model(bundled_repository, feature_spec_hash=feature_spec_hash())
    return model, Reference.from_json(model.manifest.reference)


@pytest.fixture
def bundled_manifest(bundled_model: tuple[Model, Reference]) -> Manifest:
    return bundled_model[0].manifest


class Slow:
    """A backend that takes its time, and knows its deadline; a failing one if told so."""

    any_length, on_trial = True, False

    def __init__(self, seconds: float) -> None:
        self.seconds, self.fails, self.calls = seconds, False, 0

    async def infer(
        self, features: NDArray[np.float32], lengths: NDArray[np.int64], deadline: Deadline
    ) -> NDArray[np.float32]:
        self.calls += 1

        async def run(part: NDArray[np.float32], _lengths: NDArray[np.int64], _: Deadline) -> NDArray[np.float32]:
            await asyncio.sleep(self.seconds)
            if self.fails:
                raise ModelUnavailable("down")
            return np.full((*part.shape[:2], 5), 0.5, dtype=np.float32)

        return await infer_in_chunks(run, features, lengths, deadline, parallel=2)

    async def renew(self) -> None: ...

    async def prepare(self) -> None: ...

    async def retire(self) -> None: ...

    async def close(self) -> None: ...


ONE = (np.zeros((1, 4, 3), dtype=np.float32), np.full((1, 1), 4, dtype=np.int64))


@pytest.mark.parametrize("budget_s", [None, 1.5])
def test_a_callers_own_deadline_says_nothing_of_the_model(bundled_manifest: Manifest, budget_s: float | None) -> None:
    """On uvloop, as a gateway runs: its timers come up to a millisecond early."""

    async def main() -> Breaker:
        breaker = Breaker("epc_lstm/1")
        guarded = GuardedBackend(Slow(0.05), bundled_manifest, breaker, budget_s)
        for number in range(100):
            with pytest.raises(DeadlineExceeded):
                await guarded.infer(*ONE, Deadline.after(0.0051 + number * 1e-5))
        return breaker

    assert not uvloop.run(main()).is_open


def test_a_request_of_several_batches_closes_the_breaker_when_the_model_is_back(
    bundled_model: tuple[Model, Reference],
) -> None:
    async def main() -> list[bool]:
        model, reference = bundled_model
        slow, breaker = Slow(0.01), Breaker("epc_lstm/1", rest_s=0.05)
        detector = ModelDetector(GuardedBackend(slow, model.manifest, breaker, 1.5), model, reference)
        view = View(to_events([scan for at in range(1_200) for scan in journey(code(at))]), causal=True)
        slow.fails = True
        for _ in range(2):
            with pytest.raises(ModelUnavailable):
                await detector.judge(view, NEVER)
        slow.fails = False
        await asyncio.sleep(0.1)
        await detector.judge(view, NEVER)
        return [breaker.is_open, slow.calls > 4]

    assert uvloop.run(main()) == [False, True]


@pytest.mark.parametrize("fallback", [True, False])
def test_a_server_of_another_model_judges_nothing(
    bundled_repository: Path, start_gateway: Callable[..., Gateway], tmp_path: Path, fallback: bool
) -> None:
    other = tmp_path / "other"
    shutil.copytree(bundled_repository, other)
    shift_scores(other / "epc_lstm" / "1" / "model.onnx", 2.0)
    with TritonServer(other) as triton:
        gateway = start_gateway(
            "--backend", f"triton://{triton.url}", "--model-repository", str(bundled_repository),
            *([] if fallback else ["--no-fallback"]), ready=fallback,
        )  # fmt: skip
        line = gateway.wait_log("the model answers wrongly and is left alone")
        assert "serves another model" in line["reason"]
        if fallback:
            answer = pb.AnalyzeResponse.FromString(call(gateway.target, "Analyze", BODY))
            assert answer.method == "rule-based-fallback"
            assert "serves another model" in answer.warning
        else:
            assert gateway.health() == "NOT_SERVING"
            with pytest.raises(grpc.RpcError) as caught:
                call(gateway.target, "Analyze", BODY)
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


def test_a_canary_of_another_model_judges_nothing_and_is_named(
    two_versions: Path, start_gateway: Callable[..., Gateway], tmp_path: Path
) -> None:
    other = tmp_path / "other"
    shutil.copytree(two_versions, other)
    shift_scores(other / "epc_lstm" / "2" / "model.onnx", 2.0)
    with TritonServer(other) as triton:
        gateway = start_gateway(
            "--backend", f"triton://{triton.url}", "--model-repository", str(two_versions), "--model-version", "1",
            "--canary-model-version", "2", "--canary-percent", "100",
        )  # fmt: skip
        assert gateway.wait_log("canary degraded")["reason"].startswith("the model's answer to the probe of version 2")
        answer = pb.AnalyzeResponse.FromString(call(gateway.target, "Analyze", BODY))
        assert (answer.method, answer.model_version) == ("lstm-deep-learning", "epc_lstm/1")
        assert answer.warning.startswith("epc_lstm/2 could not answer")
