"""Hostile requests against a real gateway: does it crash, tell about itself, let strangers in, or grow?

``python -m tests.tools.fuzz --requests 200000`` sends them to all methods of a gateway that wants tokens, prints a line
per sample and a table of the answers, and fails if the gateway died, answered INTERNAL or UNKNOWN, showed internals in
a message, answered a stranger, hung, judges a normal request differently afterwards, or kept growing.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import re
import socket
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import uvloop

from tests.support.gateway import SERVICE, Gateway
from tests.support.requests import Metadata, call, many
from tests.support.secrets import bearer, key_entry, new_token
from tests.tools.hostile import bad_metadata, broken, extra_metadata, hostile, hostile_explain, large, odd

GROWTH = 1.05
"""Of the mean memory in the last quarter of the run over that in the second one: more is a leak, not noise."""

LEAK = re.compile(
    r"Traceback|File \"|\.py\b|<class|object at 0x|0x[0-9a-f]{8}|site-packages|/(root|home|usr|tmp|app|work)/|"
    r"numpy|onnx|Triton|asyncio|pydantic|\bError\b|Exception",
)
BUGS = {"INTERNAL", "UNKNOWN", "DATA_LOSS", "ABORTED"}
METHODS = ("Analyze", "AnalyzeFiles", "Explain", "ExplainFindings", "AnalyzeStream", "health", "reflection", "unknown")
_WEIGHTS = (35, 12, 8, 10, 25, 4, 4, 2)
_PATHS = {
    "health": "/grpc.health.v1.Health/Check",
    "reflection": "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
}
_BODIES = {"health": b"", "reflection": b"\x3a\x00"}  # of the methods that are not ours: list_services
_OF_STRANGERS = ("UNAUTHENTICATED", "CANCELLED", "DEADLINE_EXCEEDED")
_METADATA = "received metadata size exceeds"  # gRPC's own answer to more than 8 KiB, before we get to see the call
_TIMEOUT_S = 300.0  # a call that takes longer hangs
_WORKERS = 24
_LINES = 40  # that show memory; samples are ten times as many, because one of them alone is mostly chance


@dataclass
class Found:
    """What the gateway answered."""

    codes: Counter[tuple[str, str]] = field(default_factory=Counter)  # (method, code)
    messages: Counter[str] = field(default_factory=Counter)  # with numbers left out
    wrong: list[str] = field(default_factory=list)
    samples: list[tuple[float, int, float]] = field(default_factory=list)  # seconds, requests, MiB

    @property
    def requests(self) -> int:
        """Requests sent so far."""
        return self.codes.total()

    def note(self, method: str, code: str, message: str, *, stranger: bool, hurried: bool) -> None:
        """Count an answer, and keep it if it must not be."""
        self.codes[method, code] += 1
        self.messages[re.sub(r"\d+", "#", message)[:100]] += 1
        is_wrong = (
            code in BUGS
            or LEAK.search(message)
            or (stranger and method != "health" and code not in _OF_STRANGERS and not message.startswith(_METADATA))
            or (not stranger and code in ("UNAUTHENTICATED", "UNAVAILABLE"))
            or (code == "DEADLINE_EXCEEDED" and not hurried)
        )
        if is_wrong and len(self.wrong) < 20:
            self.wrong.append(f"{method}{' of a stranger' if stranger else ''}: {code} {message[:200]}")


class Fuzzer:
    """Sends requests over one connection."""

    def __init__(self, channel: grpc.aio.Channel, blocking: grpc.Channel, token: str, seed: int, found: Found) -> None:
        """Make one of many senders.

        Args:
            channel: for calls.
            blocking: for streams; gRPC's asyncio client may report INTERNAL in place of the status that one ended with.
            token: lets in.
            seed: of its requests.
            found: takes the answers.
        """
        self._channel = channel
        self._blocking = blocking
        self._token = token
        self._rng = random.Random(seed)
        self._found = found

    async def send(self) -> None:
        """Send one request, or a stream of some."""
        rng = self._rng
        method = rng.choices(METHODS, _WEIGHTS)[0]
        stranger = rng.random() < 0.1
        metadata: Metadata = bad_metadata(rng, self._token) if stranger else bearer(self._token)
        hurried = rng.random() < 0.03
        timeout_s = rng.choice((0.001, 0.005, 0.02)) if hurried else _TIMEOUT_S
        path = _PATHS.get(method, f"/{SERVICE}/{method}")
        streams = method in ("AnalyzeStream", "reflection")
        usable = rng.random() < 0.5
        bodies = [self._body(method, usable=usable) for _ in range(rng.randrange(1, 6) if streams else 1)]
        options = {"timeout": timeout_s, "metadata": (*metadata, *extra_metadata(rng))}
        made = (self._blocking.stream_stream if streams else self._channel.unary_unary)(path)
        ongoing: Any = made(iter(bodies) if streams else bodies[0], **options)
        if rng.random() < 0.02:
            asyncio.get_running_loop().call_later(rng.random() * 0.01, ongoing.cancel)
        code, message = await (asyncio.to_thread(_end_of_stream, ongoing) if streams else _end(ongoing))
        for _ in bodies:
            self._found.note(method, code, message, stranger=stranger, hurried=hurried)

    def _body(self, method: str, *, usable: bool) -> bytes:
        rng = self._rng
        if usable and method in _BODIES:
            return _BODIES[method]
        if method == "Explain" and rng.random() < 0.6:
            return hostile_explain(rng)
        return rng.choices((odd, large), (95, 5))[0](rng) if usable else rng.choice((hostile, broken))(rng)


async def _end(ongoing: Any) -> tuple[str, str]:  # noqa: ANN401 - a call
    try:
        await ongoing
    except grpc.aio.AioRpcError as error:
        return str(error.code().name), error.details() or ""
    except asyncio.CancelledError:
        return "CANCELLED", ""
    return "OK", ""


def _end_of_stream(ongoing: Any) -> tuple[str, str]:  # noqa: ANN401 - a call
    try:
        for _ in ongoing:
            pass
    except grpc.RpcError:
        return str(ongoing.code().name), ongoing.details() or ""
    return "OK", ""


def knock(target: str, rng: random.Random) -> None:
    """Send bytes that are no HTTP/2 to the port, and frames that nobody may send."""
    host, port = target.split(":")
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    frame = rng.randrange(2**14).to_bytes(3, "big") + rng.randbytes(6)
    first = rng.choice((b"", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01", preface, preface + b"\0\0\0\4\0\0\0\0\0"))
    with suppress(OSError), socket.create_connection((host, int(port)), 5) as connection:
        connection.settimeout(0.2)
        connection.sendall(first + frame + rng.randbytes(rng.randrange(300)))
        connection.recv(1000)


def rss_mib(pid: int) -> float:
    """Return the memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096 / 2**20


