"""Processes of the kernel: which of them are there, who holds a lock, and how a group of them is ended."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
from contextlib import suppress
from pathlib import Path

_PATIENCE_S = 10.0  # for a command that was asked to end

# $0 is the file of the exit code, which comes as a whole or not at all. A signal is the command's, not the shell's.
KEEPS_ITS_CODE = 'trap : TERM INT HUP; "$@"; code=$?; echo $code >"$0.tmp" && mv "$0.tmp" "$0"; exit $code'
"""What the shell does that runs a command."""


def began(pid: int) -> str:
    """Return when a process began, in the kernel's ticks, which no other of its number has; empty if there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def is_there(pid: int, since: str) -> bool:
    """Return whether a process is there that began at ``since``."""
    return bool(since) and began(pid) == since


def is_held(path: Path) -> bool:
    """Return whether a process holds the lock on a file."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


async def end_group(process: asyncio.subprocess.Process, ended: asyncio.Task[int]) -> None:
    """End a process that leads a group, and all of the group; one that does not hear is killed."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        if (await asyncio.wait([ended], timeout=_PATIENCE_S))[0]:
            return
