"""``epc-sentinel`` in a process of its own that need not import anything: a fork of one that has imported it all.

The imports of a command take it a second, those of a training five; tests start hundreds. What is forked runs the
command as ``python -m service`` does, in its own process with its own arguments, variables, output and exit code. Where
a test sets other variables, which may be read at import, or ignores a signal, a fresh interpreter is started. A plugin.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
LATE = ("EPC_SENTINEL_", "COLUMNS")
"""How the variables begin that no import reads."""


class Child:
    """A forked command; what `subprocess.Popen` has of methods, as far as tests use them."""

    def __init__(self, parent: Parent, pid: int) -> None:
        self._parent, self.pid = parent, pid
        self._alive = os.pidfd_open(pid)
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return the exit code, None if it still runs."""
        return self.returncode if self.returncode is not None or not self._ended(0.0) else self._reap()

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end and return the exit code.

        Raises:
            subprocess.TimeoutExpired: it still runs.
        """
        if self.returncode is not None:
            return self.returncode
        if not self._ended(timeout):
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0.0)
        return self._reap()

    def send_signal(self, number: int) -> None:
        """Send a signal, if it still runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def _ended(self, within_s: float | None) -> bool:
        ready = select.poll()
        ready.register(self._alive, select.POLLIN)
        return bool(ready.poll(None if within_s is None else within_s * 1_000))

    def _reap(self) -> int:
        self.returncode = self._parent.ask({"reap": self.pid})
        os.close(self._alive)
        return self.returncode


class Parent:
    """The process that has imported all, and forks."""

    def __init__(self) -> None:
        self.ignored = ignored()
        self._asking = threading.Lock()
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.preloaded", str(theirs.fileno())],
                cwd=ROOT, pass_fds=[theirs.fileno()], stdout=subprocess.DEVNULL,
            )  # fmt: skip

    def ask(self, request: Mapping[str, object], *files: int) -> int:
        """Send a request, with the files that what is forked writes to; return the number that is answered."""
        with self._asking:
            socket.send_fds(self._control, [json.dumps(request).encode()], list(files))
            return int(self._control.recv(64))

    def close(self) -> None:
        """End it; what it forked goes on."""
        self._control.close()
        self._process.wait()


class _Session:
    """The parent of this test run, once a command was started."""

    parent: Parent | None = None
    running = False


def ignored() -> set[int]:
    """Return the signals that this process ignores; what it starts does too."""
    return {number for number in signal.valid_signals() if signal.getsignal(number) is signal.SIG_IGN}


def popen(arguments: list[str], changes: Mapping[str, str], out: int, err: int) -> Child | subprocess.Popen[bytes]:
    """Start ``epc-sentinel`` with ``arguments``.

    Args: ``changes`` are variables beside those of this process; ``out`` and ``err`` are open files.
    """
    environment = os.environ | changes
    if _Session.running and _Session.parent is None:
        _Session.parent = Parent()
    parent = _Session.parent
    if parent is None or parent.ignored != ignored() or not all(name.startswith(LATE) for name in changes):
        command = [sys.executable, "-m", "service", *arguments]
        return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=out, stderr=err)
    return Child(parent, parent.ask({"arguments": arguments, "environment": environment}, out, err))


@pytest.fixture(scope="session", autouse=True)
def preloaded() -> Iterator[None]:
    """Let commands be forked; outside of pytest and before it they are not."""
    _Session.running = True
    yield
    _Session.running = False
    if _Session.parent is not None:
        _Session.parent.close()
        _Session.parent = None
