"""Do two checkouts of the project cost alike? The same load at a gateway of each, in turn, in one run.

``python -m tests.tools.same_cost --before CHECKOUT`` keeps the gateway of another checkout and that of this one alive
and loads them alternately, second by second, so that whatever else the machine does meets both. It prints processor
time per event and events per second, and the median and quartiles of the ratios of neighbours: a difference within
them is none.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from pathlib import Path
from statistics import median, quantiles

from rich.console import Console
from rich.table import Table

from service.bench.load import Load, Request, Server, drive
from service.bench.run import requests_of
from service.rawfiles.columns import read_files
from tests.support.gateway import ROOT, SERVICE, Gateway
from training.simulation.world import simulate

CELLS = ((50, 1), (50, 8), (500, 8), (5_000, 8))
"""(Events of a request, calls in flight)."""

_EPCS, _SEED = 20_000, 9
_REQUEST_EVENTS = 25_000


async def in_turn(
    servers: list[Server], requests: list[Request], concurrency: int, rounds: int
) -> tuple[list[Load], list[Load]]:
    """Return the loads of both servers, one of each per round; the first round warms up and does not count."""
    found: tuple[list[Load], list[Load]] = ([], [])
    for number in range(rounds + 1):
        for at in (0, 1) if number % 2 else (1, 0):
            load = await drive(servers[at], f"/{SERVICE}/Analyze", requests, concurrency, 1.0)
            if number:
                found[at].append(load)
    return found


def ratio(before: list[float], after: list[float]) -> str:
    """Return the median of after / before over the rounds, and the quartiles."""
    ratios = [b / a for a, b in zip(before, after, strict=True)]
    low, _, high = quantiles(ratios, n=4)
    return f"{median(ratios):.3f} [{low:.2f}, {high:.2f}]"


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=Path, required=True, metavar="CHECKOUT", help="what this one is compared to")
    parser.add_argument("--rounds", type=int, default=12, help="seconds of load at each gateway per row")
    known = parser.parse_args()
    table = Table("events", "calls", "us of CPU per event", "", "ratio", "events/s", "", "ratio", title="before, after")
    with tempfile.TemporaryDirectory() as folder:
        simulate(Path(folder), _EPCS, _SEED, lambda _what, _done: None)
        events = read_files([Path(folder) / "icn.csv"]).events
    flags = ("--no-fallback", "--history", "none")
    with Gateway(*flags, root=known.before.resolve()) as old, Gateway(*flags, root=ROOT) as new:
        servers = [Server(one.target, one.pid) for one in (old, new)]
        for size, concurrency in CELLS:
            requests = requests_of(events, size)[: max(4, _REQUEST_EVENTS // size)]
            before, after = asyncio.run(in_turn(servers, requests, concurrency, known.rounds))
            cells = []
            for name in ("server_cpu_s_per_million_events", "events_per_s"):
                old_values, new_values = ([getattr(load, name) for load in loads] for loads in (before, after))
                cells += [f"{median(old_values):,.1f}", f"{median(new_values):,.1f}", ratio(old_values, new_values)]
            table.add_row(f"{size:,}", str(concurrency), *cells)
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
