"""``bench``: the gateway under load."""

# ruff: noqa: PLC0415
# Parts are imported when the command is called: --help must be quick.

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from service.commands.options import need_train_extra
from service.jobs.progress import shown_progress

app = typer.Typer()

_BENCH_EPCS, _BENCH_SEED = 20_000, 9


@app.command()
def bench(
    data: Annotated[
        Path | None, typer.Option(help="Raw scan file to make the requests of; default: a simulated one.")
    ] = None,
    triton: Annotated[str | None, typer.Option(help="Measure a gateway on this triton://HOST:PORT too.")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="How often everything is measured; medians are shown.")] = 3,
    seconds: Annotated[float, typer.Option(min=0.1, help="Seconds of load per round, size and concurrency.")] = 2.0,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all numbers to this file too.")] = None,
) -> None:
    """Measure the gateway under load, beside the limits of this machine."""
    import json

    import uvloop  # the loop of the gateway: what the load costs is taken off the same cores

    from service.bench import run as benchmark
    from service.bench.tables import write_tables
    from service.rawfiles.columns import read_files
    from service.settings import load_settings

    with shown_progress() as progress, TemporaryDirectory() as folder:
        if data is None:
            need_train_extra()
            from training.simulation.world import simulate as make_world

            make_world(Path(folder), _BENCH_EPCS, _BENCH_SEED)
        events = read_files([data or Path(folder) / "icn.csv"]).events
        plan = benchmark.BenchPlan(rounds, seconds, triton)
        report = uvloop.run(benchmark.run(events, load_settings(), plan, progress))
    write_tables(report)
    if json_file:
        json_file.write_text(json.dumps(report.to_json(), indent=1) + "\n", encoding="utf-8")
