"""The real Envoy with the project's own configuration, on free loopback ports. Works without pytest.

Only addresses and folders differ from `k8s/components/envoy`, and health is asked more often.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

import yaml

from tests.gateway import ROOT

CONFIG = ROOT / "k8s" / "components" / "envoy"
START_S = 20.0

_SPEC = find_spec("envoy")
assert _SPEC is not None
assert _SPEC.origin is not None
BINARY = Path(_SPEC.origin).parent / "_bin" / "envoy"

Config = dict[str, Any]


class Envoy:
    """Envoy in front of ``stable`` and ``canary`` gateways; a context manager that leaves no process behind."""

    def __init__(self, stable: Sequence[str], canary: Sequence[str] = (), weight: int = 10) -> None:
        """Args: ``stable`` and ``canary`` are HOST:PORT of gateways; ``weight`` is the canary's share of 100."""
        self._folder = Path(tempfile.mkdtemp(prefix="envoy-"))
        self.clusters = self._folder / "clusters" / "clusters.yaml"
        self.clusters.parent.mkdir()
        self.weigh(stable, canary, weight)
        self.port, self.admin_port = _free_ports(2)
        self.target = f"127.0.0.1:{self.port}"
        self._log = self._folder / "envoy.log"
        config = self._folder / "envoy.yaml"
        config.write_text(yaml.safe_dump(self._bootstrap()))
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [BINARY, "--config-path", config, "--concurrency", "2", "--use-dynamic-base-id", "--log-level", "warn"],
                stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip
        try:
            self._wait_ready()
        except BaseException:
            self.stop()
            raise

    def weigh(self, stable: Sequence[str], canary: Sequence[str], weight: int) -> None:
        """Write where the gateways are and the canary's weight, as a change of the ConfigMap does: at once."""
        clusters = yaml.safe_load((CONFIG / "clusters.yaml").read_text())
        for cluster in clusters["resources"]:
            for check in cluster["health_checks"]:
                check |= {"interval": "0.2s", "no_traffic_interval": "0.2s"}
            for locality in (assignment := cluster["load_assignment"])["endpoints"]:
                is_canary = locality.get("locality", {}).get("zone", assignment["cluster_name"]) == "canary"
                targets, share = (canary, weight) if is_canary else (stable, 100 - weight)
                locality["lb_endpoints"] = [_endpoint(target) for target in targets]
                if "load_balancing_weight" in locality:
                    locality["load_balancing_weight"] = share or None
        new = self.clusters.with_suffix(".new")
        new.write_text(yaml.safe_dump(clusters))
        new.rename(self.clusters)

    def get(self, path: str) -> str:
        """Return what the administration port answers."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin_port}{path}", timeout=5) as answer:
            return str(answer.read().decode())

    def stats(self, prefix: str) -> dict[str, int]:
        """Return the counters whose names begin with ``prefix``."""
        rows = json.loads(self.get(f"/stats?format=json&filter=^{prefix}"))["stats"]
        return {row["name"]: row["value"] for row in rows if "name" in row}

    def healthy(self, cluster: str) -> int:
        """Return how many endpoints of a cluster take calls."""
        return self.stats(f"cluster.{cluster}.membership_healthy").get(f"cluster.{cluster}.membership_healthy", 0)

    def wait_healthy(self, cluster: str, count: int, within_s: float = START_S) -> None:
        """Wait until a cluster has ``count`` endpoints that take calls."""
        deadline = time.monotonic() + within_s
        while self.healthy(cluster) != count:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.healthy(cluster)} healthy endpoints in {cluster}, not {count}")
            time.sleep(0.02)

    def wait_update(self, updates: int) -> None:
        """Wait until Envoy works by the clusters written after ``updates`` successes."""
        deadline = time.monotonic() + START_S
        while self.updates() <= updates:
            if time.monotonic() > deadline:
                raise RuntimeError(f"Envoy did not take the clusters; its log:\n{self._log.read_text()[-3000:]}")
            time.sleep(0.02)

    def updates(self) -> int:
        """Return how often Envoy took a new file of clusters."""
        return self.stats("cluster_manager.cds.update_success")["cluster_manager.cds.update_success"]

    def stop(self) -> None:
        """End it."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        shutil.rmtree(self._folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _bootstrap(self) -> Config:
        text = (CONFIG / "envoy.yaml").read_text()
        text = text.replace("/etc/envoy/config", str(CONFIG)).replace("/etc/envoy/clusters", str(self.clusters.parent))
        config: Config = yaml.safe_load(text)
        [listener] = config["static_resources"]["listeners"]
        for place, port in ((config["admin"], self.admin_port), (listener, self.port)):
            place["address"]["socket_address"] |= {"address": "127.0.0.1", "port_value": port}
        return config

    def _wait_ready(self) -> None:
        deadline = time.monotonic() + START_S
        while not self._is_ready():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"Envoy is not ready; its log:\n{self._log.read_text()[-3000:]}")
            time.sleep(0.02)

    def _is_ready(self) -> bool:
        try:
            return self.get("/ready").strip() == "LIVE" and self.updates() > 0
        except OSError:
            return False


def _endpoint(target: str) -> Config:
    host, _, port = target.rpartition(":")
    return {"endpoint": {"address": {"socket_address": {"address": host, "port_value": int(port)}}}}


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports
