"""See the package."""

from __future__ import annotations

import sys
import time
import timeit
import tracemalloc
from pathlib import Path

import grpc
import numpy as np
from rich.console import Console
from rich.table import Table

from service.bench.load import spawn
from service.flow.measures import Flow, measure
from service.flow.stays import stays_of
from service.jobs.zones import site_zones
from service.pb.epcsentinel.v1 import flow_pb2 as pb
from service.rawfiles.columns import read_files
from service.rawfiles.folders import raw_files
from service.settings import load_settings
from tests.support.flows.model import ask_flow

_ROUNDS = 5
_CALLS = 200
_DAYS = 30


def measures(folder: Path, console: Console) -> None:
    """Print how long the measures of the scans of a folder take, all of which count, and the memory that they need."""
    raw = read_files(raw_files([folder]), zones=site_zones(None, load_settings()))

    def once() -> Flow:
        return measure(stays_of(raw.events), raw.events.epc_codes, raw.zones)

    took_s = sorted(timeit.repeat(once, number=1, repeat=_ROUNDS))
    tracemalloc.start()
    rows = len(once())
    peak_mib = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    said = f"{took_s[_ROUNDS // 2]:.2f} s (median of {_ROUNDS}), {peak_mib:.0f} MiB at most"
    console.print(f"measures of {len(raw.events):,} events, {rows:,} rows: {said}")


def predictions(repository: Path, console: Console) -> None:
    """Print how long `Predict` takes, of everything and of one value of each dimension that the model has."""
    table = Table("Asked", "Answers", "p50 ms", "p99 ms", title=f"Predict of {_DAYS} days, one call at a time")
    command = ("service", "serve", "--port", "0", "--log-format", "json", "--model-repository", str(repository))
    with spawn(*command) as server, grpc.insecure_channel(server.target) as channel:
        predict = channel.unary_unary(
            f"/{pb.DESCRIPTOR.services_by_name['FlowService'].full_name}/Predict",
            pb.FlowServicePredictRequest.SerializeToString,
            pb.FlowServicePredictResponse.FromString,
        )
        asked: dict[str, dict[str, str]] = {"everything": {}}
        for one in ask_flow(server.target, "ListModels").models[0].dimensions:
            asked[f"{one.name} {one.values[0]}"] = {one.name: one.values[0]}
        for name, values in asked.items():
            request, took_ms, methods = pb.FlowServicePredictRequest(prediction_days=_DAYS, **values), [], {}
            for _ in range(_CALLS):
                began = time.perf_counter()
                methods = {one.method: None for one in predict(request, timeout=60).methods}
                took_ms.append((time.perf_counter() - began) * 1e3)
            table.add_row(name, ", ".join(methods), *(f"{np.percentile(took_ms, share):.1f}" for share in (50, 99)))
    console.print(table)


def main() -> None:
    """Print both."""
    console = Console(width=120)
    measures(Path(sys.argv[1]), console)
    predictions(Path(sys.argv[2]), console)


if __name__ == "__main__":
    main()
