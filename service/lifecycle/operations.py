"""Long-running operations: commands that a process runs, with progress, an end, and a way to end them before.

What is known of one is a file in the folder of the log, so that every worker and a later process can say how it stands,
and cancelling is a file beside it, which whoever runs the operation looks for. A command outlives whoever started it:
it writes to a file, and its exit code to another, so that its end counts although nobody waited for it. Whether it
still runs says a lock (flock) that the process and its command hold together, which the kernel lets go of with both.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import re
import secrets
import shlex
import shutil
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, BinaryIO

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from service.errors import NoSuchModel, NotInThisState
from service.lifecycle.processes import KEEPS_ITS_CODE, began, end_group, is_held, is_there

_LOOK_S = 0.2
_MESSAGE = 500
_TAIL = 4096
_PERCENT = re.compile(r"(\d{1,3})\s?%")
_ERROR = "error: "  # how a command of ours begins the line that it ends with: a share in it is no progress
_ID = re.compile(r"[0-9a-f]{16}")
_PROGRAM = "epc-sentinel"

_GONE = "whoever ran it ended before it had"

STAYS = "is refused: the one in use stays"
"""How the last line of a retraining ends whose gate refused what came of it."""


class Progressing(StrEnum):
    """How an operation stands."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Operation(BaseModel):
    """What is known of an operation."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)

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
    child: int = 0  # of its command, the same
    child_began: str = ""

    @property
    def was_begun(self) -> bool:
        """Whether it was tried to run its command: not if whoever was to do so was killed before."""
        return self.child != 0 or self.message != _GONE

    @property
    def was_refused(self) -> bool:
        """Whether it did its work, and a gate refused what came of it."""
        return self.state is Progressing.FAILED and self.message.endswith(STAYS)


class Operations:
    """The operations of one folder. One of a kind runs at a time."""

    def __init__(self, folder: Path) -> None:
        """Args: ``folder`` is made with the first operation."""
        self._folder = folder
        self._tasks: set[asyncio.Task[None]] = set()
        self._leaves = False

    async def start(self, kind: str, command: Sequence[str], *, who: str, why: str) -> Operation:
        """Run a command, and return at once.

        Raises:
            NotInThisState: one of this kind runs already.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / "operations.lock").open("ab") as turn:
            fcntl.flock(turn, fcntl.LOCK_EX)  # for milliseconds: of two who start one at once, one is second
            for other in self.listed():
                if other.kind == kind and other.state is Progressing.RUNNING:
                    raise NotInThisState(
                        f"{kind} runs already, as operation {other.operation_id}: wait for it, or cancel it"
                    )
            operation = Operation(
                operation_id=secrets.token_hex(8),
                kind=kind,
                who=who,
                why=why,
                started_at=_now(),
                pid=os.getpid(),
                began=began(os.getpid()),
            )
            held = self._path(operation.operation_id).with_suffix(".lock").open("ab")
            fcntl.flock(held, fcntl.LOCK_EX)
            self._write(operation)
        if command[0] != _PROGRAM and shutil.which(command[0]) is None:
            with held:
                return self._end(operation, Progressing.FAILED, f"{command[0]} cannot be run: there is no such program")
        process = await self._spawned(operation, command, held)
        operation = operation.model_copy(update={"child": process.pid, "child_began": began(process.pid)})
        self._write(operation)
        task = asyncio.create_task(self._followed(operation, process, held))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return operation

    def get(self, operation_id: str) -> Operation:
        """Return an operation; raises NoSuchModel if there is none."""
        path = self._path(operation_id)
        try:
            found = Operation.model_validate_json(path.read_text())
        except (OSError, ValidationError):
            raise NoSuchModel("operation_id: there is no operation of this id") from None
        if found.state is not Progressing.RUNNING or is_there(found.pid, found.began):
            return found
        if is_held(path.with_suffix(".lock")):  # by its command: nobody waits for it, and it goes on
            return self._heard(found)
        with suppress(OSError, ValidationError):  # its end may have been written since it was read
            found = Operation.model_validate_json(path.read_text())
        return found if found.state is not Progressing.RUNNING else self._ended_alone(found)

    def listed(self) -> list[Operation]:
        """Return all operations, the newest first."""
        found = []
        for path in self._folder.glob("*.json"):
            with suppress(NoSuchModel):  # what somebody put there, or a disk has torn, is no operation
                found.append(self.get(path.stem))
        return sorted(found, key=lambda operation: operation.started_at, reverse=True)

    def latest(self, kind: str) -> Operation | None:
        """Return the operation of a kind that was started last."""
        return next((one for one in self.listed() if one.kind == kind), None)

    def cancel(self, operation_id: str) -> Operation:
        """Have an operation ended by whoever runs it; one that has ended stays as it is. Raises as `get`."""
        found = self.get(operation_id)
        if found.state is Progressing.RUNNING:
            self._path(operation_id).with_suffix(".cancel").touch()
            if not is_there(found.pid, found.began) and is_there(found.child, found.child_began):
                with suppress(ProcessLookupError):
                    os.killpg(found.child, signal.SIGTERM)
        return found

    async def wait(self, operation: Operation) -> Operation:
        """Return an operation of this process when it has ended."""
        await asyncio.gather(*self._tasks, return_exceptions=True)
        return self.get(operation.operation_id)

    def leave(self) -> None:
        """Let commands go on when this process ends; whoever comes after it knows them by the folder."""
        self._leaves = True

    async def close(self) -> None:
        """End what this process runs."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _spawned(
        self, operation: Operation, command: Sequence[str], held: BinaryIO
    ) -> asyncio.subprocess.Process:
        path = self._path(operation.operation_id)
        program = [sys.executable, "-m", "service"] if command[0] == _PROGRAM else [command[0]]
        with path.with_suffix(".out").open("wb") as output:
            return await asyncio.create_subprocess_exec(
                "sh", "-c", KEEPS_ITS_CODE, str(path.with_suffix(".exit")), *program, *command[1:],
                stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
                pass_fds=[held.fileno()],
            )  # fmt: skip

    async def _followed(self, operation: Operation, process: asyncio.subprocess.Process, held: BinaryIO) -> None:
        """Write how far the command is, until it has ended or was cancelled."""
        cancelled = self._path(operation.operation_id).with_suffix(".cancel")
        ended = asyncio.create_task(process.wait())
        with held:
            try:
                while not ended.done() and not cancelled.exists():
                    await asyncio.wait([ended], timeout=_LOOK_S)
                    if (heard := self._heard(operation)) != operation:
                        operation = heard
                        self._write(operation)
                if not ended.done():
                    await end_group(process, ended)
                    self._end(operation, Progressing.CANCELLED, "cancelled")
                    return
                state = Progressing.SUCCEEDED if ended.result() == 0 else Progressing.FAILED
                self._end(operation, state, operation.message or f"exit code {ended.result()}")
            except asyncio.CancelledError:
                if self._leaves:
                    raise
                await end_group(process, ended)
                self._end(operation, Progressing.FAILED, _GONE)
                raise
            finally:
                if not self._leaves:
                    cancelled.unlink(missing_ok=True)

    def _heard(self, operation: Operation) -> Operation:
        """Return an operation with what its command says as its progress."""
        try:
            with self._path(operation.operation_id).with_suffix(".out").open("rb") as output:
                output.seek(-min(_TAIL, os.fstat(output.fileno()).st_size), os.SEEK_END)
                tail = output.read().decode(errors="replace")
        except OSError:
            return operation
        # Progress bars end their lines with a carriage return.
        said = [line.strip() for line in re.split(r"[\r\n]+", tail) if line.strip()]
        if not said:
            return operation
        percent = [] if said[-1].startswith(_ERROR) else _PERCENT.findall(said[-1])
        progress = min(1.0, int(percent[-1]) / 100) if percent else operation.progress
        return operation.model_copy(update={"message": said[-1][-_MESSAGE:], "progress": progress})

    def _ended_alone(self, operation: Operation) -> Operation:
        """Return how an operation ended that nobody waited for, by what its command left."""
        path = self._path(operation.operation_id)
        heard = self._heard(operation)
        if path.with_suffix(".cancel").exists():
            return heard.model_copy(update={"state": Progressing.CANCELLED, "message": "cancelled"})
        try:
            code = int(path.with_suffix(".exit").read_text())
        except (OSError, ValueError):
            return heard.model_copy(update={"state": Progressing.FAILED, "message": _GONE})
        if code != 0:
            said = heard.message or f"exit code {code}"
            return heard.model_copy(update={"state": Progressing.FAILED, "message": said})
        return heard.model_copy(update={"state": Progressing.SUCCEEDED, "progress": 1.0})

    def _end(self, operation: Operation, state: Progressing, message: str) -> Operation:
        progress = 1.0 if state is Progressing.SUCCEEDED else operation.progress
        changes = {"state": state, "message": message, "ended_at": _now(), "progress": progress}
        ended = operation.model_copy(update=changes)
        self._write(ended)
        return ended

    def _write(self, operation: Operation) -> None:
        path = self._path(operation.operation_id)
        fresh = path.with_suffix(".tmp")
        fresh.write_text(operation.model_dump_json())
        fresh.replace(path)

    def _path(self, operation_id: str) -> Path:
        if not _ID.fullmatch(operation_id):
            raise NoSuchModel("operation_id: there is no operation of this id")
        return self._folder / f"{operation_id}.json"


def command_of(template: str, values: Mapping[str, object]) -> list[str]:
    """Return the words of an operator's command, ``{now}`` and the names of ``values`` in braces filled in."""
    filled = {**values, "now": f"{datetime.now(UTC):%Y%m%dT%H%M%S}"}
    return [part.format_map(filled) for part in shlex.split(template)]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
