"""The real gateway process on a free loopback port. A pytest plugin; `Gateway` works without pytest."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from service.settings import load_settings
from tests.support.preloaded import ROOT, popen
from tests.support.processes import log_lines

START_S = 60.0
STOP_S = 30.0
SERVICE = "epcsentinel.v1.AnomalyService"


class Gateway:
    """``epc-sentinel serve`` with ``flags``, as a user starts it; a context manager that leaves no process behind."""

    def __init__(self, *flags: str, ready: bool = True, root: Path = ROOT, **environment: str) -> None:
        """Args: ``ready`` waits for health SERVING; ``root`` is the checkout whose gateway it is; ``environment`` adds
        variables.
        """
        self._log = tempfile.NamedTemporaryFile("w+", prefix="gateway-", suffix=".log")  # noqa: SIM115 - closed in stop
        arguments = ["serve", "--port", "0", "--log-format", "json", *flags]
        if root == ROOT:
            log = self._log.fileno()
            self._process = popen(arguments, environment, log, log)
        else:
            variables = os.environ | {"PYTHONPATH": str(root)} | environment
            command = [sys.executable, "-m", "service", *arguments]
            self._process = subprocess.Popen(
                command, cwd=root, env=variables, stdout=self._log, stderr=subprocess.STDOUT
            )
        try:
            self.target = f"127.0.0.1:{self.wait_log('listening')['port']}"
            if ready:
                self.wait_health("SERVING")
        except BaseException:
            self.stop()
            raise

    @property
    def pid(self) -> int:
        """The process id of the server."""
        return self._process.pid

    def workers(self) -> set[int]:
        """Return the process ids of the workers that there are now."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return {int(pid) for pid in children if "spawn_main" in Path(f"/proc/{pid}/cmdline").read_text()}

    def log(self) -> list[dict[str, Any]]:
        """Return the log lines so far."""
        return log_lines(self._log.name)

    def health(self, service: str = SERVICE) -> str:
        """Return the health of a service; UNREACHABLE if nobody answers."""
        with grpc.insecure_channel(self.target) as channel:
            try:
                stub = health_pb2_grpc.HealthStub(channel)
                answer = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=5)
            except grpc.RpcError:
                return "UNREACHABLE"
        return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))

    def wait_health(self, state: str, within_s: float = START_S) -> None:
        """Wait until the health of the service is ``state``."""
        self._wait(lambda: self.health() == state, f"health {state}", within_s)

    def terminate(self) -> None:
        """Send SIGTERM, and do not wait."""
        os.kill(self.pid, signal.SIGTERM)

    def wait(self) -> int:
        """Wait for the end of the process and return its exit code."""
        return self._process.wait(STOP_S)

    def stop(self) -> int:
        """End the process and return its exit code."""
        if self._process.poll() is None:
            self.terminate()
        try:
            return self.wait()
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise
        finally:
            self._log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def wait_log(self, event: str) -> dict[str, Any]:
        """Wait for a log line and return it."""
        found: list[dict[str, Any]] = []

        def seen() -> bool:
            found[:] = [line for line in self.log() if line["event"] == event]
            return bool(found)

        self._wait(seen, f"log line {event!r}", START_S)
        return found[0]

    def _wait(self, condition: Callable[[], bool], what: str, within_s: float) -> None:
        deadline = time.monotonic() + within_s
        while not condition():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(
                    f"no {what} from the gateway; its output:\n{Path(self._log.name).read_text()[-3000:]}"
                )
            time.sleep(0.05)


@pytest.fixture(scope="session")
def bundled_repository() -> Path:
    """The model repository that the repo ships, or the one that EPC_SENTINEL_BACKEND names."""
    return ROOT / load_settings().repository


@pytest.fixture(scope="session")
def gateway() -> Iterator[Gateway]:
    """A gateway with the bundled model and default settings; leave it running."""
    with Gateway() as running:
        yield running


@pytest.fixture
def start_gateway() -> Iterator[Callable[..., Gateway]]:
    """Start gateways with flags of your own; all are stopped after the test."""
    started: list[Gateway] = []

    def start(*flags: str, ready: bool = True, **environment: str) -> Gateway:
        started.append(Gateway(*flags, ready=ready, **environment))
        return started[-1]

    yield start
    for running in started:
        running.stop()
