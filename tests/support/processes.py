"""What processes of the tests have in common: folders made once, free ports, no one stays behind, some are killed.

And how much processor time a piece of work takes.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.support.preloaded import Child

STOP_S = 10.0


def need(there: bool, reason: str) -> None:
    """Skip the test that needs what is not ``there``; in CI (variable CI) fail it, or nobody would notice."""
    if not there:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)


def free_ports(count: int) -> list[int]:
    """Return loopback ports that nobody listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports


def wait_for(what: Callable[[], object], within_s: float = 30.0) -> None:
    """Wait until ``what`` returns something true."""
    deadline = time.monotonic() + within_s
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def spends_less(limit_s: float, work: Callable[[], object]) -> bool:
    """Return whether ``work`` takes less processor time than that, in one of three tries.

    A round of the garbage collector, which takes as long as this process is large, is in one of them alone.
    """
    for _ in range(3):
        begun_s = time.thread_time()  # not what others of the machine, or of this process, do meanwhile
        work()
        if time.thread_time() - begun_s < limit_s:
            return True
    return False


def stand_still(pid: int) -> None:
    """Send SIGSTOP to a process, and wait until all of its threads stand still: until then one may still answer."""
    os.kill(pid, signal.SIGSTOP)
    threads = [thread / "stat" for thread in Path(f"/proc/{pid}/task").iterdir()]
    wait_for(lambda: {stat.read_text().rpartition(")")[2].split()[0] for stat in threads} == {"T"})


def die_at(step: int, *places: tuple[Any, str]) -> None:
    """Have this process killed before the ``step``-th time from now that it calls one of ``places``: (owner, name)."""
    count = 0

    def dying(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:  # noqa: ANN401 - of whatever it stands for
            nonlocal count
            count += 1
            if count == step:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **options)

        return call

    for owner, name in places:
        setattr(owner, name, dying(getattr(owner, name)))


def end(process: Child | subprocess.Popen[Any]) -> None:
    """Terminate the process, and kill it if it does not go."""
    process.terminate()  # nothing happens if it has ended
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


GRPCURL = Path(sys.executable).parent / "grpcurl"


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """Return the folder ``name`` of this test run, which whoever asks first has made; others wait for it.

    Args: ``make`` fills the folder, which is there and empty.
    """
    own = factory.getbasetemp()
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    folder, made = shared / name, shared / f"{name}.made"
    with (shared / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():  # of one whose making failed there may be a half
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            made.touch()
    return folder


def log_lines(path: str) -> list[dict[str, Any]]:
    """Return what is logged so far as JSON, by lines that are whole: the last one may be half written."""
    lines = Path(path).read_text().splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("\n")]
