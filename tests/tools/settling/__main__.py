"""Plays a simulated world through the causal and the final judgements of a gateway, in the time of its events.

`python -m tests.tools.settling DATA` wants a folder that `epc-sentinel simulate` made. It prints AP, findings and false
alarms of provisional answers, of final ones after some hours, and of Analyze with all events at once.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from service.detect.detector import Judgement
from service.detect.names import DetectorName
from service.events.columns import Events
from service.events.vocabulary import KINDS
from service.features.case import join
from service.gateway.build import build_wiring
from service.rawfiles.columns import read_files
from service.rawfiles.folders import raw_files
from service.settings import load_settings
from training.datasets.truth import Truth, load_truth
from training.metrics.per_kind import per_kind
from training.metrics.ranking import MACRO

EVENTS, TICKS, HOUR_S = 50, 8, 3600.0
"""Events of a request; looks back per time to settle, as in the gateway."""


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What was said of N events."""

    scores: NDArray[np.float32]
    flags: NDArray[np.bool_]

    @classmethod
    def of(cls, events: int) -> Answers:
        return cls(np.zeros((events, len(KINDS)), np.float32), np.zeros((events, len(KINDS)), np.bool_))

    def say(self, rows: NDArray[np.intp], judgement: Judgement) -> None:
        self.scores[rows], self.flags[rows] = judgement.scores, judgement.flags


async def play(events: Events, settle_s: float, detector: DetectorName) -> tuple[Answers, Answers, float]:
    """Return provisional and final answers to ``events``, in the order of time, and the seconds per look back."""
    course, looks, spent_s = build_wiring(load_settings()).analyzer.stream(), 0, 0.0
    provisional, final = Answers.of(len(events)), Answers.of(len(events))
    waiting: deque[tuple[float, NDArray[np.intp]]] = deque()
    tick_s = settle_s / TICKS
    for begin in [*range(0, len(events), EVENTS), len(events)]:
        rows = np.arange(begin, min(begin + EVENTS, len(events)))
        now_s = events.time_us[rows[0]] / 1e6 if len(rows) else math.inf
        while waiting and waiting[0][0] <= now_s:
            due_s, due = waiting[0][0], []
            while waiting and waiting[0][0] == due_s:
                due.append(waiting.popleft()[1])
            started = time.perf_counter()
            final.say(np.concatenate(due), await course.settle(join([events.take(one) for one in due])[0], detector))
            looks, spent_s = looks + 1, spent_s + time.perf_counter() - started
        if len(rows):
            provisional.say(rows, await course.follow(events.take(rows), detector))
            sent_s = events.time_us[rows[-1]] / 1e6
            waiting.append((math.ceil((sent_s + settle_s) / tick_s) * tick_s, rows))
    return provisional, final, spent_s / looks


def show(name: str, answers: Answers, truth: Truth) -> None:
    """Print a row."""
    table, wrong = per_kind(truth.labels, answers.scores), (truth.labels >= 0.5).any(axis=1)
    flagged, noise = answers.flags.any(axis=1), truth.details["noise"]
    found, false = (answers.flags & (truth.labels >= 0.5)).any(axis=1), flagged & ~wrong
    beside = false & ((noise == "missed_scan") | (noise == "blind_gate"))
    ap = "  ".join(f"{kind} {table[kind]['ap']:.3f}" for kind in (MACRO, *KINDS))
    print(
        f"{name:17s} AP {ap}  found {found.sum()} of {wrong.sum()}  false alarms {false.sum()},"
        f" {beside.sum()} beside a missed scan or a blind gate",
        flush=True,
    )


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description="What answers gain by settling.")
    parser.add_argument("data", type=Path)
    parser.add_argument("--hours", type=float, nargs="+", default=[2.0, 24.0])
    parser.add_argument("--detector", type=DetectorName, choices=list(DetectorName), default=DetectorName.LSTM)
    asked = parser.parse_args()
    events = read_files(raw_files([asked.data])).events
    truth = load_truth(asked.data / "truth.parquet", events)
    order = np.lexsort((events.event_id, events.time_us))
    events = events.take(order)
    truth = Truth(truth.labels[order], {name: column[order] for name, column in truth.details.items()})
    for hours in asked.hours:
        provisional, final, look_s = asyncio.run(play(events, hours * HOUR_S, asked.detector))
        show("provisional", provisional, truth)
        show(f"final after {hours:g} h", final, truth)
        print(f"{look_s * 1e3:.0f} ms per look back")
    whole = Answers.of(len(events))
    judgement = asyncio.run(build_wiring(load_settings()).analyzer.analyze(events, asked.detector))
    whole.say(np.arange(len(events)), judgement)
    show("all at once", whole, truth)


if __name__ == "__main__":
    main()
