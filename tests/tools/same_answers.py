"""Do two checkouts of the project answer alike, to the last bit? The same requests at a gateway of each, compared.

``python -m tests.tools.same_answers --before CHECKOUT`` asks the gateway of another checkout and that of this one, both
run by this interpreter, and compares what they answer byte for byte and what they write to their detection logs, which
have the scores of every event, flagged or not, as float32. The requests are the real rows, and a simulated world: whole
in large requests (AnalyzeFiles), a share of it in small ones (Analyze) and as it happens (AnalyzeStream, with history).
Requests go one at a time, so that the gateways judge the same events together.

``--triton`` asks through a real Triton too. It ends with an error if anything differs, feature spec hash and model
repository included.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from service.api.requests import DETECTOR_VALUES, encode_request
from service.events.columns import Events
from service.events.vocabulary import KINDS
from service.jobs.analyze import split
from service.model.manifest import digest_of
from service.monitoring.detection_log import QUEUE_EVENTS
from service.pb.epcsentinel.v1 import anomaly_pb2 as pb
from service.rawfiles.columns import read_files
from service.rawfiles.folders import raw_files
from tests.servers.triton.fixture import TritonServer
from tests.support.gateway import ROOT, SERVICE, Gateway
from tests.support.observed import samples, scrape, value
from training.simulation.world import simulate

SAMPLE = ROOT / "tests" / "data" / "real_events_sample.tsv"
LARGE, SMALL, STREAMED = 50_000, 500, 50
"""Events of a request, at most."""

DETECTORS = ("lstm", "rules", "svm", "ensemble")
TIMEOUT_S = 600.0

_UNLOGGED = QUEUE_EVENTS - LARGE
"""Events that may wait for the detection log when a request is sent: it drops what finds its queue full."""

_PACE_S = 0.05


@dataclass(frozen=True)
class Part:
    """Requests that the gateways get one after the other; those of AnalyzeStream are one stream."""

    name: str
    method: str
    detector: str
    requests: Sequence[bytes]
    sizes: Sequence[int]  # events of each request
    triton: bool = False

    @property
    def events(self) -> int:
        """Events of all requests."""
        return sum(self.sizes)


@dataclass(frozen=True)
class Answers:
    """What a gateway made of a part."""

    responses: list[bytes]
    log: Any  # pyarrow.Table of the detection log, in the order of request and event
    spec_hash: str


@dataclass(frozen=True)
class Comparison:
    """Two gateways' answers to a part."""

    part: Part
    judged_by: str
    scores: int  # compared
    unequal: int  # scores whose bits differ
    largest: float  # difference of scores; infinite if one is no number, or an event is not in both logs
    columns: list[str]  # of the logs, that differ otherwise
    responses: int  # that differ

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return not (self.unequal or self.largest or self.columns or self.responses)


def compare(part: Part, before: Answers, after: Answers) -> Comparison:
    """Return how the answers of two gateways to the requests of a part differ."""
    tables = before.log, after.log
    responses = sum(one != other for one, other in zip(before.responses, after.responses, strict=True))
    judged_by = ", ".join(sorted({name for table in tables for name in table["judged_by"].unique().to_pylist()}))
    if any(table.num_rows != part.events for table in tables):
        missing = [f"events {tables[0].num_rows} and {tables[1].num_rows} of {part.events}"]
        return Comparison(part, judged_by, 0, 0, float("inf"), missing, responses)
    others = [name for name in tables[0].column_names if name not in KINDS]
    columns = [name for name in others if not tables[0][name].equals(tables[1][name])]
    one, other = (np.stack([table[kind].to_numpy() for kind in KINDS]) for table in tables)  # [5, N]
    unequal = one.view(np.uint32) != other.view(np.uint32)
    distance = np.abs(one.astype(np.float64) - other.astype(np.float64))
    largest = float(np.nan_to_num(distance[unequal], nan=np.inf).max(initial=0.0))
    return Comparison(part, judged_by, one.size, int(unequal.sum()), largest, columns, responses)


def ask(part: Part, flags: Sequence[str], root: Path) -> Answers:
    """Return what a gateway of the checkout ``root`` answers to a part, from an empty history on."""
    with tempfile.TemporaryDirectory() as folder:
        with Gateway("--detection-log", folder, "--metrics-port", "0", *flags, root=root) as gateway:
            options = [("grpc.max_receive_message_length", -1)]
            with grpc.insecure_channel(gateway.target, options=options) as channel:
                responses = list(_responses(channel, gateway, part))
            shown = samples(scrape(gateway))
        log = pq.read_table(folder)
    hashes = {dict(labels)["feature_spec_hash"] for name, labels in shown if name == "epc_sentinel_model_info"}
    keys = [(name, "ascending") for name in ("request_id", "event_id")]
    return Answers(responses, log.sort_by(keys), ", ".join(sorted(hashes)))


def _responses(channel: grpc.Channel, gateway: Gateway, part: Part) -> Iterator[bytes]:
    path = f"/{SERVICE}/{part.method}"
    if part.method == "AnalyzeStream":
        metadata = [("x-request-id", "stream")]
        yield from channel.stream_stream(path)(iter(part.requests), timeout=TIMEOUT_S, metadata=metadata)
        return
    call = channel.unary_unary(path)
    sent = logged = 0.0
    for number, (request, events) in enumerate(zip(part.requests, part.sizes, strict=True)):
        yield call(request, timeout=TIMEOUT_S, metadata=[("x-request-id", f"{number:06d}")])
        sent += events
        while sent - logged > _UNLOGGED:
            logged = value(samples(scrape(gateway)), "detections_total")
            time.sleep(_PACE_S)


