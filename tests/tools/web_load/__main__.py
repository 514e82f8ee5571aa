"""The web service under load: people who look, files that are uploaded, and what that costs callers of the gateway.

``python -m tests.tools.web_load`` starts a gateway and a web service, uploads a simulated world, then lets USERS people
look at reports while files are uploaded, and measures a caller of the gateway before and meanwhile.
``--postgresql`` keeps the findings in a server of the system instead of a folder.
``--large`` sends 50,000 events to each of the old paths instead, ``--gigabytes`` uploads one file of that size.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from google.protobuf.json_format import MessageToDict

from service.web.oldpaths.routes import PATH
from tests.servers.postgres import Postgres
from tests.support.gateway import Gateway
from tests.support.requests import many
from tests.support.web.server import Web
from tests.tools.web_load.caller import caller
from training.simulation.world import simulate

Latencies = dict[str, list[float]]  # milliseconds by what was asked


def percentile(values: Sequence[float], percent: float) -> float:
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(len(ranked) * percent / 100))] if ranked else 0.0


Look = tuple[str, str]  # (what is looked at, a path of it)


async def get(port: int, path: str) -> int:
    """Ask for a path on a connection of its own; return the status."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept: text/html\r\nConnection: close\r\n\r\n"
    writer.write(head.encode())
    answer = await reader.read()
    writer.close()
    return int(answer.split(b" ", 2)[1])


async def person(port: int, looks: Sequence[Look], until_s: float, think_s: float, found: Latencies) -> None:
    """Look at one page after the other, with a while between; {offset} is drawn."""
    draw = random.Random()
    await asyncio.sleep(draw.uniform(0, think_s))
    while time.monotonic() < until_s:
        what, path = draw.choice(looks)
        path = path.replace("{offset}", str(draw.randrange(20)))
        began_s = time.perf_counter()
        status = await get(port, path)
        named = what if status == 200 else f"status {status} of {path}"
        found.setdefault(named, []).append(1e3 * (time.perf_counter() - began_s))
        await asyncio.sleep(draw.uniform(0, 2 * think_s))


async def upload(web: Web, number: int, data: bytes) -> tuple[str, float]:
    """Upload a file; return how it ended and after how many seconds."""
    began_s = time.perf_counter()
    answer = await asyncio.to_thread(web.post, f"/api/files?name=load{number}.csv&detector=lstm", data)
    path = answer.headers["location"]
    while (job := (await asyncio.to_thread(web.get, path)).json())["state"] not in ("done", "failed"):
        await asyncio.sleep(1)
    return job["state"], time.perf_counter() - began_s


def looks_at(web: Web) -> list[Look]:
    """Return what people look at: the pages of the one report, findings and rows from any offset, and items."""
    [report] = web.get("/api/reports").json()["reports"]
    own = f"/reports/{report['reportId']}"
    detail = web.get(f"/api/report/detail?reportId={report['reportId']}&limit=30").json()
    items = [f"{own}/item?code={quote(found['epcCode'], safe='')}" for found in detail["findings"]]
    return [
        *[("files", "/files")] * 30,
        *[("report", own)] * 30,
        *[("findings", f"{own}/findings?kind={kind}&offset={{offset}}") for kind in ("", "jump", "epcDup")] * 10,
        *[("rows", f"{own}/rows?offset={{offset}}00")] * 30,
        *[("item", path) for path in items],
        *[("status", "/status")] * 30,
    ]


async def press(gateway: Gateway, web: Web, world: Path, arguments: argparse.Namespace) -> None:
    files = [path.read_bytes() for path in sorted(world.glob("*.csv")) if path.stem not in ("locations", "transitions")]
    await upload(web, 0, files[0])
    looks = looks_at(web) if arguments.paths is None else [(path, path) for path in arguments.paths]
    found: Latencies = {}
    ended: list[tuple[str, float]] = []
    calls: Latencies = {"alone": [], "meanwhile": []}
    for turn in range(arguments.rounds):  # in turn: the machine is not as fast all the time
        calls["alone"] += await caller(gateway.target, arguments.seconds)
        until_s = time.monotonic() + arguments.seconds
        people = [person(web.port, looks, until_s, arguments.think_s, found) for _ in range(arguments.users)]
        numbers = range(1 + turn * arguments.uploads, 1 + (turn + 1) * arguments.uploads)
        uploads = [upload(web, at, files[at % len(files)] + b"\n" * at) for at in numbers]
        meanwhile, uploaded, *_ = await asyncio.gather(
            caller(gateway.target, arguments.seconds), asyncio.gather(*uploads), *people
        )  # fmt: skip
        calls["meanwhile"] += meanwhile
        ended += uploaded
    size_mb = sum(map(len, files)) / len(files) / 1e6
    print(f"{arguments.users} people, {arguments.uploads} uploads of {size_mb:.1f} MB, {arguments.rounds} times")
    every = [time_ms for what, times in found.items() if not what.startswith("status ") for time_ms in times]
    for what, times in (("pages", every), *sorted(found.items())):
        print(f"{what}: {len(times)}, ms: p50 {percentile(times, 50):.0f}, p99 {percentile(times, 99):.0f}")
    done, slowest_s = sum(state == "done" for state, _ in ended), max((took_s for _, took_s in ended), default=0)
    print(f"uploads: {done} done, {slowest_s:.0f} s at most")
    for name, values in calls.items():
        p50, p99 = statistics.median(values), percentile(values, 99)
        print(f"gRPC, 50 events, {name}: {len(values)}, ms: p50 {p50:.1f}, p99 {p99:.1f}")
    ratio = percentile(calls["meanwhile"], 99) / percentile(calls["alone"], 99)
    print(f"gRPC, p99 meanwhile by alone: {ratio:.2f} times")


