"""A live stream at the highest rate for a long time: is the gateway's memory flat, and does it stay quick?

``python -m tests.tools.soak --minutes 10 --out soak`` simulates a world, starts a gateway and plays the world through
it over and over, each time with new event ids, at a later time and of new lots, as lots are made once in life; with
``--same-lots`` each lot grows for ever. (Findings mean little then: codes are out of date.) It prints a line per
sample, leaves ``soak/soak.json`` and ``soak/soak.png``, and fails if an event was lost, an answer was degraded, a
stream broke, or memory kept growing.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict, dataclass, replace
from itertools import count
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from service.client.stream import Answered
from service.events import codes
from service.events.columns import Events, factorize
from service.jobs.replay import Player, ReplayPlan
from service.jobs.tally import Latencies, Tally
from service.rawfiles.columns import read_files
from service.rawfiles.folders import raw_files
from tests.support.gateway import Gateway
from tests.support.observed import samples, scrape, value
from training.simulation.world import simulate

GROWTH = 1.05
"""Of the memory in the last quarter of the run over that in the second one: more is a leak, not noise."""

_DAY_US = 86_400 * 1_000_000
_LOTS = 1_009  # numbers of a world's lots lie closer together


@dataclass(frozen=True)
class Sample:
    """The gateway at one moment; rate and latencies are those since the sample before."""

    at_s: float
    rss_mib: float
    history_events: float  # in the index
    events_per_s: float
    p50_ms: float
    p99_ms: float


class Watch:
    """Takes samples of a gateway while it is under load."""

    def __init__(self, gateway: Gateway, every_s: float) -> None:
        self._gateway = gateway
        self._statm = Path(f"/proc/{gateway.pid}/statm")
        self._every_s = every_s
        self._started = self._last = time.monotonic()
        self._events = 0
        self._latencies = Latencies()
        self.samples: list[Sample] = []

    def add(self, answered: Answered) -> None:
        """Count an answer."""
        self._events += len(answered.request.data)
        self._latencies.add(answered.latency_s)

    def tick(self) -> None:
        """Take a sample if it is time."""
        now = time.monotonic()
        if now - self._last < self._every_s:
            return
        rss_mib = int(self._statm.read_text().split()[1]) * 4096 / 2**20
        latencies, events = self._latencies, self._events
        self._latencies, self._events = Latencies(), 0
        p50, p99 = (latencies.percentile_s(percent) * 1e3 for percent in (50, 99))
        remembered = value(samples(scrape(self._gateway)), "history_events")
        sample = Sample(now - self._started, rss_mib, remembered, events / (now - self._last), p50, p99)
        self._last = now
        self.samples.append(sample)
        print(" ".join(f"{name}={value:.1f}" for name, value in asdict(sample).items()), flush=True)


def later(events: Events, turn: int) -> Events:
    """Return the events of another turn: other ids, and as many days later as the world lasts."""
    span_us = int(events.time_us.max() - events.time_us.min()) // _DAY_US * _DAY_US + _DAY_US
    step = int(events.event_id.max()) + 1
    return replace(events, event_id=events.event_id + turn * step, time_us=events.time_us + turn * span_us)


def in_new_lots(events: Events, turn: int) -> Events:
    """Return the events with their items in lots of another turn; codes that cannot be taken apart stay."""
    well_formed = codes.parse(events.epc_codes).well_formed.tolist()
    return replace(
        events,
        epc_codes=[
            f"{code[:20]}{(int(code[20:26]) + turn * _LOTS) % 10**6:06d}{code[26:]}" if good else code
            for code, good in zip(events.epc_codes, well_formed, strict=True)
        ],
    )


def largest_lot(events: Events) -> int:
    """Return how many events of the largest lot there are."""
    lots, _ = factorize([code[4:26] for code in events.epc_codes])
    return int(np.bincount(lots[events.epc]).max())


def growth(samples: list[Sample]) -> float:
    """Return mean memory in the last quarter of the samples over that in the second quarter."""
    rss = np.array([sample.rss_mib for sample in samples])
    quarter = max(len(rss) // 4, 1)
    return float(rss[-quarter:].mean() / rss[quarter : 2 * quarter].mean())


def plot(samples: list[Sample], path: Path) -> None:
    """Draw memory, rate and latencies over time."""
    figure = Figure(figsize=(8, 8), layout="constrained")
    memory, rate, latency = figure.subplots(3, sharex=True)
    minutes = [sample.at_s / 60 for sample in samples]
    memory.plot(minutes, [sample.rss_mib for sample in samples])
    memory.set(ylabel="gateway's memory, MiB", ylim=(0, None))
    rate.plot(minutes, [sample.events_per_s for sample in samples])
    rate.set(ylabel="events per second", ylim=(0, None))
    for name in ("p50_ms", "p99_ms"):
        latency.plot(minutes, [getattr(sample, name) for sample in samples], label=name.removesuffix("_ms"))
    latency.set(xlabel="minutes", ylabel="latency of an answer, ms", ylim=(0, None))
    latency.legend()
    figure.savefig(path, dpi=120)


def soak(out: Path, plan: ReplayPlan, epcs: int, every_s: float, *flags: str, same_lots: bool = False) -> list[str]:
    """Run the soak, write its report to ``out`` and return what is wrong; ``plan`` needs a limit, and no target."""
    out.mkdir(parents=True, exist_ok=True)
    simulate(out / "world", epcs, 11, None)
    events = read_files(raw_files([out / "world"])).events
    events = replace(events, file_id=np.ones_like(events.file_id)).take(np.lexsort((events.event_id, events.time_us)))
    tally = Tally()
    with Gateway("--metrics-port", "0", *flags) as gateway:
        watch, end = Watch(gateway, every_s), time.monotonic() + (plan.limit_s or 0.0)
        for turn in count():
            if (left_s := end - time.monotonic()) <= 0:
                break
            player = Player(replace(plan, target=gateway.target, limit_s=left_s), tally, watch.add)
            played = later(events if same_lots else in_new_lots(events, turn), turn)
            if failure := player.play(played, watch.tick):
                raise failure
    report = tally.summary() | {"growth": round(growth(watch.samples), 4), "flags": flags, "streams": plan.streams}
    report |= {"largest_lot": largest_lot(events), "turns": turn}
    (out / "soak.json").write_text(json.dumps(report | {"samples": [asdict(one) for one in watch.samples]}, indent=1))
    plot(watch.samples, out / "soak.png")
    print(json.dumps(report))
    wrong = [f"{report[name]} {name}" for name in ("lost", "retries", "degraded") if report[name]]
    return wrong + ([f"memory grew {report['growth']} times"] if report["growth"] > GROWTH else [])


def main() -> None:
    """Run the soak that the command line asks for; other flags are the gateway's."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--out", type=Path, default=Path("soak"))
    parser.add_argument("--epcs", type=int, default=20_000)
    parser.add_argument("--streams", type=int, default=4)
    parser.add_argument("--batch", type=int, default=50)
    parser.add_argument("--every-s", type=float, default=5.0)
    parser.add_argument("--same-lots", action="store_true")
    known, flags = parser.parse_known_args()
    plan = ReplayPlan("", "lstm", 0.0, known.batch, known.streams, known.minutes * 60, give_up_s=30.0)
    if wrong := soak(known.out, plan, known.epcs, known.every_s, *flags, same_lots=known.same_lots):
        sys.exit("soak: " + "; ".join(wrong))


if __name__ == "__main__":
    main()
