"""The ``bench`` command: the gateway under load, beside the limits of the same machine in the same minutes."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from functools import partial
from statistics import median
from typing import Any

import numpy as np

from service.api.requests import encode_request
from service.api.servicer import SERVICE
from service.bench import echo as bench_echo
from service.bench.load import Load, Request, Server, drive, drive_alone, spawn
from service.bench.stages import Stages
from service.detect.names import DetectorName
from service.errors import CommandError
from service.events.columns import Events
from service.events.groups import Index
from service.features.table import feature_spec_hash
from service.model import repository
from service.progress import Progress
from service.runtime.timing import STAGES
from service.settings import Settings

SIZES = (50, 500, 5_000)
CONCURRENCIES = (1, 8, 32)

_ANALYZE = f"/{SERVICE.full_name}/Analyze"
_MIXED = ("small_alone", "large_alone", "small_beside", "large_beside")
_LARGE_EVENTS = 49_000
"""Events of a large request, or all of a file that has fewer: whole items more than that, and 50,000 are the limit."""

LARGE_CALLS = 2

_REQUEST_EVENTS = 25_000
"""Events of the different requests of one size: enough that nothing is measured on a warm handful of items."""

_SPAWN_S = 1.0  # until the other process is at work


@dataclass
class Report:
    """Everything measured: one entry per round.

    Servers are "embedded" (one process), "workers" (one per core), "triton" (one process before a Triton server) and
    "echo" (gRPC alone).
    """

    cores: int
    loads: dict[tuple[str, int, int], list[Load]] = field(default_factory=dict)  # (server, size, concurrency)
    # By (size, concurrency), right after the load on the embedded model: microseconds per event.
    stages: dict[tuple[int, int], list[dict[str, float]]] = field(default_factory=dict)
    mixed: dict[str, list[Load]] = field(default_factory=dict)  # small and large requests, alone and beside others
    large_events: int = 0  # of a large request
    peak_rss_mib: dict[str, float] = field(default_factory=dict)  # by server

    def load(self, server: str, size: int, concurrency: int) -> dict[str, float]:
        """Return the median of each number over the rounds."""
        rounds = [asdict(load) for load in self.loads[server, size, concurrency]]
        return {name: median(load[name] for load in rounds) for name in rounds[0]}

    def stage(self, size: int, name: str) -> float:
        """Return the median microseconds per event of a stage."""
        return median(
            found[name] for (of_size, _), rounds in self.stages.items() if of_size == size for found in rounds
        )

    def grpc(self, size: int, concurrency: int) -> tuple[float, float]:
        """Return microseconds per event of gRPC alone: (in a server that does nothing, in the one that calls it)."""
        echo = self.load("echo", size, concurrency)
        return echo["server_cpu_s_per_million_events"], echo["client_cpu_s_per_million_events"]

    def bound(self, size: int, concurrency: int) -> float:
        """Return events per second if every core did nothing but the stages and the two ends of gRPC.

        The load runs on the same cores, so what a call costs its caller is taken off them too.
        """
        return median(self._bounds(size, concurrency))

    def share_of_bound(self, server: str, size: int, concurrency: int) -> float:
        """Return events per second by the bound, of the same round each: the machine's clock changes between rounds."""
        pairs = zip(self.loads[server, size, concurrency], self._bounds(size, concurrency), strict=True)
        return median(load.events_per_s / bound for load, bound in pairs)

    def _bounds(self, size: int, concurrency: int) -> list[float]:
        grpc_us = sum(self.grpc(size, concurrency))
        return [self.cores * 1e6 / (sum(stages.values()) + grpc_us) for stages in self.stages[size, concurrency]]

    def cores_of_others(self) -> float:
        """Return how many cores other processes kept busy while the gateway, not Triton behind it, was under load."""
        return median(
            load.cores_of_others
            for (server, _, _), loads in self.loads.items()
            if server in ("embedded", "workers")
            for load in loads
        )

    def spread(self, server: str, size: int, concurrency: int) -> float:
        """Return (fastest - slowest round) / median."""
        rates = [load.events_per_s for load in self.loads[server, size, concurrency]]
        return (max(rates) - min(rates)) / median(rates)

    def to_json(self) -> dict[str, Any]:
        """Return all medians as JSON values."""
        cells = [
            {"server": server, "events_per_request": size, "concurrency": concurrency}
            | self.load(server, size, concurrency)
            | {"bound_events_per_s": self.bound(size, concurrency)}
            | {"share_of_bound": self.share_of_bound(server, size, concurrency)}
            | {"spread": self.spread(server, size, concurrency)}
            for server, size, concurrency in self.loads
        ]
        stages = {str(size): {name: self.stage(size, name) for name in STAGES} for size in SIZES}
        mixed = {name: [asdict(load) for load in loads] for name, loads in self.mixed.items()}
        return {
            "cores": self.cores,
            "cores_of_others": self.cores_of_others(),
            "loads": cells,
            "stages_us_per_event": stages,
            "mixed": mixed,
            "peak_rss_mib": self.peak_rss_mib,
        }


