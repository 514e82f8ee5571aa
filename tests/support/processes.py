"""What servers of the tests have in common: free ports, and an end that leaves no process behind."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

STOP_S = 10.0


def free_ports(count: int) -> list[int]:
    """Return loopback ports that nobody listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports


def end(process: subprocess.Popen[Any]) -> None:
    """Terminate the process, and kill it if it does not go."""
    process.terminate()  # nothing happens if it has ended
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


GRPCURL = Path(sys.executable).parent / "grpcurl"
