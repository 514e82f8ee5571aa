"""Medians and ratios of the gateway and its peers, for people; the table is Markdown too."""

from __future__ import annotations

from statistics import median
from typing import TypeAlias

from rich import box
from rich.table import Table

from service.bench.load import Load
from tests.tools.peers.servers import GATEWAY

Loads: TypeAlias = dict[tuple[int, int, str], list[Load]]
"""One per round, by (processes, events per request, server)."""


def table(loads: Loads) -> Table:
    """Return the medians of every server, and how the gateway does beside it in the same round."""
    found = Table(
        "processes", "events per request", "server", "events/s", "gateway by it", "server's us per event",
        "it by gateway", "client's us", "p50 ms", "p99 ms", box=box.MARKDOWN,
    )  # fmt: skip
    for (processes, size, name), rounds in loads.items():
        ours = loads[processes, size, GATEWAY]
        rate, cpu, client = "events_per_s", "server_cpu_s_per_million_events", "client_cpu_s_per_million_events"
        fields = (rate, cpu, client, "p50_ms", "p99_ms")
        of = {field: median(getattr(load, field) for load in rounds) for field in fields}
        found.add_row(
            str(processes), f"{size:,}", name, f"{of[rate]:,.0f}", ratio(ours, rounds, rate), f"{of[cpu]:.1f}",
            ratio(rounds, ours, cpu), f"{of[client]:.1f}", f"{of['p50_ms']:.0f}", f"{of['p99_ms']:.0f}",
        )  # fmt: skip
    return found


def ratio(some: list[Load], others: list[Load], field: str) -> str:
    """Return the median over the rounds of one by the other; nothing for a server by itself."""
    if some is others:
        return ""
    return f"{median(getattr(a, field) / getattr(b, field) for a, b in zip(some, others, strict=True)):.2f}"
