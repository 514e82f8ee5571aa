"""A canary of a gateway behind the real Envoy: its share, pinning, files that stay, and no call lost, whatever dies."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import grpc
import numpy as np
import pytest

from service.pb.epcsentinel.v1 import anomaly_pb2 as pb
from tests.servers.envoy import NOBODY, Envoy, canary_py
from tests.servers.prometheus import BINARY, MISSING, Prometheus
from tests.support import client
from tests.support.client import METHOD, Client
from tests.support.gateway import ROOT, Gateway
from tests.support.processes import wait_for
from tests.support.requests import request, scan
from tests.support.versions import add_version

OLD, NEW = "epc_lstm/1", "epc_lstm/2"
HEALTHY = ("--metrics-port", "0", "--history", "none")


@dataclass(frozen=True)
class Rig:
    """A stable gateway of version 1, a canary of version 2, and Envoy in front."""

    envoy: Envoy
    stable: Gateway
    canary: Gateway


@pytest.fixture(scope="module")
def rig(two_versions: Path) -> Iterator[Rig]:
    repository = ("--backend", f"onnx:{two_versions}")
    with (
        Gateway(*repository, "--model-version", "1", *HEALTHY) as stable,
        Gateway(*repository, "--model-version", "2", *HEALTHY) as canary,
        Envoy(stable.target, canary.target, 10) as envoy,
    ):
        envoy.wait_healthy("canary", 1)
        yield Rig(envoy, stable, canary)


def versions(target: str, files: Sequence[int], **headers: str) -> list[str]:
    """Return which version answers for each file; headers of ``headers`` have _ for -."""
    body = request(scan(1))

    def part(own: Sequence[int]) -> list[str]:
        with grpc.insecure_channel(target, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
            call = channel.unary_unary(METHOD, response_deserializer=pb.AnalyzeResponse.FromString)
            answers = [
                client.ask(call, pb.AnalyzeRequest.FromString(body.SerializeToString()), f, **headers) for f in own
            ]
        assert not [answer.error for answer in answers if answer.error]
        return [answer.version for answer in answers]

    parts = np.array_split(np.array(files), 4)
    with ThreadPoolExecutor(4) as pool:
        return [version for found in pool.map(part, [own.tolist() for own in parts]) for version in found]


def test_a_tenth_of_the_files_goes_to_the_canary(rig: Rig) -> None:
    rig.envoy.weigh(10)
    count = 1_200
    share = versions(rig.envoy.target, range(count)).count(NEW) / count
    assert abs(share - 0.1) < 4 * np.sqrt(0.1 * 0.9 / count)  # four standard deviations of the binomial distribution


def test_a_file_stays_with_its_version_and_growth_takes_none_back(rig: Rig) -> None:
    files = range(1_000, 1_200)
    rig.envoy.weigh(10)
    small = versions(rig.envoy.target, files)
    assert versions(rig.envoy.target, files) == small
    rig.envoy.weigh(50)
    grown = versions(rig.envoy.target, files)
    assert {file for file, version in zip(files, small, strict=True) if version == NEW} <= {
        file for file, version in zip(files, grown, strict=True) if version == NEW
    }
    assert 0.3 < grown.count(NEW) / len(files) < 0.7


@pytest.mark.parametrize(("header", "version"), [("always", NEW), ("never", OLD)])
def test_a_header_pins_the_version(rig: Rig, header: str, version: str) -> None:
    rig.envoy.weigh(10)
    assert set(versions(rig.envoy.target, range(60), x_canary=header)) == {version}


def test_promotion_and_rollback_lose_no_call(rig: Rig) -> None:
    rig.envoy.weigh(0)
    with Client(rig.envoy.target, per_s=100) as live:
        share = {}
        for weight in (0, 10, 50, 100, 0):
            rig.envoy.weigh(weight)
            began = time.monotonic() + 0.3  # calls of the weight before are still on their way
            wait_for(lambda began=began: live.versions(began).total() > 100)  # type: ignore[misc]
            share[weight] = live.versions(began, time.monotonic())
    assert live.lost() == []
    assert set(share[100]) == {NEW}
    assert set(share[0]) == {OLD}  # of the rollback, the last one
    assert set(share[50]) == {OLD, NEW}


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_canary_that_dies_under_load_loses_no_call(
    rig: Rig, two_versions: Path, start_gateway: Callable[..., Gateway], number: signal.Signals
) -> None:
    canary = start_gateway("--backend", f"onnx:{two_versions}", "--model-version", "2", *HEALTHY)
    with Envoy(rig.stable.target, canary.target, 50) as envoy:
        envoy.wait_healthy("canary", 1)
        with Client(envoy.target, threads=8, per_s=150) as live:
            wait_for(lambda: live.versions()[NEW] > 10)
            os.kill(canary.pid, number)
            canary.wait()
            gone = time.monotonic()
            wait_for(lambda: live.versions(since=gone).total() > 200)
    assert live.lost() == []
    assert set(live.versions(since=gone)) == {OLD}


def test_a_dead_stable_gateway_loses_no_call_either(rig: Rig, start_gateway: Callable[..., Gateway]) -> None:
    stable = start_gateway(*HEALTHY)
    with Envoy(stable.target, rig.canary.target, 10) as envoy:
        envoy.wait_healthy("canary", 1)
        with Client(envoy.target, threads=8, per_s=100) as live:
            wait_for(lambda: live.versions()[OLD] > 10)
            os.kill(stable.pid, signal.SIGKILL)
            gone = time.monotonic()
            wait_for(lambda: live.versions(since=gone).total() > 200)
    assert live.lost() == []


FAULTS = {"none": None, "no model": "fallback-rate", "shifted scores": "score-distance"}  # and what finds them


@pytest.fixture(scope="module")
def canaries(rig: Rig, two_versions: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Gateway]]:
    """A good canary and bad ones; `python -m tests.tools.e2e` has more."""
    shifted = add_version(two_versions, tmp_path_factory.mktemp("shifted") / "repository", version=3, logit_shift=2.0)
    repository = ("--model-repository", str(two_versions), "--model-version", "2")
    with (
        Gateway("--backend", f"triton://{NOBODY}", *repository, *HEALTHY) as no_model,
        Gateway("--backend", f"onnx:{shifted}", "--model-version", "3", *HEALTHY) as other,
    ):
        yield {"none": rig.canary, "no model": no_model, "shifted scores": other}


@pytest.fixture(scope="module")
def both(two_versions: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway in which a version that scores otherwise judges half of the files."""
    shifted = add_version(two_versions, tmp_path_factory.mktemp("both") / "repository", version=3, logit_shift=2.0)
    canary = ("--model-version", "1", "--canary-model-version", "3", "--canary-percent", "50")
    with Gateway("--backend", f"onnx:{shifted}", *canary, *HEALTHY) as running:
        yield running


