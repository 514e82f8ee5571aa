"""The gateway beside what a user would otherwise write, in one run: FastAPI, a plain grpc.aio handler, LitServe.

``python -m tests.tools.peers`` takes eight minutes. Servers with one process that judges, then with two, stand side by
side; they get the same requests of 50, 500 and 5,000 events, eight calls in flight, in turn and again, so that whatever
else the machine does meets all of them. The first round warms up and does not count. Processes: the gateway's
``--workers``, uvicorn's ``workers``, LitServe's ``workers_per_device`` (it adds an HTTP process for each), and plain
handlers that share a port. What judges is in `tests.tools.peers.detector`, what the gateway does more in the package.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable
from contextlib import ExitStack

from rich.console import Console

from tests.tools.peers.load import Bodies, load, some_bodies
from tests.tools.peers.report import Loads, table
from tests.tools.peers.servers import GATEWAY, PEERS, running


async def measure(
    processes: int, bodies: dict[int, Bodies], rounds: int, seconds: float, show: Callable[[str], None]
) -> Loads:
    """Return the loads of all servers with so many processes."""
    names = (GATEWAY, *PEERS)
    loads: Loads = {(processes, size, name): [] for size in bodies for name in names}
    with ExitStack() as stack:
        servers = {name: stack.enter_context(running(name, processes)) for name in names}
        for size, of_size in bodies.items():
            for number in range(rounds + 1):
                show(f"{processes} processes, {size} events per request: round {number} of {rounds}")
                for name, server in servers.items():
                    found = await load(name, server, of_size, seconds)
                    if number:
                        loads[processes, size, name].append(found)
    return loads


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="of load per round and server")
    parser.add_argument("--sizes", type=int, nargs="+", default=[50, 500, 5_000], help="events per request")
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    known = parser.parse_args()
    show = Console(stderr=True).log
    bodies = some_bodies(known.sizes)
    loads: Loads = {}
    for processes in known.processes:
        loads |= asyncio.run(measure(processes, bodies, known.rounds, known.seconds, show))
    Console(width=170).print(table(loads))


if __name__ == "__main__":
    main()
