"""The gateway and its peers as processes of their own, on free loopback ports."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from service.bench.load import Server
from tests.support.gateway import ROOT, START_S, Gateway
from tests.support.processes import end, free_ports

GATEWAY = "gateway"
PEERS = {"grpc.aio": "with_grpc", "FastAPI": "with_fastapi", "LitServe": "with_litserve"}
"""Modules of the peers, by name."""

HTTP = ("FastAPI", "LitServe")


@contextmanager
def running(name: str, processes: int) -> Iterator[Server]:
    """Run the gateway or a peer with so many processes that judge; it listens, and all of it is gone afterwards."""
    if name == GATEWAY:
        # A history of several workers has to be a server's; Analyze uses none by default.
        flags = () if processes == 1 else ("--workers", str(processes), "--history", "none")
        with Gateway(*flags) as gateway:
            yield Server(gateway.target, gateway.pid)
        return
    [port] = free_ports(1)
    command = [sys.executable, "-m", f"tests.tools.peers.{PEERS[name]}", str(port), str(processes)]
    with tempfile.NamedTemporaryFile("w+", prefix="peer-", suffix=".log") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)
        server = Server(f"127.0.0.1:{port}", process.pid)
        try:
            _wait(process, port, Path(log.name))
            yield server
        finally:
            family = server.pids()
            end(process)
            for pid in family[1:]:  # LitServe leaves some of its own behind
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_S
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise RuntimeError(f"the peer did not start; its output:\n{log.read_text()[-3000:]}")
