"""The ``replay`` command: raw files as a live stream, in the order of time, at any speed.

All events of an EPC go through the same stream, because a stream is what keeps events in order.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from service.api.requests import encode_request
from service.client.access import OPEN, Access
from service.client.gateway import check_reachable
from service.client.stream import Answered, GatewayStream
from service.detect.names import DetectorName
from service.dialect.dialect import Dialect, words_of
from service.errors import CommandError
from service.events.columns import Events
from service.events.vocabulary import OperatingPoint
from service.events.zones import TimeZones
from service.jobs.progress import warn
from service.jobs.render import printable, time_text
from service.jobs.stories import kinds_of
from service.jobs.tally import Tally
from service.rawfiles.columns import SITES, read_files
from service.rawfiles.folders import left_out, raw_files

_SHOW_S = 0.25
_WARNING_LETTERS = 500

_MOST_FLAGGED, _OF_EVENTS = 0.25, 200
"""Share of so many events or more; in simulated worlds 8 % are anomalous."""

_FLAGS_TOO_MUCH = (
    "Warning: {:.0%} of the events are flagged: is this the network that the gateway's model knows? analyze a file of"
    " them with --target to be told what it does not know; docs/adopt.md says how it learns it\n"
)

_IN_FLIGHT = 2
"""Requests of a stream under way at full speed: one is judged, the next one is there. More of them only wait longer."""


@dataclass(frozen=True, slots=True)
class ReplayPlan:
    """How to replay."""

    target: str  # HOST:PORT
    detector: DetectorName
    speed: float  # times real time; 0: as fast as the gateway answers
    batch: int  # events of a request, at most
    streams: int
    limit_s: float | None  # stop after so long
    give_up_s: float  # a stream without any answer for so long has failed
    access: Access = OPEN
    point: OperatingPoint | None = None  # None: as the gateway is set
    zones: TimeZones = SITES  # of the sites: times without a zone are local
    dialect: Dialect | None = None  # in which the files are, and the gateway wants its events


def replay(paths: Sequence[Path], plan: ReplayPlan, *, as_json: bool) -> None:
    """Replay the files and print findings as they come, then a summary (as JSON: the summary alone).

    Raises:
        CommandError: a file cannot be used, the gateway refused, or events got no answer.
    """
    columns = plan.dialect.columns if plan.dialect else {}
    raw = read_files(raw_files(paths, columns), zones=plan.zones, dialect=plan.dialect)
    warn([*left_out(paths, columns), *raw.warnings])
    # Events that happen come in no file; and a request is about one.
    events = replace(raw.events, file_id=np.ones_like(raw.events.file_id))
    if not len(events):
        raise CommandError(f"{', '.join(map(str, paths))}: no rows below the header line, so nothing to replay")
    events = events.take(np.lexsort((events.event_id, events.time_us)))
    check_reachable(plan.target, plan.access)
    tally, screen = Tally(), _Screen(len(events), plan.zones, findings=not as_json)
    player = Player(plan, tally, screen.found)
    with screen:
        failure = player.play(events, lambda: screen.update(tally))
    summary = tally.summary()
    print(json.dumps(summary) if as_json else _in_words(summary))
    if isinstance(failure, CommandError):
        raise CommandError(f"{tally.lost} events that were sent got no answer: {failure}")
    if failure:
        raise failure


class Player:
    """Plays events through the streams of a plan, each in a thread of its own."""

    def __init__(self, plan: ReplayPlan, tally: Tally, on_answer: Callable[[Answered], None]) -> None:
        self._plan = plan
        self._tally = tally
        self._on_answer = on_answer
        self._stop = threading.Event()

    def play(self, events: Events, on_tick: Callable[[], None]) -> BaseException | None:
        """Play ``events``, which are in the order of time; return why it failed, None if it did not."""
        start_us, started = int(events.time_us[0]), time.monotonic()
        stream_of = events.epc % self._plan.streams
        retried, give_up_s = self._tally.retried, self._plan.give_up_s
        lines = [
            GatewayStream(self._plan.target, give_up_s=give_up_s, on_retry=retried, access=self._plan.access)
            for _ in range(self._plan.streams)
        ]
        with ThreadPoolExecutor(len(lines)) as pool:
            running = [
                pool.submit(self._run, line, events.take(stream_of == number), start_us, started)
                for number, line in enumerate(lines)
            ]
            try:
                failure = _failure(running, on_tick)
            finally:
                self._stop.set()
                for line in lines:  # all are done, unless one failed or the user wants to stop
                    line.close()
        on_tick()
        return failure

    def _run(self, line: GatewayStream, events: Events, start_us: int, started: float) -> None:
        at_once, words = 1 if self._plan.speed else _IN_FLIGHT, words_of(self._plan.dialect)
        try:
            for piece in self._pieces(events, start_us, started):
                line.send(encode_request(events.take(piece), self._plan.detector, self._plan.point, words=words))
                if line.unanswered >= at_once:
                    self._take(line)
            while line.unanswered:
                self._take(line)
            line.finish()
        finally:
            self._tally.lose(line.unanswered_events)
            line.close()

    def _take(self, line: GatewayStream) -> None:
        answered = line.receive()
        self._tally.add(answered)
        self._on_answer(answered)

    def _pieces(self, events: Events, start_us: int, started: float) -> Iterator[NDArray[np.intp]]:
        """Yield positions of the next events when they are due: all that are, up to the size of a batch."""
        plan, total, at = self._plan, len(events), 0
        due_s = (events.time_us - start_us) / (1e6 * plan.speed) if plan.speed else np.zeros(total)
        end_s = np.inf if plan.limit_s is None else plan.limit_s
        while at < total:
            wait_s = min(float(due_s[at]), end_s) - (time.monotonic() - started)
            if self._stop.wait(max(0.0, wait_s)) or (now_s := time.monotonic() - started) >= end_s:
                return
            ready = max(at + 1, int(np.searchsorted(due_s, now_s, side="right")))
            end = min(ready, at + plan.batch)
            yield np.arange(at, end)
            at = end


def _failure(running: Sequence[Future[None]], on_tick: Callable[[], None]) -> BaseException | None:
    """Wait until all are done, or one has failed; return why."""
    while True:
        done, not_done = wait(running, _SHOW_S, FIRST_EXCEPTION)
        failed = [error for one in done if (error := one.exception())]
        if failed or not not_done:
            return failed[0] if failed else None
        on_tick()


class _Screen:
    """Progress on stderr, findings on stdout."""

    def __init__(self, total: int, zones: TimeZones, *, findings: bool) -> None:
        console = Console(stderr=True)
        self._zones = zones
        self._findings = findings
        self._progress = Progress(
            TextColumn("Replaying"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[now]}"),
            console=console,
            disable=not console.is_terminal,
            transient=True,
            redirect_stdout=sys.stdout.isatty(),
        )
        self._task = self._progress.add_task("", total=total, now="")

    def __enter__(self) -> None:
        self._progress.start()

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def update(self, tally: Tally) -> None:
        """Show the counts."""
        p50, p99 = tally.percentiles_ms(50, 99)
        now = (
            f"{tally.rate():,.0f} events/s, p50 {p50:.1f} ms, p99 {p99:.1f} ms, {tally.flagged} flagged, "
            f"{tally.retries} retries"
        )
        self._progress.update(self._task, completed=tally.events, now=now)

    def found(self, answered: Answered) -> None:
        """Print the findings of an answer, a line per event, with the time that the clock of the place showed."""
        if not self._findings or not answered.response.event_history:
            return
        scan_of = {scan.event_id: scan for scan in answered.request.data}
        lines = []
        for finding in answered.response.event_history:
            scan = scan_of[finding.event_id]
            instant_us = scan.event_time.seconds * 1_000_000 + scan.event_time.nanos // 1_000
            time_us = int(self._zones.local_us(np.array([instant_us]), np.array([scan.location_id]))[0])
            said = ", ".join(f"{kind} {score:.1f}" for kind, score in kinds_of(finding))
            lines.append(f"{time_text(time_us)}  {finding.event_id}  {printable(scan.epc_code)}  {said}\n")
        sys.stdout.write("".join(lines))
        sys.stdout.flush()


def _in_words(summary: dict[str, Any]) -> str:
    latency = summary["latency_ms"]
    warnings = [
        f"Warning: {printable(said['text'], _WARNING_LETTERS)} ({said['answers']} of {summary['requests']} answers)\n"
        for said in summary["warnings"]
    ]
    if not warnings and summary["flagged"] > _MOST_FLAGGED * max(summary["events"], _OF_EVENTS):
        warnings.append(_FLAGS_TOO_MUCH.format(summary["flagged"] / summary["events"]))
    return "".join(warnings) + (
        f"{summary['events']} events in {summary['duration_s']} s ({summary['events_per_s']} per second),"
        f" {summary['flagged']} flagged.\n"
        f"{summary['requests']} answers: p50 {latency['p50']} ms, p99 {latency['p99']} ms, max {latency['max']} ms;"
        f" {summary['degraded']} with a warning.\n"
        f"{summary['retries']} retries, {summary['lost']} events lost."
    )
