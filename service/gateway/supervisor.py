"""``serve --workers N``: N gateways on one port, and this process, which minds them.

The kernel deals the connections out to the workers (SO_REUSEPORT), for as long as they last: a client with one has one
worker at a time. gRPC does not survive a fork, so workers are fresh processes, and no gRPC is ever made here. A worker
that dies is replaced, and one that hangs is killed; one that cannot begin ends all. Workers end when this process does,
however that comes.
"""

from __future__ import annotations

import json
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from service.errors import CommandError, SettingsError
from service.gateway.compiled import form_of_features
from service.gateway.heart import LOOK_S, SILENT_LOOKS, Heart
from service.gateway.workers import share, work
from service.monitoring import metrics_endpoint
from service.runtime.process import CLOSE_S, stop_signals
from service.settings import Settings, place

_ANSWER_S = 5.0  # a worker that is too busy to show its metrics is left out of a scrape

MINDED_S = CLOSE_S + 2.0
"""Seconds after their drain in which workers have ended by themselves, or are killed."""

log = structlog.get_logger("epc_sentinel.workers")


def serve_by_workers(settings: Settings) -> None:
    """Serve with ``settings.workers`` processes until SIGTERM, SIGINT or SIGHUP, then drain them.

    Raises:
        SettingsError: workers cannot share what the settings ask for.
        CommandError: the address cannot be listened on, a worker did not start, or did not end as it should.
    """
    if settings.history == "memory":
        raise SettingsError(
            f"--workers {settings.workers} needs another --history than memory, which processes do not share:"
            " none (streams know what they brought themselves), or a server such as valkey://HOST:PORT"
        )
    with ExitStack() as stack:
        held = stack.enter_context(_hold(settings.host, settings.port, "--port"))
        ports = {"port": held.getsockname()[1]}
        if settings.health_port is not None:
            held = stack.enter_context(_hold(settings.host, settings.health_port, "--health-port"))
            ports["health_port"] = held.getsockname()[1]
        workers = _Workers(settings.model_copy(update=ports))
        metrics_port = stack.enter_context(_metrics(settings, workers))
        workers.run(
            stack.enter_context(_signals()),
            lambda: log.info(
                "listening",
                host=settings.host,
                **ports,
                metrics_port=metrics_port,
                workers=settings.workers,
                features=form_of_features(),
            ),
        )
    log.info("stopped")


@dataclass(slots=True, eq=False)
class _Worker:
    """A worker, seen from the process that minds it."""

    number: int  # from 1
    process: SpawnProcess
    pipe: Connection
    heart: Heart
    listens: bool = False
    _turn: threading.Lock = field(default_factory=threading.Lock)
    _asked: int = 0

    def hear(self) -> None:
        """Take the worker's first word: that it listens.

        Raises:
            CommandError: it says why it cannot.
        """
        try:
            failure = self.pipe.recv()
        except (EOFError, OSError):
            self.process.join()
            return
        if failure:
            raise CommandError(failure)
        self.listens = True

    def check(self) -> None:
        """Kill the worker if it hangs: its callers wait, and try again elsewhere as soon as their connections end."""
        if self.heart.look() >= SILENT_LOOKS:
            log.error("a worker hangs and is killed", worker=self.number)
            self.process.kill()

    def ask(self, page: str) -> bytes | None:
        """Return the worker's ``page`` ("metrics" or "drift"), None if it has no time or is gone."""
        with self._turn, suppress(EOFError, OSError):
            self._asked += 1
            self.pipe.send((self._asked, page))
            while self.pipe.poll(_ANSWER_S):
                number, answer = self.pipe.recv()
                if number == self._asked:  # else it is late, and for a scrape that has given up
                    return bytes(answer)
        return None


