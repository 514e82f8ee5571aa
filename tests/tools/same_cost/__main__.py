"""Do two checkouts of the project cost alike? The same load at a gateway of each, in turn, in one run.

``python -m tests.tools.same_cost --before CHECKOUT`` keeps the gateway of another checkout and that of this one alive
and loads them alternately, second by second, so that whatever else the machine does meets both. It prints processor
time per event and events per second, and the median and quartiles of the ratios of neighbours: a difference within
them is none. ``--stages`` asks for the stages of a request, one after the other and without a gateway, as
``epc-sentinel bench`` has them: both checkouts in turn, too.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
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


Costs = dict[str, dict[str, float]]
"""Microseconds of processor time per event, by events of a request and stage."""


@contextlib.contextmanager
def stages_of(root: Path, raw_file: Path) -> Iterator[subprocess.Popen[str]]:
    """Run `stages` in a checkout; `costs` asks it."""
    script = Path(__file__).with_name("stages.py")
    environment = os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [sys.executable, str(script), str(raw_file)], cwd=root, env=environment, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        yield process
        assert process.stdin is not None
        process.stdin.close()  # so that it ends


def costs(process: subprocess.Popen[str]) -> Costs:
    """Return what the stages cost now."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    found: Costs = json.loads(process.stdout.readline())
    return found


def stages_table(before: list[Costs], after: list[Costs]) -> Table:
    """Return the table of what the stages cost, of as many rounds each."""
    table = Table("events", "stage", "us of CPU per event", "", "ratio", title="before, after")
    for size, stages in after[0].items():
        of_both = [name for name in stages if name in before[0][size]]
        for row in (*([name] for name in of_both), ["features", "infer"], of_both):
            values = [[sum(one[size][name] for name in row) for one in rounds] for rounds in (before, after)]
            title = row[0] if len(row) == 1 else "features and inference" if row != of_both else "all"
            if min(map(min, values)) > 0:
                table.add_row(f"{int(size):,}", title, *(f"{median(one):.2f}" for one in values), ratio(*values))
    return table


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=Path, required=True, metavar="CHECKOUT", help="what this one is compared to")
    parser.add_argument("--rounds", type=int, default=12, help="seconds of load at each gateway per row")
    parser.add_argument("--stages", action="store_true", help="of a request, without gateways; a round each")
    known = parser.parse_args()
    table = Table("events", "calls", "us of CPU per event", "", "ratio", "events/s", "", "ratio", title="before, after")
    with tempfile.TemporaryDirectory() as folder:
        simulate(Path(folder), _EPCS, _SEED, lambda _what, _done: None)
        raw_file = Path(folder) / "icn.csv"
        if known.stages:
            with stages_of(known.before.resolve(), raw_file) as old, stages_of(ROOT, raw_file) as new:
                rounds = [(costs(old), costs(new)) for _ in range(known.rounds + 1)][1:]  # the first one warms up
            Console(width=120).print(stages_table(*map(list, zip(*rounds, strict=True))))
            return
        events = read_files([raw_file]).events
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
