"""A live client: threads that send file after file, and remember who answered each call and which calls were lost."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import Self

import grpc
from google.protobuf.json_format import Parse

from service.pb.epcsentinel.v1 import anomaly_pb2 as pb
from tests.support.gateway import ROOT

METHOD = "/epcsentinel.v1.AnomalyService/Analyze"
TIMEOUT_S = 30.0


def events() -> pb.AnalyzeRequest:
    """Return 18 events of one file: normal journeys of real rows, and five scans with anomalies."""
    made = Parse((ROOT / "examples" / "request.json").read_text(), pb.AnalyzeRequest())
    real = Parse((ROOT / "tests" / "data" / "real_events_request.json").read_text(), pb.AnalyzeRequest())
    for scan in real.data:
        scan.event_id += 1_000
    made.data.extend(real.data)
    return made


@dataclass(frozen=True, slots=True)
class Answer:
    """A call and how it ended."""

    file_id: int
    version: str  # of the model that answered, the method where none did; empty if the call was lost
    error: str  # status and message; empty if it was answered
    sent: float  # time.monotonic()
    duration_s: float


class Client:
    """``threads`` callers, each with a connection of its own and no retries; a context manager that stops them."""

    def __init__(self, target: str, threads: int = 4, per_s: float = 50.0, first_file: int = 1) -> None:
        """Args: ``per_s`` is how many calls all threads together start per second, at most."""
        self.answers: list[Answer] = []
        self._target, self._pause_s = target, threads / per_s
        self._files = itertools.count(first_file)
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    def lost(self) -> list[Answer]:
        """Return the calls that were not answered."""
        return [answer for answer in self.answers if answer.error]

    def versions(self, since: float = 0.0, until: float = float("inf")) -> Counter[str]:
        """Return how many calls that were sent between two times each version answered."""
        return Counter(answer.version for answer in self.answers if since <= answer.sent < until)

    def stop(self) -> None:
        """Let the running calls end."""
        self._over.set()
        for thread in self._threads:
            thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _run(self) -> None:
        body = events()
        options = [("grpc.enable_retries", 0), ("grpc.use_local_subchannel_pool", 1)]
        with grpc.insecure_channel(self._target, options=options) as channel:
            call = channel.unary_unary(METHOD, response_deserializer=pb.AnalyzeResponse.FromString)
            while not self._over.is_set():
                began = time.monotonic()
                self.answers.append(ask(call, body, next(self._files)))
                self._over.wait(max(0.0, began + self._pause_s - time.monotonic()))


def ask(call: grpc.UnaryUnaryMultiCallable, body: pb.AnalyzeRequest, file_id: int, **metadata: str) -> Answer:  # type: ignore[type-arg]
    """Send the events of ``body`` as a file, named in the header x-file-id too; ``metadata`` has _ for -."""
    for scan in body.data:
        scan.file_id = file_id
    sent = time.monotonic()
    headers = [("x-file-id", str(file_id)), *((name.replace("_", "-"), value) for name, value in metadata.items())]
    version, error = "", ""
    try:
        answer = call(body.SerializeToString(), timeout=TIMEOUT_S, metadata=headers)
        version = answer.model_version or answer.method
    except grpc.RpcError as failure:
        error = f"{failure.code().name}: {failure.details()}"
    return Answer(file_id, version, error, sent, time.monotonic() - sent)
