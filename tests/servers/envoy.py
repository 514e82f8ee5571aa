"""The real Envoy with the project's own configuration, on free loopback ports. Works without pytest.

Only addresses and folders differ from `k8s/components/envoy`.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

from tests.support.gateway import ROOT
from tests.support.processes import end, free_ports

CONFIG = ROOT / "k8s" / "components" / "envoy"
START_S = 20.0
NOBODY = "127.0.0.1:9"
NOWHERE = Path("/nonexistent")

_SPEC = find_spec("envoy")
assert _SPEC is not None
assert _SPEC.origin is not None
BINARY = Path(_SPEC.origin).parent / "_bin" / "envoy"


class Envoy:
    """Envoy in front of ``stable`` and ``canary`` gateways; a context manager that leaves no process behind."""

    def __init__(
        self, stable: str, canary: str = NOBODY, weight: int = 0, *, files: Path = CONFIG, tls: Path = NOWHERE
    ) -> None:
        """Args: ``stable`` and ``canary`` are HOST:PORT of gateways; ``weight`` is the canary's share of 100; ``files``
        and ``tls`` are what its pod has as /etc/envoy/config and /etc/envoy/tls.
        """
        self._folder = Path(tempfile.mkdtemp(prefix="envoy-"))
        self.routes = self._folder / "routes" / "routes.yaml"
        self.routes.parent.mkdir()
        shutil.copy(CONFIG / "routes.yaml", self.routes)
        canary_py("weight", str(weight), "--file", str(self.routes))
        self._gateways = {"epc-sentinel-canary": canary, "epc-sentinel": stable}
        self.port, self.admin_port, self.status_port = free_ports(3)
        self.target = f"127.0.0.1:{self.port}"
        self._log = self._folder / "envoy.log"
        config = self._folder / "config" / "envoy.yaml"
        shutil.copytree(files, config.parent)
        config.write_text(self._bootstrap(config.read_text()))
        for secret in (config.with_name("certificate.yaml"), config.with_name("authority.yaml")):
            secret.write_text(secret.read_text().replace("/etc/envoy/tls", str(tls)))
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [BINARY, "--config-path", config, "--concurrency", "2", "--use-dynamic-base-id", "--log-level", "warn"],
                stdout=log, stderr=subprocess.STDOUT,
            )  # fmt: skip
        try:
            self._wait(self._is_ready, "readiness")
        except BaseException:
            self.stop()
            raise

    def weigh(self, weight: int) -> None:
        """Give the canary another weight as an operator does, and wait until Envoy works by it."""
        before = self.updates()
        canary_py("weight", str(weight), "--file", str(self.routes))
        self._wait(lambda: self.updates() > before, "new routes")

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

    def wait_healthy(self, cluster: str, count: int) -> None:
        """Wait until a cluster has ``count`` endpoints that take calls."""
        self._wait(lambda: self.healthy(cluster) == count, f"{count} healthy gateways in {cluster}")

    def access_log(self) -> list[dict[str, Any]]:
        """Return a record for each call so far."""
        return [json.loads(line) for line in self._log.read_text().splitlines() if line.startswith("{")]

    def updates(self) -> int:
        """Return how often Envoy took a new file of routes."""
        return sum(self.stats("http.front.rds.gateways.update_success").values())

    def stop(self) -> None:
        """End it."""
        end(self._process)
        shutil.rmtree(self._folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _bootstrap(self, text: str) -> str:
        """Return the text of envoy.yaml with other places; the text, because Envoy reads less of YAML than Python."""
        for place, here in (
            ("/etc/envoy/config", str(self._folder / "config")),
            ("/etc/envoy/routes", str(self.routes.parent)),
            ("address: 127.0.0.1, port_value: 9901", f"address: 127.0.0.1, port_value: {self.admin_port}"),
            ("address: 0.0.0.0, port_value: 9902", f"address: 127.0.0.1, port_value: {self.status_port}"),
            ("address: 0.0.0.0, port_value: 8080", f"address: 127.0.0.1, port_value: {self.port}"),
            *((f"address: {name}, port_value: 50051", _place(target)) for name, target in self._gateways.items()),
        ):
            assert place in text
            text = text.replace(place, here)
        return text

    def _wait(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + START_S
        while not condition():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"Envoy: no {what}; its log:\n{self._log.read_text()[-3000:]}")
            time.sleep(0.02)

    def _is_ready(self) -> bool:
        try:
            return self.get("/ready").strip() == "LIVE" and self.updates() > 0
        except OSError:
            return False


def canary_py(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run the operator's script."""
    command = [sys.executable, str(ROOT / "k8s" / "canary.py"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if check and done.returncode != 0:
        raise RuntimeError(done.stderr)
    return done


def _place(target: str) -> str:
    host, _, port = target.rpartition(":")
    return f"address: {host}, port_value: {port}"