@pytest.fixture(scope="module")
def prometheus(rig: Rig, canaries: dict[str, Gateway], both: Gateway) -> Iterator[Prometheus]:
    """Scrapes the stable gateway and every canary; the label track says which it is."""
    named = {"stable": rig.stable, "both": both} | canaries
    targets = {f"127.0.0.1:{g.wait_log('listening')['metrics_port']}": {"track": name} for name, g in named.items()}
    with Prometheus(targets) as running:
        yield running


@pytest.mark.needs(BINARY is not None, MISSING)
@pytest.mark.parametrize("fault", FAULTS)
def test_the_rollout_promotes_a_good_canary_and_rolls_a_bad_one_back(
    rig: Rig, canaries: dict[str, Gateway], prometheus: Prometheus, fault: str
) -> None:
    with Envoy(rig.stable.target, canaries[fault].target) as envoy:
        envoy.wait_healthy("canary", 1)
        with Client(envoy.target, per_s=80) as live:
            done = canary_py(
                "rollout", "--file", str(envoy.routes), "--prometheus", prometheus.url, "--arg", "window=4s",
                "--arg", f'canary=track="{fault}"', "--steps", "30,50", "--step-s", "6", "--interval-s", "1",
                check=False,
            )  # fmt: skip
            after = time.monotonic() + 0.5
            wait_for(lambda: live.versions(since=after).total() > 50)
    assert live.lost() == []
    last = live.versions(since=after)
    if fault == "none":
        assert done.returncode == 0, done.stdout
        assert NEW in last
    else:
        assert done.returncode == 1
        assert f"rollback: {FAULTS[fault]}" in done.stdout
        assert set(last) == {OLD}


@pytest.mark.needs(BINARY is not None, MISSING)
def test_a_model_that_scores_otherwise_is_found_in_the_gateways_that_have_both(
    both: Gateway, prometheus: Prometheus
) -> None:
    template = ROOT / "k8s" / "components" / "model-canary" / "analysis.yaml"
    labels = [
        f'{name}=track="both",model_version="epc_lstm/{version}"' for name, version in (("canary", 3), ("stable", 1))
    ]
    arguments = [part for text in ("window=5s", *labels) for part in ("--arg", text)]
    with Client(both.target, per_s=60):
        time.sleep(6)
        done = canary_py(
            "analyse", "--template", str(template), "--prometheus", prometheus.url, *arguments, check=False
        )
    assert done.returncode == 1, done.stdout
    assert [line.split()[:2] for line in done.stdout.splitlines()] == [
        ["ok", "traffic"], ["ok", "degraded-rate"], ["BAD", "score-distance"],
    ]  # fmt: skip


def test_the_script_says_what_it_cannot_do(tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text("weight: 10\n")
    for arguments, text in (
        (["weight", "10", "--file", str(other)], "needs a line 'weight: N # stable'"),
        (["weight", "101", "--file", str(other)], "0 to 100"),
        (["rollback"], "--file"),
        (["analyse", "--arg", "windows=1m"], "has no argument windows"),
        (["analyse", "--prometheus", f"http://{NOBODY}"], "no answer from"),
    ):
        done = canary_py(*arguments, check=False)
        assert done.returncode != 0
        assert text in done.stderr
