"""The real web service on a free loopback port, as a user starts it, and how it is asked."""

from __future__ import annotations

import http.client
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pytest

from tests.support.gateway import START_S, Gateway
from tests.support.preloaded import popen
from tests.support.processes import end, log_lines


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes

    def json(self) -> Any:  # noqa: ANN401 - any JSON
        """Return the body as JSON."""
        return json.loads(self.body)


class Web:
    """``epc-sentinel web`` with ``flags``; a context manager that leaves no process behind."""

    def __init__(self, target: str, store: Path | str, *flags: str, ready: bool = True) -> None:
        """Args: ``ready`` waits for an answer by HTTP without TLS."""
        self._log = tempfile.NamedTemporaryFile("w+", prefix="web-", suffix=".log")  # noqa: SIM115 - closed in stop
        command = ["web", "--target", target, "--port", "0", "--log-format", "json"]
        command += ["--store", str(store), *flags]
        if "--uploads" not in flags:
            command += ["--uploads", f"{store}-uploads" if isinstance(store, Path) else tempfile.mkdtemp()]
        self._process = popen(command, {}, self._log.fileno(), self._log.fileno())
        try:
            self.port = int(self.wait_log("listening")["port"])
            if ready:
                self._wait(lambda: self.get("/live").status == 200, "answer", START_S)
        except BaseException:
            self.stop()
            raise

    @property
    def pid(self) -> int:
        """The process id of the server."""
        return self._process.pid

    def log(self) -> list[dict[str, Any]]:
        """Return the log lines so far."""
        return log_lines(self._log.name)

    def get(self, path: str, **headers: str) -> Answer:
        """Ask for a path."""
        return self.ask("GET", path, b"", headers)

    def post(self, path: str, body: object, **headers: str) -> Answer:
        """Send a body: bytes as they are, anything else as JSON."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.ask("POST", path, data, {"Content-Type": "application/json"} | headers)

    def ask(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Send a request on a connection of its own; ``_`` in names of headers are ``-``."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            answer = connection.getresponse()
            return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def kill(self) -> None:
        """End the process as a crash does."""
        self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        """End the process and return its exit code."""
        end(self._process)
        self._log.close()
        return self._process.returncode

    def wait(self, condition: Callable[[], object], what: str, within_s: float = 60) -> None:
        """Wait until the condition holds."""
        self._wait(lambda: bool(condition()), what, within_s)

    def wait_log(self, event: str) -> dict[str, Any]:
        """Wait for a log line and return it."""
        found: list[dict[str, Any]] = []

        def seen() -> bool:
            found[:] = [line for line in self.log() if line["event"] == event]
            return bool(found)

        self._wait(seen, f"log line {event!r}", START_S)
        return found[0]

    def _wait(self, condition: Callable[[], bool], what: str, within_s: float) -> None:
        deadline = time.monotonic() + within_s
        while not _holds(condition):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"no {what} from web; its output:\n{Path(self._log.name).read_text()[-3000:]}")
            time.sleep(0.05)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _holds(condition: Callable[[], bool]) -> bool:
    try:
        return condition()
    except OSError:  # it does not listen yet
        return False


@pytest.fixture(scope="session")
def web(gateway: Gateway, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """A web service in front of the bundled model, with default settings; leave it running."""
    with Web(gateway.target, tmp_path_factory.mktemp("web") / "findings") as running:
        yield running
