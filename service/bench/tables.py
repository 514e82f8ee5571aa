"""What the bench measured, for people."""

from __future__ import annotations

from statistics import median

from rich.table import Table

from service.bench.run import CONCURRENCIES, LARGE_CALLS, SIZES, Report
from service.console import wide_console
from service.runtime.timing import STAGES


def write_tables(report: Report) -> None:
    """Write the report for people."""
    console = wide_console()
    names = list(dict.fromkeys(server for server, _, _ in report.loads if server != "echo"))
    table = Table(
        "events per request", "calls in flight", "server", "events/s", "of the bound", "p50 ms", "p99 ms",
        "server CPU s per million", "spread", title=f"Load on {report.cores} cores, client included",
    )  # fmt: skip
    for size in SIZES:
        for concurrency in CONCURRENCIES:
            for name in names:
                load = report.load(name, size, concurrency)
                table.add_row(
                    f"{size:,}", str(concurrency), name, f"{load['events_per_s']:,.0f}",
                    f"{report.share_of_bound(name, size, concurrency):.0%}",
                    f"{load['p50_ms']:.1f}", f"{load['p99_ms']:.1f}",
                    f"{load['server_cpu_s_per_million_events']:.1f}", f"{report.spread(name, size, concurrency):.0%}",
                )  # fmt: skip
    console.print(table)
    stages = Table(
        "events per request", *STAGES, "gRPC, server", "gRPC, client", "sum", "bound, events/s",
        title=f"Microseconds of processor time per event, {report.cores} cores at work",
    )  # fmt: skip
    for size in SIZES:
        parts = [*(report.stage(size, name) for name in STAGES), *report.grpc(size, CONCURRENCIES[1])]
        cells = [f"{value:.2f}" for value in (*parts, sum(parts))]
        stages.add_row(f"{size:,}", *cells, f"{report.bound(size, CONCURRENCIES[1]):,.0f}")
    console.print(stages)
    alone, beside = (median(load.p99_ms for load in report.mixed[name]) for name in ("small_alone", "small_beside"))
    console.print(
        f"p99 of {SIZES[0]} events: {alone:.1f} ms alone, {beside:.1f} ms beside {LARGE_CALLS} large requests"
        f" ({beside / alone:.1f} times).",
        highlight=False,
    )
    cost_us = median(load.server_cpu_s_per_million_events for load in report.mixed["large_alone"])
    usual_us = report.load("embedded", SIZES[-1], CONCURRENCIES[1])["server_cpu_s_per_million_events"]
    console.print(
        f"Requests of {report.large_events:,} events: {cost_us:.1f} us of the server per event,"
        f" {cost_us / usual_us:.2f} times those of {SIZES[-1]:,}.",
        highlight=False,
    )
    console.print(
        f"Other processes took {report.cores_of_others():.1f} of the {report.cores} cores meanwhile: what they take is"
        " missing in events/s, and in the shares of the bound.",
        highlight=False,
    )
    memory = ", ".join(f"{name} {value:,.0f} MiB" for name, value in report.peak_rss_mib.items())
    console.print(f"Peak memory: {memory}.", highlight=False)
