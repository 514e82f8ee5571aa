"""What the history costs: the same requests judged causally without, with the embedded, and with a Valkey history.

``python -m tests.bench_history [EPCS]`` takes about two minutes. All three take turns request by request, so that
whatever else the machine does meets all of them; CPU time counts, the Valkey server's included.

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

from service.analyze import split
from service.events import Events
from service.parts import build_parts
from service.pipeline import Analyzer
from service.settings import load_settings
from tests.valkey import Valkey
from training.dataset import load
from training.simulate import simulate

SIZE = 500


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


async def compare(name: str, batches: list[Events], server: Valkey) -> None:
    """Print CPU per event without history and what each history adds."""
    histories = {"none": "none", "memory": "memory", "valkey": server.url}
    analyzers = {
        kind: build_parts(load_settings(history=url, history_timeout_s=10.0, onnx_threads=1)).analyzer
        for kind, url in histories.items()
    }
    total = dict.fromkeys(histories, 0.0)
    for at, batch in enumerate(batches):
        for kind in np.roll(list(histories), at).tolist():
            total[kind] += await seconds(analyzers[kind], batch, server)
    for analyzer in analyzers.values():
        await analyzer.close()
    events = sum(len(batch) for batch in batches)
    for kind, cpu_s in total.items():
        print(
            f"{name:>14}  {kind:>6}: {cpu_s / events * 1e6:6.1f} us CPU per event,"
            f" {(cpu_s / total['none'] - 1) * 100:+5.0f} %  ({len(batches)} requests, {events} events)"
        )


def main() -> None:
    """Print the table."""
    events = world(int(sys.argv[1]) if len(sys.argv) > 1 else 4_000)
    whole = [events.take(piece) for piece in split(events, SIZE)]
    live = [events.take(np.arange(begin, begin + SIZE)) for begin in range(0, len(events) - SIZE + 1, SIZE)]
    for name, batches in (("whole journeys", whole), ("live events", live)):
        with Valkey() as server:
            asyncio.run(compare(name, batches, server))


if __name__ == "__main__":
    main()