class _Workers(Collector):
    """All workers; as a collector, their metrics with the label ``worker``."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._workers: list[_Worker] = []
        self._restarts = 0

    def run(self, wake: socket.socket, listening: Callable[[], None]) -> None:
        """Start the workers, mind them until ``wake`` has something to read, and drain them.

        Args: ``listening`` is called when all of them listen.
        """
        try:
            self._workers = [self._start(number + 1) for number in range(self._settings.workers)]
            self._mind(wake, listening)
        except BaseException:
            self._end()
            raise
        log.info("draining", at_most_s=self._settings.drain_s)
        if bad := self._end():
            raise CommandError(f"workers did not end as they should: {', '.join(bad)}")

    def _start(self, number: int) -> _Worker:
        context, heart = get_context("spawn"), Heart()
        pipe, theirs = context.Pipe()
        process = context.Process(
            target=work, args=(share(self._settings, number), number, theirs, heart), name=f"worker {number}"
        )
        process.start()
        theirs.close()  # so that the pipe ends with the worker
        return _Worker(number, process, pipe, heart)

    def _mind(self, wake: socket.socket, listening: Callable[[], None]) -> None:
        told = False
        next_look_s = time.monotonic() + LOOK_S
        while True:
            silent = [worker.pipe for worker in self._workers if not worker.listens]
            sentinels = [worker.process.sentinel for worker in self._workers]
            ready = wait([wake, *silent, *sentinels], max(0.0, next_look_s - time.monotonic()))
            if wake in ready:
                return
            if time.monotonic() >= next_look_s:
                next_look_s = time.monotonic() + LOOK_S
                for worker in self._workers:
                    worker.check()
            for at, worker in enumerate(self._workers):
                if worker.pipe in ready:
                    worker.hear()
                if not worker.process.is_alive():
                    self._workers[at] = self._replaced(worker)
            if not told and all(worker.listens for worker in self._workers):
                told = True
                listening()

    def _replaced(self, worker: _Worker) -> _Worker:
        code = worker.process.exitcode
        if not worker.listens:
            raise CommandError(f"worker {worker.number} ended before it listened, with exit code {code}: see its log")
        log.error("a worker died and is replaced", worker=worker.number, exit_code=code)
        worker.pipe.close()
        self._restarts += 1
        return self._start(worker.number)

    def _end(self) -> list[str]:
        """Drain all workers, and return what was wrong with it."""
        for worker in self._workers:
            worker.process.terminate()
        deadline = time.monotonic() + self._settings.drain_s + MINDED_S
        bad = []
        for worker in self._workers:
            worker.process.join(max(0.0, deadline - time.monotonic()))
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
            if worker.process.exitcode not in (0, -signal.SIGTERM):  # the signal came before it listened
                bad.append(f"worker {worker.number} with exit code {worker.process.exitcode}")
        return bad

    def collect(self) -> Iterable[Metric]:
        """Yield the metrics of all workers, and how often one was replaced."""
        families: dict[str, Metric] = {}
        for number, text in self._pages("metrics"):
            for family in text_string_to_metric_families(text.decode()):  # type: ignore[no-untyped-call]
                merged = families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
                merged.samples += [
                    sample._replace(labels={**sample.labels, "worker": number}) for sample in family.samples
                ]
        yield from families.values()
        yield CounterMetricFamily(
            "epc_sentinel_worker_restarts", "Workers that died or hung and were replaced.", value=self._restarts
        )

    def drift(self) -> bytes:
        """Return the drift state of each worker as JSON."""
        state = {number: json.loads(text) for number, text in self._pages("drift")}
        return json.dumps({"workers": state}, indent=1).encode() + b"\n"

    def _pages(self, page: str) -> Iterator[tuple[str, bytes]]:
        for worker in self._workers:
            if worker.listens and (text := worker.ask(page)) is not None:
                yield str(worker.number), text


@contextmanager
def _metrics(settings: Settings, workers: _Workers) -> Iterator[int | None]:
    """Serve what the workers have to show; yields the port, None if it is off."""
    if settings.metrics_port is None:
        yield None
        return
    registry = CollectorRegistry()
    registry.register(workers)
    http = metrics_endpoint.listen(settings, registry, workers.drift)
    try:
        yield http.server_port
    finally:
        http.shutdown()
        http.server_close()


@contextmanager
def _signals() -> Iterator[socket.socket]:
    """Yield what can be read when a signal to stop came."""
    wake, sender = socket.socketpair()
    sender.setblocking(False)
    for number in stop_signals():
        signal.signal(number, lambda *_: None)
    before = signal.set_wakeup_fd(sender.fileno())
    try:
        yield wake
    finally:
        signal.set_wakeup_fd(before)
        wake.close()
        sender.close()


@contextmanager
def _hold(host: str, port: int, flag: str) -> Iterator[socket.socket]:
    """Keep a port for the workers: yields a socket that is bound, so that no other program gets it, and never listens.

    Raises:
        CommandError: somebody has it.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        held = socket.socket(family, kind, protocol)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(address)
        # Only now: bound with it, a second gateway on this port would quietly share the calls.
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    except OSError:
        raise CommandError(
            f"cannot listen on {place(host, port)}: in use, or not an address of this machine;"
            f" choose others with --host and {flag}"
        ) from None
    with held:
        yield held
