"""What an outage costs, under load: a server is killed, Valkey fails over, a worker or Triton hangs, connections die.

``python -m tests.tools.kill_matrix --part-s 15`` starts two gateways, one of two workers, on one Triton and one Valkey,
all of them real servers, and plays live streams through both gateways as fast as they answer. For each victim the load
runs three parts of time: all is well, the victim is dead, it is back. Then the clients send everything once more, and
the store is read: each event has to be there, once.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from service.client.stream import Answered
from service.events.columns import Events
from service.jobs.replay import Player, ReplayPlan
from service.jobs.tally import Tally
from tests.servers.relay import Relay
from tests.servers.triton.fixture import TritonServer
from tests.servers.valkey import AT_ONCE, Name, Valkey, demote, stored
from tests.support.gateway import ROOT, Gateway
from tests.tools.soak import later
from training.datasets.dataset import load
from training.simulation.world import simulate

VICTIMS = ("valkey", "valkey's role", "triton", "gateway", "triton hangs", "connections to triton", "worker hangs")
_GIVE_UP_S = 30.0
_ROUNDS = 5
"""Times that clients send everything again, at most: until no answer is degraded, as on a busy machine some may be."""


class Cluster:
    """Two gateways, a Triton with the bundled model, and a Valkey with a replica."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self.valkey = stack.enter_context(Valkey(*AT_ONCE))
        replica_of = ("--replicaof", "127.0.0.1", str(self.valkey.port))
        self._replica = stack.enter_context(Valkey(*AT_ONCE, *replica_of))
        self._name = stack.enter_context(Name(self.valkey.address))
        self.triton = stack.enter_context(TritonServer(ROOT / "model_repository"))
        self._relay = stack.enter_context(Relay(self.triton.url))
        self.gateways = [self._gateway("0"), self._gateway("0", "--workers", "2")]
        self._hung = 0
        self.ports = [gateway.target.rpartition(":")[2] for gateway in self.gateways]

    def _gateway(self, port: str, *more: str) -> Gateway:
        history = f"valkey://{self._name.address}"
        flags = ("--backend", f"triton://{self._relay.address}", "--history", history, "--port", port)
        return self._stack.enter_context(Gateway(*flags, "--probe-interval-s", "0.25", *more))

    def strike(self, victim: str) -> None:
        """End one server as a crash would, stop it, or let its connections go dead: packets vanish, nobody is told."""
        match victim:
            case "gateway":
                os.kill(self.gateways[0].pid, signal.SIGKILL)
            case "valkey's role":  # the name leads to the replica that it is now
                demote(self.valkey, self._replica)
                self.valkey, self._replica = self._replica, self.valkey
            case "triton hangs":
                os.kill(self.triton.pid, signal.SIGSTOP)
            case "connections to triton":
                self._relay.swallow()
            case "worker hangs":
                self._hung = max(self.gateways[1].workers(), key=connections)
                os.kill(self._hung, signal.SIGSTOP)
            case _:
                {"valkey": self.valkey, "triton": self.triton}[victim].kill()

    def mend(self, victim: str) -> None:
        """Start it again, at its old address, and wait until it answers; Valkey comes back without its data.

        Dead connections stay so, it is for the gateways to make new ones; and to replace a worker that hangs.
        """
        match victim:
            case "gateway":
                self.gateways[0] = self._gateway(self.ports[0])
            case "valkey's role":
                self._name.point_at(self.valkey)
            case "triton hangs":
                os.kill(self.triton.pid, signal.SIGCONT)
            case "connections to triton":
                pass
            case "worker hangs":
                while len(self.gateways[1].workers() - {self._hung}) < 2:
                    time.sleep(0.05)
            case _:
                {"valkey": self.valkey, "triton": self.triton}[victim].start()

    def targets(self) -> list[str]:
        """Return the addresses of both gateways for each half of the clients, their own gateway first."""
        own, other = (f"127.0.0.1:{port}" for port in self.ports)
        return [f"ipv4:{own},{other}", f"ipv4:{other},{own}"]


def connections(pid: int) -> int:
    """Return how many established TCP connections a process has."""
    rows = [row.split() for name in ("tcp", "tcp6") for row in Path(f"/proc/{pid}/net/{name}").read_text().splitlines()]
    established = {f"socket:[{row[9]}]" for row in rows if row[3] == "01"}
    count = 0
    for file in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):  # closed meanwhile
            count += str(file.readlink()) in established
    return count