def growth(samples: list[tuple[float, int, float]]) -> float:
    """Return mean memory in the last quarter of the samples over that in the second quarter."""
    rss = np.array([mib for _, _, mib in samples])
    quarter = max(len(rss) // 4, 1)
    return float(rss[-quarter:].mean() / rss[quarter : 2 * quarter].mean())


async def _send_all(gateway: Gateway, token: str, count: int, seed: int, found: Found) -> None:
    rng, started, every = random.Random(seed), time.monotonic(), max(count // (_LINES * 10), 1)
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_metadata_size", 65_536)]
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_WORKERS))
    blocking = grpc.insecure_channel(gateway.target, options)
    channels = [grpc.aio.insecure_channel(gateway.target, options) for _ in range(4)]

    async def worker(number: int) -> None:
        fuzzer = Fuzzer(channels[number % len(channels)], blocking, token, rng.randrange(2**32), found)
        while found.requests < count and len(found.wrong) < 20:
            await fuzzer.send()
            if found.requests >= every * (len(found.samples) + 1):
                sample = (time.monotonic() - started, found.requests, rss_mib(gateway.pid))
                found.samples.append(sample)
                if len(found.samples) % 10 == 0:
                    print(f"{sample[0]:7.1f} s {sample[1]:8d} requests {sample[2]:7.1f} MiB", flush=True)
                await asyncio.to_thread(knock, gateway.target, rng)

    await asyncio.gather(*(worker(number) for number in range(_WORKERS)))
    for channel in channels:
        await channel.close()
    blocking.close()


def bombs(target: str, token: str) -> list[str]:
    """Send a message that is small on the wire and huge once inflated; return what is wrong with the answers."""
    wrong = []
    with grpc.insecure_channel(target, [("grpc.max_send_message_length", -1)]) as channel:
        for size in (40_000_000, 100_000_000):
            try:
                channel.unary_unary(f"/{SERVICE}/Analyze")(
                    bytes(size), compression=grpc.Compression.Gzip, metadata=bearer(token), timeout=_TIMEOUT_S
                )
                wrong.append(f"a bomb of {size} bytes was answered")
            except grpc.RpcError as error:
                if error.code() is not grpc.StatusCode.UNIMPLEMENTED:
                    wrong.append(f"a bomb of {size} bytes: {error.code().name} {error.details()}")
    return wrong


def fuzz(count: int, seed: int, *flags: str) -> tuple[Found, list[str]]:
    """Send ``count`` requests to a gateway with ``flags``; return the answers, and what is wrong."""
    found, token = Found(), new_token()
    with tempfile.TemporaryDirectory() as folder:
        keys = Path(folder) / "keys.toml"
        keys.write_text(key_entry("fuzzer", token, "analyze", "admin"))
        # A small history is full early, so that memory is flat from then on.
        with Gateway("--auth-keys", str(keys), "--history-max-events", "5000", *flags) as gateway:
            normal = many(200).SerializeToString()
            before = call(gateway.target, "Analyze", normal, metadata=bearer(token))
            uvloop.run(_send_all(gateway, token, count, seed, found))
            peak = rss_mib(gateway.pid)
            wrong = found.wrong + bombs(gateway.target, token)
            if rss_mib(gateway.pid) > peak + 100:
                wrong.append(f"a bomb took {rss_mib(gateway.pid) - peak:.0f} MiB")
            if call(gateway.target, "Analyze", normal, metadata=bearer(token)) != before:
                wrong.append("a normal request is judged differently afterwards")
            if gateway.health() != "SERVING":
                wrong.append("it is no longer ready")
            bugs = [line for line in gateway.log() if line["level"] in ("error", "critical")]
            wrong += [f"in the log: {str(line)[:1500]}" for line in bugs[:3]]
    return found, wrong


def main() -> None:
    """Run the fuzzing that the command line asks for; other flags are the gateway's."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=1)
    known, flags = parser.parse_known_args()
    found, wrong = fuzz(known.requests, known.seed, *flags)
    for method in METHODS:
        codes = {code: number for (of, code), number in sorted(found.codes.items()) if of == method}
        print(f"{method:14} {sum(codes.values()):8d}  " + "  ".join(f"{code} {n}" for code, n in codes.items()))
    print("messages:", *(f"{number:8d}  {text}" for text, number in found.messages.most_common(25)), sep="\n")
    memory = growth(found.samples)
    print(f"{found.requests} requests, memory in the last quarter {memory:.3f} times that in the second one")
    if memory > GROWTH:
        wrong.append(f"memory grew {memory:.3f} times")
    if wrong:
        sys.exit("fuzz: " + "\n      ".join(wrong))


if __name__ == "__main__":
    main()