def requests_of(events: Events, size: int) -> list[Request]:
    """Return requests of about ``size`` events of one file each: whole items, in the order of their first scans.

    Raises:
        CommandError: there are not that many events.
    """
    requests = [
        Request(encode_request(events.take(rows), DetectorName.LSTM).SerializeToString(), len(rows))
        for rows in cuts(events, size)
    ]
    if not requests:
        raise CommandError(
            f"{len(events)} events are too few to make a request of {size}: give a larger file with --data"
        )
    return requests


def cuts(events: Events, size: int) -> Iterator[Index]:
    """Yield the rows of requests of one file each: whole items by their first scans, ``size`` events or a few more."""
    for file_id in np.unique(events.file_id).tolist():
        inside = np.flatnonzero(events.file_id == file_id)
        rows = inside[np.argsort(events.epc[inside], kind="stable")]
        ends = np.flatnonzero(np.diff(events.epc[rows], append=-1)) + 1  # of the items
        cuts = np.unique(ends[np.searchsorted(ends, np.arange(size, len(rows), size))])
        yield from (part for part in np.split(rows, cuts) if len(part) >= size)


@dataclass(frozen=True, slots=True)
class BenchPlan:
    """What is measured, and how long."""

    rounds: int
    seconds: float  # of load per round and cell
    triton: str | None = None  # triton://HOST:PORT of a server to put behind a second gateway


async def run(events: Events, settings: Settings, plan: BenchPlan, show: Progress) -> Report:
    """Measure every cell, all of them in turn and again, so that a noisy minute hits them all.

    Raises:
        CommandError: a server does not start, or a call failed.
    """
    report = Report(cores=len(os.sched_getaffinity(0)))
    requests = {size: _some(requests_of(events, size)) for size in SIZES}
    large = [max(requests_of(events, _largest(events)), key=lambda request: request.events)]
    report.large_events = large[0].events
    model = repository.load(settings.repository, settings.model_version, feature_spec_hash=feature_spec_hash())
    stages = Stages(model)
    serve = ("service", "serve", "--port", "0", "--log-format", "json", "--no-fallback")
    with ExitStack() as stack:
        embedded = (*serve, "--backend", f"onnx:{settings.repository}")
        servers = {"embedded": stack.enter_context(spawn(*embedded))}
        if report.cores > 1:
            flags = ("--workers", str(report.cores), "--history", "none")
            servers["workers"] = stack.enter_context(spawn(*embedded, *flags))
        if plan.triton:
            flags = ("--backend", plan.triton, "--model-repository", str(settings.repository))
            servers["triton"] = stack.enter_context(spawn(*serve, *flags))
        servers["echo"] = stack.enter_context(spawn("service.bench.echo"))
        cells = [(name, size, concurrency) for size in SIZES for concurrency in CONCURRENCIES for name in servers]
        for number in range(plan.rounds):
            for at, (name, size, concurrency) in enumerate(cells):
                show(
                    f"round {number + 1}: {name}, {size} events, {concurrency} calls",
                    (number + at / len(cells)) / plan.rounds,
                )
                load = await _measure(servers[name], name, requests[size], concurrency, plan.seconds)
                report.loads.setdefault((name, size, concurrency), []).append(load)
                if name == "embedded":
                    report.stages.setdefault((size, concurrency), []).append(stages.measure(requests[size]))
            show(f"round {number + 1}: small requests beside large ones", (number + 1) / plan.rounds)
            for name, load in (await _mixed(servers["embedded"], requests[SIZES[0]], large, plan.seconds)).items():
                report.mixed.setdefault(name, []).append(load)
        report.peak_rss_mib = {name: server.peak_rss_mib() for name, server in servers.items()}
    show("done", 1.0)
    return report


async def _measure(server: Server, name: str, requests: Sequence[Request], concurrency: int, seconds: float) -> Load:
    method = bench_echo.METHOD if name == "echo" else _ANALYZE
    return await drive(server, method, requests, concurrency, seconds)


async def _mixed(server: Server, small: Sequence[Request], large: Sequence[Request], seconds: float) -> dict[str, Load]:
    """Return the loads of small and of large requests, each alone, and both at the same time, by _MIXED."""
    small_alone = await drive(server, _ANALYZE, small, 1, seconds)
    large_alone = await drive(server, _ANALYZE, large, LARGE_CALLS, seconds)
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as other:
        work = partial(drive_alone, server, _ANALYZE, large, LARGE_CALLS, 2 * seconds)
        loud = asyncio.get_running_loop().run_in_executor(other, work)
        await asyncio.sleep(_SPAWN_S)
        small_beside = await drive(server, _ANALYZE, small, 1, seconds)
        return dict(zip(_MIXED, (small_alone, large_alone, small_beside, await loud), strict=True))


def _largest(events: Events) -> int:
    return min(_LARGE_EVENTS, int(np.unique(events.file_id, return_counts=True)[1].max()))


def _some(requests: list[Request]) -> list[Request]:
    return requests[: max(4, _REQUEST_EVENTS // requests[0].events)]