@dataclass
class Outage:
    """What the clients saw of one outage."""

    victim: str
    down_s: float = 0.0  # from the strike until the victim was back
    recovered_s: float = 0.0  # from its return until the last answer that was degraded; 0: none was
    answers: list[tuple[float, Answered]] = field(default_factory=list)  # with the moment
    retries: int = 0  # streams that broke: their clients sent again what had no answer
    lost: int = 0  # events sent that got no answer at all
    unstored: int = 0  # events of which the store has no record after the clients sent all once more
    twice: int = 0  # records that the store has too many

    @property
    def events(self) -> int:
        """Events that got an answer."""
        return sum(len(one.request.data) for _, one in self.answers)

    @property
    def degraded(self) -> list[tuple[float, Answered]]:
        """The answers without history, or by the rules; that some events came late is no such case."""
        without = ("The history is unavailable", "The model could not answer")
        return [one for one in self.answers if any(words in one[1].response.warning for words in without)]

    @property
    def longest_s(self) -> float:
        """The longest time that a request waited for its answer, retries included."""
        return max(answered.latency_s for _, answered in self.answers)


def play(targets: list[str], events: Events, limit_s: float | None, outage: Outage) -> Callable[[], None]:
    """Start to play the events, half of the items at each target; return what waits for the end."""

    def run(target: str, mine: Events) -> None:
        tally = Tally()
        plan = ReplayPlan(target, "lstm", 0.0, batch=20, streams=2, limit_s=limit_s, give_up_s=_GIVE_UP_S)
        player = Player(plan, tally, lambda answered: outage.answers.append((time.monotonic(), answered)))
        failure = player.play(mine, lambda: None)
        outage.retries += tally.retries
        outage.lost += tally.lost
        if failure:
            raise failure

    pool = ThreadPoolExecutor(len(targets))
    halves = [
        pool.submit(run, target, events.take(events.epc % len(targets) == at)) for at, target in enumerate(targets)
    ]

    def wait() -> None:
        for half in halves:
            half.result()
        pool.shutdown()

    return wait


def strike(cluster: Cluster, victim: str, events: Events, part_s: float) -> Outage:
    """Strike the victim under load and mend it again; return what it cost."""
    outage = Outage(victim)
    wait = play(cluster.targets(), events, 3 * part_s, outage)
    time.sleep(part_s)
    killed = time.monotonic()
    cluster.strike(victim)
    time.sleep(part_s)
    cluster.mend(victim)
    back = time.monotonic()
    outage.down_s = back - killed
    wait()
    outage.recovered_s = max([0.0, *(moment - back for moment, _ in outage.degraded)])
    sent = {scan.event_id for _, one in outage.answers for scan in one.request.data}
    played = events.take(np.isin(events.event_id, list(sent)))
    for _ in range(_ROUNDS):
        again = Outage(victim)
        play(cluster.targets(), played, None, again)()
        outage.lost += again.lost
        if not again.degraded:
            break
    records = [event_id for event_id, _ in stored(cluster.valkey.url, played)]
    outage.unstored = len(sent - set(records))
    outage.twice = len(records) - len(set(records))
    return outage


def world(epcs: int) -> Events:
    """Return the events of a simulated world in the order of time, all in one file."""
    with tempfile.TemporaryDirectory() as folder:
        simulate(Path(folder), epcs, seed=13)
        events = load(Path(folder)).events
    events = replace(events, file_id=np.ones_like(events.file_id))
    return events.take(np.lexsort((events.event_id, events.time_us)))


def matrix(part_s: float, epcs: int) -> list[Outage]:
    """Return what each outage cost."""
    events = world(epcs)
    with ExitStack() as stack:
        cluster = Cluster(stack)
        return [strike(cluster, victim, later(events, turn), part_s) for turn, victim in enumerate(VICTIMS)]


def show(outages: list[Outage]) -> Table:
    """Return the outages as a table."""
    table = Table(
        "victim", "down s", "events", "answers", "streams broken", "degraded", "longest wait s", "recovered s",
        "lost", "not stored", "stored twice",
    )  # fmt: skip
    for one in outages:
        table.add_row(
            one.victim,
            f"{one.down_s:.1f}",
            f"{one.events:,}",
            f"{len(one.answers):,}",
            str(one.retries),
            str(len(one.degraded)),
            f"{one.longest_s:.2f}",
            f"{one.recovered_s:.2f}",
            str(one.lost),
            str(one.unstored),
            str(one.twice),
        )
    return table


def main() -> None:
    """Print the matrix; exit with an error if an event was lost or stored twice."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part-s", type=float, default=15.0)
    parser.add_argument("--epcs", type=int, default=20_000)
    known = parser.parse_args()
    outages = matrix(known.part_s, known.epcs)
    Console(width=140).print(show(outages))
    if any(one.lost or one.unstored or one.twice for one in outages):
        sys.exit("kill matrix: events were lost or stored twice")


if __name__ == "__main__":
    main()
