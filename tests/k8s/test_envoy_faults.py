"""Envoy when its pod goes, and when a gateway hangs; and what it shows of itself."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from service.pb.epcsentinel.v1 import anomaly_pb2 as pb
from tests.k8s.overlays import find, overlay
from tests.servers.envoy import Envoy
from tests.support.client import METHOD, Client
from tests.support.gateway import Gateway
from tests.support.processes import stand_still, wait_for
from tests.support.requests import call, many

POD = find("Deployment", "envoy", overlay("envoy"))["spec"]["template"]["spec"]


def drain(envoy: Envoy, wait_s: float) -> subprocess.Popen[bytes]:
    """Start the preStop command of the manifest, on another port and with a shorter wait."""
    shell, flag, script = POD["containers"][0]["lifecycle"]["preStop"]["exec"]["command"]
    for place, here in (("127.0.0.1/9901", f"127.0.0.1/{envoy.admin_port}"), ("sleep 30", f"sleep {wait_s}")):
        assert place in script
        script = script.replace(place, here)
    return subprocess.Popen([shell, flag, script])


def test_a_pod_has_time_to_drain() -> None:
    script = POD["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][-1]
    assert POD["terminationGracePeriodSeconds"] >= int(script.rpartition("sleep ")[2]) + 10


def test_a_pod_that_goes_sends_its_clients_away_and_cuts_no_call(gateway: Gateway) -> None:
    large = many(50_000).SerializeToString()
    envoy = Envoy(gateway.target)
    try:
        envoy.wait_healthy("stable", 1)
        with ThreadPoolExecutor() as pool, grpc.insecure_channel(envoy.target) as channel:
            ask = channel.unary_unary(METHOD)
            ask(many(5).SerializeToString(), timeout=10)  # connected
            running = [pool.submit(call, envoy.target, "Analyze", large) for _ in range(4)]
            active = "cluster.stable.upstream_rq_active"
            wait_for(lambda: envoy.stats(active)[active] or all(one.done() for one in running))
            draining = drain(envoy, 10)
            wait_for(lambda: "DRAINING" in status(envoy, "/ready"))
            for _ in range(5):
                ask(many(5).SerializeToString(), timeout=60)  # still answered, and told to go
            assert all(pb.AnalyzeResponse.FromString(one.result()).file_id == 1 for one in running)
            assert envoy.stats("http.front.downstream_cx_drain_close")["http.front.downstream_cx_drain_close"] >= 1
            assert draining.wait(60) == 0
    finally:
        envoy.stop()


def test_a_gateway_that_hangs_costs_no_call(gateway: Gateway, start_gateway: Callable[..., Gateway]) -> None:
    hangs = start_gateway()
    with Envoy(gateway.target, hangs.target, 50) as envoy:
        envoy.wait_healthy("canary", 1)
        with Client(envoy.target, threads=24, per_s=60) as live:
            wait_for(lambda: len(live.answers) > 50)
            stand_still(hangs.pid)
            envoy.wait_healthy("canary", 0)
            known = time.monotonic()
            wait_for(lambda: live.versions(since=known).total() > 100)
        os.kill(hangs.pid, signal.SIGCONT)
    assert live.lost() == []
    slow = [answer for answer in live.answers if answer.duration_s > 2]
    assert slow, "some calls met the gateway that hangs"
    assert max(answer.sent for answer in slow) < known, "then nobody is sent there"
    assert max(answer.duration_s for answer in slow) < 14


def status(envoy: Envoy, path: str, body: bytes | None = None) -> str:
    """Return what the port for kubelets and Prometheus answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{envoy.status_port}{path}", body, timeout=5) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError as error:
        return f"{error.code} {error.read().decode()}"


def test_others_see_how_it_is_and_change_nothing_and_calls_are_logged(gateway: Gateway) -> None:
    with Envoy(gateway.target) as envoy:
        envoy.wait_healthy("stable", 1)
        assert status(envoy, "/ready") == "LIVE\n"
        assert "envoy_cluster_upstream_rq_total" in status(envoy, "/stats/prometheus")
        for path, body in (("/clusters", None), ("/config_dump", None), ("/quitquitquit", b""), ("/ready", b"")):
            assert status(envoy, path, body).startswith("404"), path
        call(envoy.target, "Analyze", many(5).SerializeToString())
        with pytest.raises(grpc.RpcError):
            call(envoy.target, "Analyze", b"nonsense")
        wait_for(lambda: len(envoy.access_log()) == 2)  # written every ten seconds, or when there is enough
        lines = envoy.access_log()
        assert [(line["path"], line["grpc_status"]) for line in lines] == [
            (METHOD, "OK"),
            (METHOD, "InvalidArgument"),
        ]
        assert lines[0]["gateway"] == gateway.target
        assert json.dumps(lines[0]["duration_ms"]).isdigit()
