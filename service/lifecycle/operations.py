"""Long-running operations: commands that a gateway runs, with progress, an end, and a way to end them before.

What is known of one is a file in the folder of the log, so that every worker and a later gateway can say how it stands,
and cancelling is a file beside it, which whoever runs the operation looks for. An operation whose process is gone has
failed, whatever its file says: nobody is there to finish it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import secrets
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from service.errors import NoSuchModel, NotInThisState

_LOOK_S = 0.2
_PATIENCE_S = 10.0  # for a command that was asked to end
_MESSAGE = 500
_PERCENT = re.compile(r"(\d{1,3})\s?%")
_ID = re.compile(r"[0-9a-f]{16}")
_PROGRAM = "epc-sentinel"


class Progressing(StrEnum):
    """How an operation stands."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Operation(BaseModel):
    """What is known of an operation."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    operation_id: str
    kind: str
    who: str
    why: str
    started_at: str  # ISO 8601, UTC
    state: Annotated[Progressing, Field(strict=False)] = Progressing.RUNNING
    progress: Annotated[float, Field(ge=0, le=1)] = 0.0
    message: str = ""
    ended_at: str = ""
    pid: int = 0  # of the process that runs it, and when that began, which no other process of this number has
    began: str = ""


class Operations:
    """The operations of one folder. One of a kind runs at a time."""

    def __init__(self, folder: Path) -> None:
        """Args: ``folder`` is made with the first operation."""
        self._folder = folder
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, kind: str, command: Sequence[str], *, who: str, why: str) -> Operation:
        """Run a command, and return at once.

        Raises:
            NotInThisState: one of this kind runs already.
        """
        for other in self.listed():
            if other.kind == kind and other.state is Progressing.RUNNING:
                raise NotInThisState(
                    f"{kind} runs already, as operation {other.operation_id}: wait for it, or cancel it"
                )
        self._folder.mkdir(parents=True, exist_ok=True)
        operation = Operation(
            operation_id=secrets.token_hex(8),
            kind=kind,
            who=who,
            why=why,
            started_at=_now(),
            pid=os.getpid(),
            began=_began(os.getpid()),
        )
        self._write(operation)
        task = asyncio.create_task(self._run(operation, command))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return operation

    def get(self, operation_id: str) -> Operation:
        """Return an operation; raises NoSuchModel if there is none."""
        path = self._path(operation_id)
        try:
            found = Operation.model_validate_json(path.read_text())
        except (OSError, ValidationError):
            raise NoSuchModel("there is no operation of this id") from None
        if found.state is Progressing.RUNNING and _began(found.pid) != found.began:
            gone = "the gateway that ran it ended before it had"
            return found.model_copy(update={"state": Progressing.FAILED, "message": gone})
        return found

    def listed(self) -> list[Operation]:
        """Return all operations, the newest first."""
        found = [self.get(path.stem) for path in self._folder.glob("*.json")]
        return sorted(found, key=lambda operation: operation.started_at, reverse=True)

    def cancel(self, operation_id: str) -> Operation:
        """Have an operation ended by whoever runs it; one that has ended stays as it is. Raises as `get`."""
        found = self.get(operation_id)
        if found.state is Progressing.RUNNING:
            self._path(operation_id).with_suffix(".cancel").touch()
        return found

    async def close(self) -> None:
        """End what this process runs."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _run(self, operation: Operation, command: Sequence[str]) -> None:
        cancelled = self._path(operation.operation_id).with_suffix(".cancel")
        program = [sys.executable, "-m", "service"] if command[0] == _PROGRAM else [command[0]]
        try:
            process = await asyncio.create_subprocess_exec(
                *program, *command[1:], stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            self._end(operation, Progressing.FAILED, f"{command[0]} cannot be run: {error.strerror}")
            return
        assert process.stdout is not None  # noqa: S101 - asked for above
        reading = asyncio.create_task(self._read(operation, process.stdout))
        ended = asyncio.create_task(process.wait())
        try:
            while not ended.done() and not cancelled.exists():
                await asyncio.wait([ended], timeout=_LOOK_S)
            if not ended.done():
                await _end_group(process, ended)
                self._end(await reading, Progressing.CANCELLED, "cancelled")
                return
            last = await reading
            state = Progressing.SUCCEEDED if ended.result() == 0 else Progressing.FAILED
            self._end(last, state, last.message or f"exit code {ended.result()}")
        except asyncio.CancelledError:
            await _end_group(process, ended)
            self._end(operation, Progressing.FAILED, "the gateway ended before it had")
            raise
        finally:
            cancelled.unlink(missing_ok=True)

    async def _read(self, operation: Operation, output: asyncio.StreamReader) -> Operation:
        """Take what the command says as its progress; return what is known at its end."""
        while piece := await output.read(4096):  # no lines: progress bars end theirs with a carriage return
            said = [line.strip() for line in re.split(r"[\r\n]+", piece.decode(errors="replace")) if line.strip()]
            if said:
                percent = _PERCENT.findall(said[-1])
                progress = min(1.0, int(percent[-1]) / 100) if percent else operation.progress
                operation = operation.model_copy(update={"message": said[-1][-_MESSAGE:], "progress": progress})
                self._write(operation)
        return operation

    def _end(self, operation: Operation, state: Progressing, message: str) -> None:
        progress = 1.0 if state is Progressing.SUCCEEDED else operation.progress
        changes = {"state": state, "message": message, "ended_at": _now(), "progress": progress}
        self._write(operation.model_copy(update=changes))

    def _write(self, operation: Operation) -> None:
        path = self._path(operation.operation_id)
        fresh = path.with_suffix(".tmp")
        fresh.write_text(operation.model_dump_json())
        fresh.replace(path)

    def _path(self, operation_id: str) -> Path:
        if not _ID.fullmatch(operation_id):
            raise NoSuchModel("there is no operation of this id")
        return self._folder / f"{operation_id}.json"


async def _end_group(process: asyncio.subprocess.Process, ended: asyncio.Task[int]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        if (await asyncio.wait([ended], timeout=_PATIENCE_S))[0]:
            return


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _began(pid: int) -> str:
    """Return when a process began, in the kernel's ticks; empty if there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