def parts(world: Events, share: float, *, triton: bool) -> Iterator[Part]:
    """Yield what both checkouts are asked; ``share`` of the world's items is asked in small requests and streamed."""
    real = read_files([SAMPLE]).events
    yield from _asked("real rows", "Analyze", [real])
    yield _streamed("real rows", real)
    large = [world.take(piece) for piece in split(world, LARGE)]
    some = _every(split(world, SMALL), share)
    small = [_of_one_file(world.take(piece)) for piece in some]
    for through_triton in (False, True)[: 1 + triton]:
        yield from _asked("world, large requests", "AnalyzeFiles", large, triton=through_triton)
        yield from _asked("world, small requests", "Analyze", small, triton=through_triton)
    yield _streamed("world, as it happens", _of_one_file(world.take(np.concatenate(some))))


def _asked(name: str, method: str, pieces: Sequence[Events], *, triton: bool = False) -> Iterator[Part]:
    """Yield a part for each detector."""
    bodies = [encode_request(events, "lstm").SerializeToString() for events in pieces]
    for detector in DETECTORS:
        # A field that comes twice has its last value.
        choice = pb.AnalyzeRequest(detector=DETECTOR_VALUES[detector]).SerializeToString()
        yield Part(name, method, detector, [body + choice for body in bodies], [*map(len, pieces)], triton)


def _streamed(name: str, events: Events) -> Part:
    ordered = events.take(np.lexsort((events.event_id, events.time_us)))
    cuts = range(STREAMED, len(events), STREAMED)
    pieces = [ordered.take(at) for at in np.split(np.arange(len(events)), cuts)]
    bodies = [encode_request(piece, "lstm").SerializeToString() for piece in pieces]
    return Part(name, "AnalyzeStream", "lstm", bodies, [*map(len, pieces)])


def _of_one_file(events: Events) -> Events:
    return replace(events, file_id=np.ones_like(events.file_id))


def _every(pieces: Sequence[Any], share: float) -> list[Any]:
    """Return a share of the pieces, at least one, evenly spread."""
    count = max(1, round(share * len(pieces)))
    return [pieces[at] for at in np.linspace(0, len(pieces) - 1, count).astype(int).tolist()]


def repository_digests(root: Path) -> dict[str, str]:
    """Return the SHA-256 of each file of the bundled model repository of a checkout, by its path."""
    repository = root / "model_repository"
    files = sorted(path for path in repository.rglob("*") if path.is_file())
    return {str(path.relative_to(repository)): digest_of(path) for path in files}


def show(found: Sequence[Comparison]) -> Table:
    """Return the comparisons as a table."""
    table = Table(
        "part", "model", "method", "detector", "judged by", "requests", "events", "scores", "scores unequal",
        "largest difference", "answers unequal", "else unequal",
    )  # fmt: skip
    for one in found:
        table.add_row(
            one.part.name,
            "Triton" if one.part.triton else "embedded",
            one.part.method,
            one.part.detector,
            one.judged_by,
            f"{len(one.part.requests):,}",
            f"{one.part.events:,}",
            f"{one.scores:,}",
            str(one.unequal),
            f"{one.largest:.3g}",
            str(one.responses),
            ", ".join(one.columns) or "0",
        )
    return table


def compare_checkouts(before: Path, world: Events, share: float, *, triton: bool) -> tuple[list[Comparison], list[str]]:
    """Return how the answers of two checkouts differ, part by part, and the feature spec hashes of both."""
    found, hashes = [], ["", ""]
    with ExitStack() as stack, ThreadPoolExecutor(2) as pool:
        server = stack.enter_context(TritonServer(ROOT / "model_repository")) if triton else None
        for part in parts(world, share, triton=triton):
            print(f"{part.name}: {part.method}, {part.detector}", file=sys.stderr, flush=True)
            flags = ("--backend", f"triton://{server.url}") if server and part.triton else ()
            asked = partial(ask, part, ("--no-fallback", *flags))
            # Triton joins what comes at the same time: there one gateway comes after the other.
            both = list((map if part.triton else pool.map)(asked, (before, ROOT)))
            found.append(compare(part, *both))
            hashes = [answers.spec_hash for answers in both]
    return found, hashes


def main() -> None:
    """Print the comparison; exit with an error if anything differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--before", type=Path, required=True, metavar="CHECKOUT", help="what this checkout is compared to"
    )
    parser.add_argument("--epcs", type=int, default=60_000, help="items of the simulated world")
    parser.add_argument("--seed", type=int, default=8, help="seed of the simulated world")
    parser.add_argument(
        "--share", type=float, default=1.0, help="of the world that is asked in small requests and streamed"
    )
    parser.add_argument("--triton", action="store_true", help="through a real Triton too")
    known = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        simulate(Path(folder), known.epcs, known.seed)
        world = read_files(raw_files([Path(folder)])).events
    before = known.before.resolve()
    found, hashes = compare_checkouts(before, world, known.share, triton=known.triton)
    console = Console(width=190)
    console.print(show(found))
    digests = [repository_digests(root) for root in (before, ROOT)]
    for name in sorted(set().union(*digests)):
        console.print(f"{name}: SHA-256 {' and '.join(dict.fromkeys(one.get(name, 'none') for one in digests))}")
    console.print(f"feature_spec_hash: {' and '.join(dict.fromkeys(hashes))}")
    if not all(one.same for one in found) or hashes[0] != hashes[1] or digests[0] != digests[1]:
        sys.exit("same_answers: the two checkouts differ")


if __name__ == "__main__":
    main()