def large(web: Web) -> None:
    """Send 50,000 events to each path, three times, and print the best."""
    events = [{**row, "eventId": at} for at, row in enumerate(MessageToDict(many(50_000))["data"])]
    body = json.dumps({"data": events}).encode()
    print(f"50,000 events, {len(body) / 1e6:.1f} MB of JSON")
    for path in ("", "/lstm", "/svm"):
        took = []
        for _ in range(3):
            began_s = time.perf_counter()
            answer = web.post(PATH + path, body)
            took.append(time.perf_counter() - began_s)
            assert answer.status == 200, answer.body
        print(f"{path or '/'}: {min(took):.2f} s, answer {len(answer.body) / 1e6:.1f} MB")


def huge(web: Web, folder: Path, size: float) -> None:
    """Upload one file of so many bytes, of worlds that differ in their serials, and print time and memory."""
    simulate(folder / "world", 60_000, seed=1)
    names = [path for path in sorted((folder / "world").glob("*.csv")) if path.stem not in ("locations", "transitions")]
    head, _, rest = b"".join(path.read_bytes() for path in names[:1]).partition(b"\n")
    rest += b"".join(path.read_bytes().partition(b"\n")[2] for path in names[1:])
    path, serial = folder / "huge.csv", re.compile(rb"(\d{3}([.-])\d{7}\2\d{7}\2\d{6}\2\d{8}\2)\d{3}(\d{6})")
    with path.open("wb") as file:
        file.write(head + b"\n")
        for world in range(max(1, int(size / len(rest)))):
            file.write(serial.sub(lambda found, world=world: b"%s%03d%s" % (found[1], world, found[3]), rest))
    began_s, pages = time.monotonic(), list[float]()
    command = ["curl", "-sS", "-T", path, "-X", "POST", f"http://127.0.0.1:{web.port}/api/files?name=huge.csv"]
    job = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    print(f"{path.stat().st_size / 1e6:.0f} MB, received in {time.monotonic() - began_s:.1f} s")
    helper = int(web.wait_log("a process for files begins")["pid"])
    while job["state"] not in ("done", "failed"):
        asked_s = time.perf_counter()
        web.get("/files", Accept="text/html")
        pages.append(1e3 * (time.perf_counter() - asked_s))
        job = web.get(f"/api/files/{job['jobId']}").json()
        time.sleep(0.2)
    print(f"{job['state']} after {time.monotonic() - began_s:.0f} s, {job['events']} events {job['error']}")
    print(f"memory at most: web {peak_mb(web.pid)} MB, process for files {peak_mb(helper)} MB")
    print(f"/files meanwhile, ms: p50 {percentile(pages, 50):.0f}, p99 {percentile(pages, 99):.0f}")
    for what, look in {what: look for what, look in looks_at(web) if what in ("report", "findings", "rows")}.items():
        asked_s = time.perf_counter()
        web.get(look.replace("{offset}", "500"), Accept="text/html")
        print(f"{what}, for the first time: {1e3 * (time.perf_counter() - asked_s):.0f} ms")


def peak_mb(pid: int) -> int:
    """Return the most memory that a process had so far."""
    [line] = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) // 1000


@contextmanager
def stored(folder: Path, postgresql: bool) -> Iterator[Path | str]:
    """Yield where a web service keeps its findings: a folder, or a database of a server of its own."""
    if not postgresql:
        yield folder / "kept"
        return
    with Postgres() as server:
        yield server.url()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--large", action="store_true", help="50,000 events to each old path, and nothing else")
    parser.add_argument("--gigabytes", type=float, help="one upload of this size, and nothing else")
    parser.add_argument("--postgresql", action="store_true", help="keep the findings there, not in a folder")
    parser.add_argument("--users", type=int, default=200)
    parser.add_argument("--uploads", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3, help="how often callers are measured alone and meanwhile")
    parser.add_argument("--seconds", type=float, default=20, help="of either, in a round: the uploads take as long")
    parser.add_argument("--think-s", type=float, default=5, help="mean seconds between two pages of one person")
    parser.add_argument("--epcs", type=int, default=20_000, help="items of the simulated world, of which the files are")
    parser.add_argument("--paths", nargs="*", help="what people look at instead of the pages of a report")
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as name,
        stored(Path(name), arguments.postgresql) as store,
        Gateway() as gateway,
        Web(gateway.target, store) as web,
    ):
        if arguments.large:
            large(web)
        elif arguments.gigabytes:
            huge(web, Path(name), 1e9 * arguments.gigabytes)
        else:
            simulate(Path(name) / "world", arguments.epcs, seed=1)
            asyncio.run(press(gateway, web, Path(name) / "world", arguments))


if __name__ == "__main__":
    main()
