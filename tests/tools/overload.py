"""What callers see of a gateway that gets more than it can do: who is served, how fast, and who is refused.

``python -m tests.tools.overload`` takes half a minute. Callers send requests of 500 events as fast as they are
answered; one that is refused comes back when the answer says so, as gRPC's retry policy does. The number of callers
grows.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

import grpc
import numpy as np
from rich.console import Console
from rich.table import Table

from service.bench.load import Request, Server, spawn
from service.bench.run import requests_of
from service.rawfiles.columns import read_files
from tests.support.gateway import SERVICE
from training.simulation.world import simulate

EVENTS, MAX_IN_FLIGHT = 500, 8_000
CALLERS = (4, 16, 64, 256)
_SECONDS, _CHANNELS = 5.0, 8
_PUSHBACK = "grpc-retry-pushback-ms"


@dataclass
class Tally:
    """What the callers of one step saw."""

    served_ms: list[float] = field(default_factory=list)
    refused_ms: list[float] = field(default_factory=list)
    events: int = 0


async def press(server: Server, requests: list[Request], callers: int) -> Tally:
    """Let ``callers`` send for some seconds; any failure is raised, but one that says when to come back."""
    tally, turn = Tally(), cycle(requests)
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0)]
    channels = [grpc.aio.insecure_channel(server.target, options) for _ in range(min(callers, _CHANNELS))]
    methods: list[grpc.aio.UnaryUnaryMultiCallable[bytes, bytes]] = [
        channel.unary_unary(f"/{SERVICE}/Analyze") for channel in channels
    ]
    end = time.perf_counter() + _SECONDS

    async def caller(number: int) -> None:
        while (begin := time.perf_counter()) < end:
            request = next(turn)
            try:
                await methods[number % len(methods)](request.body, timeout=30)
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.RESOURCE_EXHAUSTED:
                    raise
                tally.refused_ms.append(1e3 * (time.perf_counter() - begin))
                await asyncio.sleep(int(dict(error.trailing_metadata() or ())[_PUSHBACK]) / 1e3)
                continue
            tally.served_ms.append(1e3 * (time.perf_counter() - begin))
            tally.events += request.events

    async with asyncio.TaskGroup() as group:
        for number in range(callers):
            group.create_task(caller(number))
    for channel in channels:
        await channel.close()
    return tally


def main() -> None:
    """Measure each number of callers and print a table."""
    with tempfile.TemporaryDirectory() as folder:
        simulate(Path(folder), 5_000, seed=5)
        requests = requests_of(read_files([Path(folder) / "icn.csv"]).events, EVENTS)
    title = f"Requests of {EVENTS} events, {MAX_IN_FLIGHT:,} events in flight at most"
    table = Table("callers", "events/s", "served", "p50 ms", "p99 ms", "refused", "p99 ms", "peak MiB", title=title)
    flags = ("--port", "0", "--log-format", "json", "--max-events-in-flight", str(MAX_IN_FLIGHT))
    with spawn("service", "serve", *flags) as server:
        for callers in CALLERS:
            tally = asyncio.run(press(server, requests, callers))
            p50, p99 = np.quantile(tally.served_ms, [0.5, 0.99]).tolist()
            refused = f"{np.quantile(tally.refused_ms, 0.99):.1f}" if tally.refused_ms else ""
            table.add_row(
                str(callers), f"{tally.events / _SECONDS:,.0f}", f"{len(tally.served_ms):,}", f"{p50:.0f}",
                f"{p99:.0f}", f"{len(tally.refused_ms):,}", refused, f"{server.peak_rss_mib():.0f}",
            )  # fmt: skip
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
