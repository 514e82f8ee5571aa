"""A model server that hangs, whose connection is dead, or that serves another model: what that costs."""

from __future__ import annotations

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
import pytest

from service.pb.epcsentinel.v1 import anomaly_pb2 as pb
from tests.servers.relay import Relay
from tests.servers.triton.fixture import TritonServer
from tests.support.gateway import Gateway
from tests.support.requests import call, many
from tests.support.versions import shift_scores

CALLS_PER_S = 20
DEADLINE_S = 2.0
BODY = many(50).SerializeToString()


@dataclass
class Load:
    """Calls at a steady rate, each with a deadline; what became of them, with the moment that each began."""

    answers: list[tuple[float, float, pb.AnalyzeResponse]] = field(default_factory=list)  # (began, took, answer)
    lost: list[grpc.StatusCode] = field(default_factory=list)

    def methods(self, since: float, until: float) -> list[str]:
        """Return who judged the calls that began between two moments."""
        return [answer.method for began, _, answer in self.answers if since <= began < until]


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
            time.sleep(1)
            hung = time.monotonic()
            os.kill(triton.pid, signal.SIGSTOP)
            time.sleep(7)
            rules = pb.AnalyzeResponse.FromString(
                call(gateway.target, "Analyze", many(5, pb.DETECTOR_RULES).SerializeToString(), timeout=2)
            )
            os.kill(triton.pid, signal.SIGCONT)
            back = time.monotonic()
            time.sleep(5)
        assert rules.method == "rule-based"
        assert not found.lost
        assert max(took for _, took, _ in found.answers) < 2.0
        assert set(found.methods(hung, back - 0.5)) == {"rule-based-fallback"}
        assert set(found.methods(back + 3, time.monotonic())) == {"lstm-deep-learning"}
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
            time.sleep(1)
            dead = time.monotonic()
            relay.swallow()
            time.sleep(7)
        assert not found.lost
        assert set(found.methods(dead + 5, time.monotonic())) == {"lstm-deep-learning"}
        assert relay.accepted >= 2


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
