"""What safety, observation and reasons cost: the same requests to gateways with and without them, in turn, in one run.

``python -m tests.tools.bench_overhead`` prints a table. The overhead is that of the server's CPU time per event, which
a noisy machine disturbs least; 15 % on requests of 500 events are allowed.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import grpc
import numpy as np
from cryptography.hazmat.primitives.asymmetric import ec
from rich.console import Console
from rich.table import Table

from service.bench.load import Load, Request, Server, drive, spawn
from service.bench.run import requests_of
from service.client.access import OPEN, Access
from service.pb.epcsentinel.v1 import anomaly_pb2 as pb
from tests.support.gateway import SERVICE
from tests.support.requests import call
from tests.support.secrets import AUDIENCE, ISSUER, authority, jwks, key_entry, new_jwt, new_token
from training.datasets import dataset
from training.datasets.truth import load_truth
from training.samples.splits import normal_events
from training.simulation.world import simulate

EVENTS = 500
PLAIN = "plain"
_LIMITS = ("--rate-limit-calls-per-s", "1000000", "--rate-limit-events-per-s", "1000000000")


@dataclass(frozen=True)
class Variant:
    """A way to run the gateway: its flags, and how callers get in."""

    flags: tuple[str, ...] = ()
    access: Access = OPEN
    more: bytes = b""  # what its requests ask beside the events


def variants(folder: Path) -> dict[str, Variant]:
    """Return what is measured, by name; what they need is written to ``folder``."""
    ca, token, signer = authority(), new_token(), ec.generate_private_key(ec.SECP256R1())
    cert, key = ca.issue("gateway").write(folder, "server")
    (folder / "ca.pem").write_bytes(ca.cert_pem)
    (folder / "keys.toml").write_text(key_entry("bench", token, "analyze"))
    (folder / "jwks.json").write_text(jwks(a=signer))
    client = ca.issue("bench")
    keys = ("--auth-keys", str(folder / "keys.toml"))
    tokens = ("--auth-jwks", str(folder / "jwks.json"), "--auth-issuer", ISSUER, "--auth-audience", AUDIENCE)
    tls = ("--tls-cert", str(cert), "--tls-key", str(key), "--tls-client-ca", str(folder / "ca.pem"))
    credentials = grpc.ssl_channel_credentials(ca.cert_pem, client.key_pem, client.cert_pem)
    signed = new_jwt(signer)
    seen = ("--metrics-port", "0", "--audit-log", str(folder / "audit.jsonl"))
    return {
        PLAIN: Variant(),
        "reasons": Variant(more=pb.AnalyzeRequest(explain=True).SerializeToString()),
        "key, rate limits": Variant((*keys, *_LIMITS), Access(token=lambda: token)),
        "JWT, rate limits": Variant((*tokens, *_LIMITS), Access(token=lambda: signed)),
        "mutual TLS": Variant(tls, Access(credentials)),
        "mutual TLS, JWT, rate limits": Variant((*tls, *tokens, *_LIMITS), Access(credentials, lambda: signed)),
        "metrics, drift": Variant(seen[:2]),
        "audit log": Variant(seen[2:]),
        "all of it": Variant(
            (*tls, *tokens, *_LIMITS, *seen[:3], str(folder / "audit-2.jsonl")), Access(credentials, lambda: signed)
        ),
    }


def some_requests(events: int, anomalous: float | None = None) -> list[Request]:
    """Return requests of about ``events`` events each, of a simulated world; ``anomalous`` is the share of events with
    an anomaly, None for the world's own: items that have some are left out, here and there, until it is that.
    """
    with tempfile.TemporaryDirectory() as folder:
        simulate(Path(folder), 6_000, 21, None)
        world = dataset.load(Path(folder))
        normal = normal_events(load_truth(Path(folder) / "truth.parquet", world.events).labels)
    largest = world.events.file_id == np.bincount(world.events.file_id).argmax()
    raw, normal = world.events.take(largest), normal[largest]
    if anomalous is not None:
        bad, size = np.bincount(raw.epc, ~normal), np.bincount(raw.epc)
        kept = bad == 0
        some = np.random.default_rng(5).permutation(np.flatnonzero(~kept))
        total = size[kept].sum() + size[some].cumsum()
        kept[some[bad[some].cumsum() <= anomalous * total]] = True
        raw = raw.take(kept[raw.epc])
    return requests_of(raw, events)


async def measure(
    found: dict[str, Variant], requests: list[Request], known: argparse.Namespace, show: Callable[[str], None]
) -> dict[str, list[Load]]:
    """Return the loads of every variant, a round of all of them after the other, each time in another order."""
    loads: dict[str, list[Load]] = {name: [] for name in found}
    order = np.random.default_rng(5)
    with ExitStack() as stack:
        serve = ("service", "serve", "--port", "0", "--log-format", "json", "--no-fallback", "--history", "none")
        servers: dict[str, Server] = {
            name: stack.enter_context(spawn(*serve, *variant.flags)) for name, variant in found.items()
        }
        for number in range(known.rounds):
            for name in order.permutation(list(found)).tolist():
                show(f"round {number + 1}: {name}")
                method = f"/{SERVICE}/Analyze"
                asked = [Request(one.body + found[name].more, one.events) for one in requests]  # fields may follow
                loads[name].append(
                    await drive(servers[name], method, asked, known.in_flight, known.seconds, found[name].access)
                )
    return loads


def overhead(loads: dict[str, list[Load]], name: str) -> float:
    """Return the median, over the rounds, of a variant's CPU time per event over that of the plain one, less 1."""
    pairs = zip(loads[name], loads[PLAIN], strict=True)
    return median(a.server_cpu_s_per_million_events / b.server_cpu_s_per_million_events for a, b in pairs) - 1


