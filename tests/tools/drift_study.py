"""``python -m tests.tools.drift_study``: how often the drift monitor is wrong, and how fast it is right.

The bundled model judges requests of about 500 events that it was not trained on, one after the other. Planted shifts
change the events before they are judged. Prints a table, or JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from service.detect.model_detector import ModelDetector
from service.drift.monitor import LEVEL, Drift, Monitor, draw, drawn_of
from service.events.columns import Events
from service.events.vocabulary import EVENT_TYPES
from service.features.case import Case, View
from service.features.reference import Reference
from service.features.table import feature_spec_hash
from service.model import repository
from service.model.onnx_backend import OnnxBackend
from service.runtime.deadline import NEVER
from tests.support.gateway import ROOT
from training.datasets import dataset
from training.runs.drift_histograms import REQUEST_ITEMS, requests
from training.samples.splits import SPLITS, split_epcs

Shift = Callable[[Events, np.random.Generator], Events]
WINDOW, MOST = 200, 1_000


def _some(events: Events, share: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return a mask [N] of all events of a share of the items."""
    return np.asarray(rng.random(len(events.epc_codes))[events.epc] < share)


def new_places(events: Events, rng: np.random.Generator) -> Events:
    """A fifth of the items goes through places that nobody knows."""
    return replace(events, location_id=np.where(_some(events, 0.2, rng), events.location_id + 500, events.location_id))


def new_scanners(events: Events, rng: np.random.Generator) -> Events:
    """New scanner software names a fifth of the events in its own way."""
    return replace(events, event_type=np.where(rng.random(len(events)) < 0.2, -1, events.event_type).astype(np.int8))


def slow_lanes(events: Events, _rng: np.random.Generator) -> Events:
    """All times between scans are four times as long: a strike."""
    first = np.full(len(events.epc_codes), np.iinfo(np.int64).max)
    np.minimum.at(first, events.epc, events.time_us)
    begin = first[events.epc]
    return replace(events, time_us=begin + (events.time_us - begin) * 4)


def forgeries(events: Events, rng: np.random.Generator) -> Events:
    """Three of ten items have a serial that was never issued."""
    codes = [
        code[:-9] + f"{rng.integers(5e8, 1e9):09d}" if rng.random() < 0.3 and len(code) > 9 else code
        for code in events.epc_codes
    ]
    return replace(events, epc_codes=codes)


def broken_codes(events: Events, rng: np.random.Generator) -> Events:
    """A printer drops the last part of the code of one item in five."""
    codes = [code.rpartition(".")[0] if rng.random() < 0.2 else code for code in events.epc_codes]
    return replace(events, epc_codes=codes)


def lost_outbound(events: Events, _rng: np.random.Generator) -> Events:
    """The outbound gates of the hubs are dead."""
    return events.take(events.event_type != EVENT_TYPES.index("HUB_Outbound"))


SHIFTS: dict[str, Shift] = {
    shift.__name__: shift for shift in (new_places, new_scanners, slow_lanes, forgeries, broken_codes, lost_outbound)
}


@dataclass(frozen=True)
class Judged:
    """A request after its judgement: what the monitor may draw from."""

    epc: NDArray[np.int32]  # [A]
    items: int
    values: NDArray[np.float32]  # [A, S]


class Recorder(Drift):
    """Keeps what it could draw from, instead of drawing."""

    def __init__(self, model: repository.Model) -> None:
        super().__init__(model.manifest.histograms, window=WINDOW, most=MOST)
        self.found: list[Judged] = []

    def watch(self, view: View, case: Case, scores: NDArray[np.float32]) -> None:
        """See `Drift.watch`."""
        events = view.events
        self.found.append(Judged(events.epc, len(events.epc_codes), self.values(view, case, slice(None), scores)))


async def judged(traffic: Sequence[Events], *, causal: bool) -> list[Judged]:
    """Return the requests, judged by the bundled model in this process."""
    model = repository.load(ROOT / "model_repository", feature_spec_hash=feature_spec_hash())
    recorder = Recorder(model)
    backend = OnnxBackend(model.onnx_path, threads=1)
    detector = ModelDetector(backend, model, Reference.from_json(model.manifest.reference), recorder)
    for request in traffic:
        await detector.judge(View(request, causal=causal), NEVER)
    await backend.close()
    return recorder.found


def fresh_monitor(mode: str) -> Monitor:
    """Return a monitor of the bundled model."""
    model = repository.load(ROOT / "model_repository", feature_spec_hash=feature_spec_hash())
    return Drift(model.manifest.histograms, window=WINDOW, most=MOST).monitors[mode]


@dataclass(frozen=True)
class Calm:
    """What stationary traffic did."""

    mode: str
    windows: int
    rejected: int
    alarms: int  # windows in alarm
    wrongly: dict[str, int]  # windows by the feature that was rejected


