"""What the history costs: the same requests judged causally without, with the embedded, and with a Valkey history.

``python -m tests.bench_history [EPCS]`` takes about three minutes. All three take turns request by request, so that
whatever else the machine does meets all of them; CPU time counts, that of the server included, the least of 5 rounds.

Two shapes of request: whole journeys (500 events of some 110 items, all their events together, as batches of files
come): the same windows are judged with and without history, so the difference is what history costs; and live
events (500 neighbours in time), where without history hardly any event has a past, so that the difference is also
what it costs to judge an event by its journey.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from service.analyze import split
from service.events import Events
from service.parts import build_parts
from service.pipeline import Analyzer
from service.settings import load_settings
from tests.valkey import Valkey
from training.dataset import load
from training.simulate import simulate

SIZE = 500
ROUNDS = 5


def world(epcs: int) -> Events:
    """Return the events of a simulated world in the order of time."""
    with tempfile.TemporaryDirectory() as folder:
        simulate(Path(folder), epcs, seed=5)
        events = load(Path(folder)).events
    return events.take(np.lexsort((events.event_id, events.time_us)))


async def seconds(analyzer: Analyzer, batch: Events, server: Valkey) -> float:
    """Return the CPU seconds of one request, those of the history's server included."""
    started = time.process_time() + server.cpu_s()
    verdicts = await analyzer.follow(batch)
    assert not verdicts.warning, verdicts.warning
    return time.process_time() + server.cpu_s() - started


async def cpu_s(histories: dict[str, str], batches: list[Events], server: Valkey) -> NDArray[np.float64]:
    """Return the CPU seconds [history, batch] of each request, the histories empty at first."""
    analyzers = [
        build_parts(load_settings(history=url, history_timeout_s=10.0, onnx_threads=1)).analyzer
        for url in histories.values()
    ]
    used = np.zeros((len(analyzers), len(batches)))
    for at, batch in enumerate(batches):
        for number in np.roll(np.arange(len(analyzers)), at).tolist():
            used[number, at] = await seconds(analyzers[number], batch, server)
    for analyzer in analyzers:
        await analyzer.close()
    return used


def compare(name: str, batches: list[Events]) -> None:
    """Print CPU per event without history and what each history adds: the least of ROUNDS for each request."""
    rounds = []
    for _ in range(ROUNDS):
        with Valkey() as server:
            histories = {"none": "none", "memory": "memory", "valkey": server.url}
            rounds.append(asyncio.run(cpu_s(histories, batches, server)))
    total = np.min(rounds, axis=0).sum(axis=1)
    events = sum(len(batch) for batch in batches)
    for kind, used in zip(histories, total.tolist(), strict=True):
        print(
            f"{name:>14}  {kind:>6}: {used / events * 1e6:6.1f} us CPU per event, {(used / total[0] - 1) * 100:+5.0f} %"
            f"  ({len(batches)} requests, {events} events)"
        )


def main() -> None:
    """Print the table."""
    events = world(int(sys.argv[1]) if len(sys.argv) > 1 else 2_000)
    whole = [events.take(piece) for piece in split(events, SIZE)]
    live = [events.take(np.arange(begin, begin + SIZE)) for begin in range(0, len(events) - SIZE + 1, SIZE)]
    for name, batches in (("whole journeys", whole), ("live events", live)):
        compare(name, batches)


if __name__ == "__main__":
    main()