def write_table(loads: dict[str, list[Load]], known: argparse.Namespace) -> None:
    """Print medians over the rounds."""
    title = f"Requests of {known.events} events, {known.in_flight} in flight, {known.rounds} rounds"
    table = Table("gateway", "events/s", "p50 ms", "p99 ms", "CPU s per million", "overhead",
                  title=title)  # fmt: skip
    for name, rounds in loads.items():
        rate, p50, p99, cpu_s = (
            median(getattr(load, field) for load in rounds)
            for field in ("events_per_s", "p50_ms", "p99_ms", "server_cpu_s_per_million_events")
        )
        table.add_row(name, f"{rate:,.0f}", f"{p50:.1f}", f"{p99:.1f}", f"{cpu_s:.2f}", f"{overhead(loads, name):+.1%}")
    Console(width=110).print(table)


def explained_ms(calls: int = 200) -> tuple[int, float, float]:
    """Return (events of the request, p50 ms of Analyze, p50 ms of Explain) of one item with a finding, alone."""
    with spawn("service", "serve", "--port", "0", "--log-format", "json", "--history", "none") as server:
        for one in some_requests(10):
            asked = pb.AnalyzeRequest.FromString(one.body)
            judged = pb.AnalyzeResponse.FromString(call(server.target, "Analyze", one.body))
            if judged.event_history:
                break
        explain = pb.ExplainRequest(data=asked.data, event_id=judged.event_history[0].event_id).SerializeToString()
        times: dict[str, list[float]] = {"Analyze": [], "Explain": []}
        with grpc.insecure_channel(server.target) as channel:
            for _ in range(calls):
                for method, body in (("Analyze", one.body), ("Explain", explain)):
                    began = time.perf_counter()
                    channel.unary_unary(f"/{SERVICE}/{method}")(body, timeout=30)
                    times[method].append((time.perf_counter() - began) * 1e3)
    return len(asked.data), median(times["Analyze"]), median(times["Explain"])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=1.5, help="of load per round and gateway")
    parser.add_argument("--events", type=int, default=EVENTS, help="per request")
    parser.add_argument("--in-flight", type=int, default=8)
    parser.add_argument("--only", nargs="*", help="of these gateways, besides the plain one")
    parser.add_argument("--anomalous", type=float, help="share of the events; default: the world's, nearly a tenth")
    known = parser.parse_args()
    requests = some_requests(known.events, known.anomalous)
    with tempfile.TemporaryDirectory() as folder:
        show = Console(stderr=True).log
        found = variants(Path(folder))
        found = {name: found[name] for name in found if not known.only or name in (PLAIN, *known.only)}
        loads = asyncio.run(measure(found, requests, known, show))
    write_table(loads, known)
    events, analyze, explain = explained_ms()
    Console().print(f"one call at a time, {events} events: Analyze p50 {analyze:.1f} ms, Explain p50 {explain:.1f} ms")


if __name__ == "__main__":
    main()