def stay_calm(requests_: Sequence[Judged], mode: str, rounds: int, seed: int = 0) -> Calm:
    """Play the requests in the order of time, each round from another place on and with other draws."""
    rng = np.random.default_rng(seed)
    windows = rejected = alarms = 0
    wrongly: dict[str, int] = {}
    monitor = fresh_monitor(mode)
    for _ in range(rounds):
        begin = int(rng.integers(len(requests_)))
        for request in [*requests_[begin:], *requests_[:begin]]:
            before = monitor.windows, monitor.rejected
            monitor.add(request.values[draw(request.epc, request.items, rng, drawn_of(request.items))])
            if monitor.windows == before[0]:
                continue
            windows, alarms = windows + 1, alarms + monitor.alarm
            rejected += monitor.rejected - before[1]
            assert monitor.result is not None
            for at in np.flatnonzero(monitor.result.rejected).tolist():
                name = monitor.reference.names[at]
                wrongly[name] = wrongly.get(name, 0) + 1
    return Calm(mode, windows, rejected, alarms, wrongly)


@dataclass(frozen=True)
class Found:
    """How a planted shift was found."""

    shift: str
    mode: str
    found: int  # of the starts
    starts: int
    events_to_alarm: tuple[int, int] | None  # judged until the alarm: median and most
    first: tuple[str, ...]  # features that were rejected most often


def find(requests_: Sequence[Judged], shift: str, mode: str, starts: int, seed: int = 0) -> Found:
    """Let the shift begin at ``starts`` places of the traffic, and see when the alarm comes, within one round."""
    rng = np.random.default_rng(seed)
    events_to_alarm, seen = [], dict[str, int]()
    for begin in rng.integers(0, len(requests_), starts).tolist():
        monitor, events = fresh_monitor(mode), 0
        for request in [*requests_[begin:], *requests_[:begin]]:
            events += len(request.epc)
            monitor.add(request.values[draw(request.epc, request.items, rng, drawn_of(request.items))])
            if monitor.alarm and monitor.result is not None:
                events_to_alarm.append(events)
                for at in np.flatnonzero(monitor.result.rejected).tolist():
                    name = monitor.reference.names[at]
                    seen[name] = seen.get(name, 0) + 1
                break
    when = (int(np.median(events_to_alarm)), max(events_to_alarm)) if events_to_alarm else None
    return Found(shift, mode, len(events_to_alarm), starts, when, tuple(sorted(seen, key=lambda n: -seen[n])[:3]))


def held_out(data: Path, part: str | None) -> Events:
    """Return the events of a world, or those of one part of its split."""
    events = dataset.load(data).events
    if part is None:
        return events
    return events.take(np.flatnonzero(split_epcs(events)[events.epc] == SPLITS.index(part)))


def study(events: Events, rounds: int, starts: int) -> tuple[list[Calm], list[Found]]:
    """Return what stationary and shifted traffic did, in both modes."""
    traffic = [events.take(rows) for rows in requests(events, REQUEST_ITEMS)]
    calm, found = [], []
    for causal, mode in enumerate(("retrospective", "causal")):
        plain = asyncio.run(judged(traffic, causal=bool(causal)))
        calm.append(stay_calm(plain, mode, rounds))
        for name, shift in SHIFTS.items():
            rng = np.random.default_rng(7)
            changed = asyncio.run(judged([shift(request, rng) for request in traffic], causal=bool(causal)))
            found.append(find(changed, name, mode, starts))
    return calm, found


def main() -> None:
    """Run the study of a world folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of raw files, as simulate writes it")
    parser.add_argument("--part", choices=SPLITS, help="only this part of the split; default: everything")
    parser.add_argument("--rounds", type=int, default=50, help="of stationary traffic")
    parser.add_argument("--starts", type=int, default=20, help="of each shift")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    calm, found = study(held_out(given.data, given.part), given.rounds, given.starts)
    if given.json:
        print(json.dumps({"calm": [asdict(row) for row in calm], "found": [asdict(row) for row in found]}, indent=1))
        return
    table = Table("mode", "windows", "rejected", "in alarm", "by", title=f"Stationary traffic, level {LEVEL:.0%}")
    for row in calm:
        by = ", ".join(f"{name} {count}" for name, count in sorted(row.wrongly.items(), key=lambda pair: -pair[1])[:6])
        shares = [f"{count} ({count / max(row.windows, 1):.1%})" for count in (row.rejected, row.alarms)]
        table.add_row(row.mode, str(row.windows), *shares, by)
    shifts = Table("shift", "mode", "alarms", "events to the alarm: median", "most", "seen in", title="Planted shifts")
    for one in found:
        when = [f"{events:,}" for events in one.events_to_alarm] if one.events_to_alarm else ["-", "-"]
        shifts.add_row(one.shift, one.mode, f"{one.found} of {one.starts}", *when, ", ".join(one.first))
    console = Console(width=150)
    console.print(table, shifts)


if __name__ == "__main__":
    main()
