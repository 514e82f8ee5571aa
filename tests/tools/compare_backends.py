"""The same request on the embedded model and on a real Triton: findings and latency side by side.

``python -m tests.tools.compare_backends`` (``make compare``) prints the table.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import grpc
import numpy as np
from rich.console import Console
from rich.table import Table

from service.api.requests import encode_request
from service.pb.epcsentinel.v1 import anomaly_pb2 as pb
from service.rawfiles.columns import read_files
from tests.servers.triton.fixture import TritonServer
from tests.support.gateway import ROOT, SERVICE, Gateway
from training.simulation.world import simulate

EVENTS = 1_000
WORLD_EPCS, WORLD_SEED = 5_000, 99
WARM_UP, CALLS = 20, 100
LARGEST_DIFFERENCE = 1e-3
"""Of scores, which are probabilities x 100: 1e-5 of a probability."""


def simulated_request(events: int = EVENTS) -> bytes:
    """Return a request of the first events of a simulated file."""
    with tempfile.TemporaryDirectory() as folder:
        simulate(Path(folder), WORLD_EPCS, WORLD_SEED)
        world = read_files([Path(folder) / "icn.csv"]).events
    return encode_request(world.take(np.arange(events)), "lstm").SerializeToString()


def latencies_ms(targets: dict[str, str], body: bytes) -> dict[str, list[float]]:
    """Return the latency of CALLS calls per target, in turn, one at a time."""
    channels = {name: grpc.insecure_channel(target) for name, target in targets.items()}
    calls = {name: channel.unary_unary(f"/{SERVICE}/Analyze") for name, channel in channels.items()}
    found: dict[str, list[float]] = {name: [] for name in targets}
    for turn in range(WARM_UP + CALLS):
        for name, call in calls.items():
            begin = time.perf_counter()
            call(body, timeout=60)
            if turn >= WARM_UP:
                found[name].append(1e3 * (time.perf_counter() - begin))
    for channel in channels.values():
        channel.close()
    return found


def answer(target: str, body: bytes) -> pb.AnalyzeResponse:
    """Return the answer to one call."""
    with grpc.insecure_channel(target) as channel:
        return pb.AnalyzeResponse.FromString(channel.unary_unary(f"/{SERVICE}/Analyze")(body, timeout=60))


def largest_difference(a: pb.AnalyzeResponse, b: pb.AnalyzeResponse) -> float:
    """Return the largest difference of scores; infinite if the findings are not the same."""
    if [event.event_id for event in a.event_history] != [event.event_id for event in b.event_history]:
        return float("inf")
    difference = 0.0
    for one, other in zip(a.event_history, b.event_history, strict=True):
        left, right = ({f.name: value for f, value in event.ListFields()} for event in (one, other))
        if left.keys() != right.keys():
            return float("inf")
        difference = max(difference, *(abs(left[name] - right[name]) for name in left))
    return difference


def main() -> None:
    """Print findings and latencies of both backends."""
    body = simulated_request()
    with (
        TritonServer(ROOT / "model_repository") as triton,
        Gateway() as embedded,
        Gateway("--backend", f"triton://{triton.url}", "--no-fallback") as remote,
    ):
        targets = {"embedded": embedded.target, "triton": remote.target}
        answers = {name: answer(target, body) for name, target in targets.items()}
        timed = latencies_ms(targets, body)
    table = Table("backend", "method", "flagged events", "p50 ms", "p99 ms", title=f"{EVENTS} events in one request")
    for name, found in answers.items():
        p50, p99 = np.quantile(timed[name], [0.5, 0.99])
        table.add_row(name, found.method, str(len(found.event_history)), f"{p50:.1f}", f"{p99:.1f}")
    console = Console(width=100)
    console.print(table)
    console.print(f"largest difference of scores: {largest_difference(*answers.values()):.2g}")


if __name__ == "__main__":
    main()
