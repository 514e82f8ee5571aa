"""The story that `tests.tools.e2e` tells: its parts, a row per chapter, and what went wrong."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from rich.console import Console
from rich.table import Table

from tests.servers.envoy import Envoy, canary_py
from tests.servers.prometheus import MISSING, Prometheus
from tests.support.client import Client

OLD, NEW, RULES = "epc_lstm/1", "epc_lstm/2", "rule-based-fallback"
STEP_S, WINDOW = 10, "8s"


@dataclass
class Story:
    """The parts, and a row per chapter."""

    envoy: Envoy
    client: Client
    prometheus: Prometheus | None
    canary_flags: Sequence[str]  # the ports of whatever gateway is the canary
    rows: list[tuple[str, ...]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @contextlib.contextmanager
    def chapter(self, title: str) -> Iterator[list[str]]:
        """Count the calls of a chapter; what it finds is put into the list."""
        print(f"-- {title}", flush=True)
        found: list[str] = []
        began = time.monotonic()
        yield found
        found += self.alerts(time.monotonic() - began)
        calls = [answer for answer in self.client.answers if began <= answer.sent]
        lost = [answer for answer in calls if answer.error]
        self.expect(not lost, f"{title}: {len(lost)} calls lost, the first with {lost[0].error if lost else ''}")
        who = self.client.versions(since=began)
        share = {name: who[name] / max(1, len(calls)) for name in (OLD, NEW, RULES)}
        latency_ms = np.percentile([answer.duration_s for answer in calls] or [0], [50, 99]) * 1e3
        others = sum(who.values()) - sum(who[name] for name in share)
        self.rows.append(
            (title, str(len(calls)), str(len(lost)), *(f"{share[name]:.1%}" if share[name] else "" for name in share),
             f"{others / max(1, len(calls)):.1%}" if others else "",
             *(f"{ms:.0f}" for ms in latency_ms), "; ".join(found))
        )  # fmt: skip

    def alerts(self, last_s: float) -> list[str]:
        """Return the alerts that fired in the last seconds."""
        if self.prometheus is None:
            return []
        rows = self.prometheus.query(f'count_over_time(ALERTS{{alertstate="firing"}}[{last_s:.0f}s])')
        return [f"alert {name}" for name in sorted({row["metric"]["alertname"] for row in rows})]

    def expect(self, holds: bool, what: str) -> None:
        """Remember what went wrong."""
        if not holds:
            print(f"   WRONG: {what}", flush=True)
            self.wrong.append(what)

    def rollout(self, found: list[str], steps: str, cause: str | None) -> None:
        """Let the script roll the canary out; ``cause`` is what must take it back, None for nothing."""
        if self.prometheus is None:
            found.append(f"not run: {MISSING}")
            return
        done = canary_py(
            "rollout", "--file", str(self.envoy.routes), "--prometheus", self.prometheus.url, "--arg",
            f"window={WINDOW}", "--steps", steps, "--step-s", str(STEP_S), "--interval-s", "2", check=False,
        )  # fmt: skip
        verdict = [line for line in done.stdout.splitlines() if line.startswith(("rollback", "promoted"))]
        found.append(verdict[-1].partition(":")[0] if cause is None and verdict else "".join(verdict[-1:]))
        causes = "".join(verdict[-1:]).removeprefix("rollback: ").split(", ")  # a slow one may fail calls as well
        good = done.returncode == 0 if cause is None else cause in causes
        bad = [line for line in done.stdout.splitlines() if line.startswith("BAD")]
        self.expect(good, f"the rollout ended with {verdict or done.stderr}, {bad}")
        time.sleep(1)


def show(story: Story, duration_s: float) -> None:
    """Print the table."""
    table = Table(title=f"The canary, end to end ({duration_s:.0f} s)")
    for title in ("chapter", "calls", "lost", "stable", "canary", "rules", "other", "p50 ms", "p99 ms", "found"):
        table.add_column(title, justify="left" if title in ("chapter", "found") else "right")
    for row in story.rows:
        table.add_row(*row)
    Console(width=max(150, Console().width)).print(table)
    calls = len(story.client.answers)
    print(f"{calls} calls, {len(story.client.lost())} lost; {len(story.wrong)} things went wrong")
    for line in story.wrong:
        print(f"WRONG: {line}")
