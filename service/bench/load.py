"""Closed-loop load on a server process: so many calls in flight all the time, and what they cost on both sides."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import TypeAlias

import grpc
import numpy as np

from service.client.access import OPEN, Access
from service.errors import CommandError
from service.runtime.tasks import together

_START_S = 60.0
_CALL_TIMEOUT_S = 120.0
_TICKS = os.sysconf("SC_CLK_TCK")

CONNECTIONS = 8
"""Connections of a load, at most one per call in flight: as many as a backend of some replicas holds."""

_OPTIONS = (
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.enable_http_proxy", 0),  # the servers are of this machine
    ("grpc.use_local_subchannel_pool", 1),  # else channels with the same target are one connection
)


BytesCall: TypeAlias = Callable[[bytes], Awaitable[object]]
"""A connected method: bytes in, whatever out; nothing is built or parsed."""


@dataclass(frozen=True, slots=True)
class Request:
    """A serialised message, and the events in it."""

    body: bytes
    events: int


@dataclass(frozen=True, slots=True)
class Load:
    """What one run of load measured."""

    events_per_s: float
    p50_ms: float
    p99_ms: float
    server_cpu_s_per_million_events: float
    client_cpu_s_per_million_events: float
    cores_of_others: float  # that other processes kept busy meanwhile


@dataclass(frozen=True, slots=True)
class Server:
    """A server process of this machine."""

    target: str  # HOST:PORT
    pid: int

    def cpu_s(self) -> float:
        """Return the processor time that it and its workers have used, in seconds."""
        return sum(_cpu_s(pid) for pid in self.pids())

    def peak_rss_mib(self) -> float:
        """Return the most memory that it has held, in MiB; the sum of the most of each of its processes."""
        return sum(_peak_rss_mib(pid) for pid in self.pids())

    def pids(self) -> list[int]:
        """Return the ids of its process and of all that it and they have started."""
        found = [self.pid]
        for pid in found:
            for children in Path(f"/proc/{pid}/task").glob("*/children"):  # by the thread that started them
                found += map(int, children.read_text(encoding="ascii").split())
        return found


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _peak_rss_mib(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


@contextmanager
def spawn(*command: str) -> Iterator[Server]:
    """Run ``python -m COMMAND`` on a free port, which it logs as JSON with the event "listening"; end it afterwards.

    Raises:
        CommandError: it does not start.
    """
    with tempfile.NamedTemporaryFile("r", prefix="bench-", suffix=".log") as log, Path(log.name).open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - our own modules
            [sys.executable, "-m", *command], stdout=output, stderr=subprocess.STDOUT
        )
        try:
            yield Server(f"127.0.0.1:{_port(process, Path(log.name))}", process.pid)
        finally:
            process.terminate()
            process.wait()


def _port(process: subprocess.Popen[bytes], log: Path) -> int:
    deadline = time.monotonic() + _START_S
    while process.poll() is None and time.monotonic() < deadline:
        for line in log.read_text(encoding="utf-8").splitlines():
            if line.startswith("{") and (entry := json.loads(line))["event"] == "listening":
                return int(entry["port"])
        time.sleep(0.05)
    raise CommandError(f"the server to measure did not start: {log.read_text(encoding='utf-8')[-500:]}")


async def drive(  # noqa: PLR0913, PLR0917 - what is called, how hard, and how to get in
    server: Server, method: str, requests: Sequence[Request], concurrency: int, seconds: float, access: Access = OPEN
) -> Load:
    """Call ``method`` for ``seconds``, ``concurrency`` calls in flight, with ``requests`` in turn.

    Raises:
        CommandError: a call failed; a benchmark with failures measures nothing.
    """
    async with AsyncExitStack() as stack:
        calls = []
        for _ in range(min(concurrency, CONNECTIONS)):
            channel = await stack.enter_async_context(access.aio_channel(server.target, _OPTIONS))
            calls.append(await _connect(channel, method, requests[0], access))
        try:
            return await closed_loop(server, calls, requests, concurrency, seconds)
        except grpc.aio.AioRpcError as error:
            raise CommandError(f"a call of the benchmark failed: {error}") from None


async def closed_loop(
    server: Server, calls: Sequence[BytesCall], requests: Sequence[Request], concurrency: int, seconds: float
) -> Load:
    """Keep ``concurrency`` of ``calls`` to the server in flight for ``seconds``, with ``requests`` in turn."""
    turn = cycle(requests)
    events, latencies_ms = 0, []

    async def caller(call: BytesCall, end: float) -> None:
        nonlocal events
        while (begin := time.perf_counter()) < end:
            request = next(turn)
            await call(request.body)
            latencies_ms.append(1e3 * (time.perf_counter() - begin))
            events += request.events

    server_cpu_s, client_cpu_s, machine_cpu_s = server.cpu_s(), _own_cpu_s(), _machine_cpu_s()
    begin = time.perf_counter()
    await together(caller(calls[number % len(calls)], begin + seconds) for number in range(concurrency))
    wall_s = time.perf_counter() - begin
    server_cpu_s, client_cpu_s = server.cpu_s() - server_cpu_s, _own_cpu_s() - client_cpu_s
    others_cpu_s = _machine_cpu_s() - machine_cpu_s - server_cpu_s - client_cpu_s
    p50, p99 = np.quantile(latencies_ms, [0.5, 0.99]).tolist()
    return Load(
        events_per_s=events / wall_s,
        p50_ms=p50,
        p99_ms=p99,
        server_cpu_s_per_million_events=1e6 * server_cpu_s / events,
        client_cpu_s_per_million_events=1e6 * client_cpu_s / events,
        cores_of_others=max(0.0, others_cpu_s / wall_s),
    )


async def _connect(channel: grpc.aio.Channel, method: str, request: Request, access: Access) -> BytesCall:
    """Return the method of a channel that has answered ``request``."""
    connected: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(method)

    def call(body: bytes) -> Awaitable[bytes]:
        return connected(body, timeout=_CALL_TIMEOUT_S, metadata=access.metadata())

    await connected(request.body, timeout=_CALL_TIMEOUT_S, metadata=access.metadata(), wait_for_ready=True)
    return call


def drive_alone(server: Server, method: str, requests: Sequence[Request], concurrency: int, seconds: float) -> Load:
    """Do `drive` in a process of its own, so that two loads do not wait for each other here."""
    return asyncio.run(drive(server, method, requests, concurrency, seconds))


def _own_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _machine_cpu_s() -> float:
    """Return the processor time that all processes, and other machines on these cores, have used, in seconds."""
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(
        int, Path("/proc/stat").read_text(encoding="ascii").split(maxsplit=9)[1:9]
    )
    return (user + nice + system + irq + softirq + steal) / _TICKS
