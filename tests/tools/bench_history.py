"""What the history costs: the same requests at three gateways, without, with the embedded, and with a Valkey history.

``python -m tests.tools.bench_history`` takes about two minutes. The gateways are real processes and take turns request
by request, so that whatever else the machine does meets all of them; what counts is the CPU time of the gateway and of
the history's server, the least of ROUNDS for each request, each round with empty histories.

Requests have some 500 events, judged causally, of two shapes. New journeys: all events of some 110 items at once, as
batches of files come; the same windows are judged with and without history. Second halves: the later events of some 220
items whose earlier events were sent in requests before. Without history such events are judged blindly, as if their
items were new; to have the same answers a caller has to send the earlier events again, which is the last row.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import grpc
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from service.api.requests import encode_request
from service.events.columns import Events
from service.jobs.analyze import split
from service.pb.epcsentinel.v1 import anomaly_pb2 as pb
from tests.servers.valkey import Valkey
from tests.support.gateway import Gateway
from training.datasets.dataset import load
from training.simulation.world import simulate

SIZE = 500
ROUNDS = 5
HISTORIES = ("none", "memory", "valkey")
_PATH = "/epcsentinel.v1.AnomalyService/AnalyzeStream"


@dataclass(frozen=True)
class Step:
    """One request of a shape; ``counted`` is how many of its events the cost is spread over, 0 for none of it."""

    shape: str
    body: bytes
    without: bytes  # the same request, history off: else a gateway without history goes by what the stream brought
    counted: int


def steps(epcs: int) -> list[Step]:
    """Return the requests of one round."""
    with tempfile.TemporaryDirectory() as folder:
        simulate(Path(folder), epcs, seed=5)
        events = load(Path(folder)).events
    pieces = list(split(events, SIZE))
    # A gateway takes in what it stored with the next request: the first one pays for none, and is not counted.
    first, *new = (_step("new journeys", events.take(piece), len(piece)) for piece in pieces[0::3])
    new = [replace(first, shape="the first", counted=0), *new]
    halves = []
    for some in zip(pieces[1::3], pieces[2::3], strict=False):
        whole = events.take(np.concatenate(some))
        later = _later_half(whole)
        second = whole.take(later)
        halves += [
            _step("first halves", whole.take(~later), 0),
            _step("second halves", second, len(second)),
            _step("whole journeys sent again", whole, len(second)),
        ]
    return new + halves


def _step(shape: str, events: Events, counted: int) -> Step:
    # All in one file: what a request holds is no matter here.
    request = encode_request(events, "lstm")
    for scan in request.data:
        scan.file_id = 1
    body = request.SerializeToString()
    request.history = pb.HISTORY_USE_OFF
    return Step(shape, body, request.SerializeToString(), counted)


def _later_half(events: Events) -> NDArray[np.bool_]:
    """Return which events [N] are in the later half of their journeys."""
    order = np.lexsort((events.event_id, events.time_us, events.epc))
    epc = events.epc[order]
    start, length = np.unique(epc, return_index=True, return_counts=True)[1:]
    later = np.empty(len(events), dtype=np.bool_)
    later[order] = np.arange(len(epc)) - np.repeat(start, length) >= np.repeat((length + 1) // 2, length)
    return later


def cpu_s(pid: int) -> float:
    """Return the CPU seconds that a process has used, with all its threads."""
    return time.clock_gettime((~pid << 3) | 2)  # the clock of another process: clock_getcpuclockid


def play(todo: Sequence[Step]) -> NDArray[np.float64]:
    """Return the CPU seconds [history, gateway or server, request] that each request took, from empty histories on."""
    used = np.zeros((len(HISTORIES), 2, len(todo)))
    with ExitStack() as stack, ThreadPoolExecutor() as pool:
        server = stack.enter_context(Valkey())
        urls = [server.url if name == "valkey" else name for name in HISTORIES]
        started = pool.map(
            lambda url: Gateway(
                "--history", url, "--history-timeout-s", "10", "--onnx-threads", "1", "--probe-interval-s", "3600"
            ),
            urls,
        )
        gateways = [stack.enter_context(gateway) for gateway in started]
        asks = [stack.enter_context(grpc.insecure_channel(gateway.target)).stream_stream(_PATH) for gateway in gateways]
        for at, step in enumerate(todo):
            for number in np.roll(np.arange(len(HISTORIES)), at).tolist():
                if step.shape == "whole journeys sent again" and HISTORIES[number] != "none":
                    continue
                pids = gateways[number].pid, server.pid
                before = [cpu_s(pid) for pid in pids]
                body = step.without if HISTORIES[number] == "none" else step.body
                [answer] = asks[number](iter([body]), timeout=60)
                used[number, :, at] = [cpu_s(pid) - then for pid, then in zip(pids, before, strict=True)]
                warning = pb.AnalyzeResponse.FromString(answer).warning
                if warning:
                    raise RuntimeError(f"an answer was degraded: {warning}")
    return used


def main() -> None:
    """Print the table."""
    todo = steps(2_400)
    used = np.min([play(todo) for _ in range(ROUNDS)], axis=0)
    table = Table("requests", "history", "us CPU per event", "of them the server's", "of no history")
    for shape in ("new journeys", "second halves", "whole journeys sent again"):
        chosen = [at for at, step in enumerate(todo) if step.shape == shape]
        events = sum(todo[at].counted for at in chosen)
        parts = used[:, :, chosen].sum(axis=2) / events * 1e6
        parts[: HISTORIES.index("valkey"), 1] = 0  # nothing of theirs
        cost = parts.sum(axis=1)
        for name, of_event, server in zip(HISTORIES, cost.tolist(), parts[:, 1].tolist(), strict=True):
            if of_event:
                more = f"{(of_event / cost[0] - 1) * 100:+.0f} %"
                table.add_row(shape, name, f"{of_event:.1f}", f"{server:.1f}" if server else "", more)
    Console().print(table)


if __name__ == "__main__":
    main()
