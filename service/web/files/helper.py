"""The other side of `service.web.files.process`: it is begun when there is work, and again where it ended."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog

from service.web.files.jobs import FileJob
from service.web.files.messages import LINE_BYTES, FileNews
from service.web.settings import WebSettings

_END_S = 5.0

log = structlog.get_logger("epc_sentinel.files")


class HelperEndedError(Exception):
    """The process ended before the work was done: killed for its memory, perhaps."""


class FileHelper:
    """Has files worked on in another process, several at a time."""

    def __init__(self, settings: WebSettings) -> None:
        self._settings = settings
        self._process: asyncio.subprocess.Process | None = None
        self._listening: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()
        self._told: dict[str, asyncio.Queue[FileNews | None]] = {}  # None: it ended

    async def work(self, job: FileJob, told: Callable[[FileNews], Awaitable[None]]) -> FileNews:
        """Return the last that is said of an upload; what is said before goes to ``told``.

        Raises:
            HelperEndedError: the process ended, or cannot begin.
        """
        inbox = self._told[job.job_id] = asyncio.Queue()
        try:
            await self._send(job)
            while (one := await inbox.get()) is not None:
                if one.is_last:
                    return one
                await told(one)
            raise HelperEndedError
        finally:
            del self._told[job.job_id]

    async def stop(self) -> None:
        """End the process where it is."""
        process = self._process
        if process is None or process.stdin is None:
            return
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), _END_S)
        except TimeoutError:
            process.kill()
        if self._listening is not None:
            await self._listening

    async def _send(self, job: FileJob) -> None:
        async with self._starting:
            process = self._process or await self._start()
        assert process.stdin is not None  # noqa: S101 - a pipe
        with suppress(ConnectionError):  # it ended: whoever listens says so
            process.stdin.write(job.model_dump_json().encode() + b"\n")
            await process.stdin.drain()

    async def _start(self) -> asyncio.subprocess.Process:
        command = (sys.executable, "-P", "-m", "service.web.files.process")
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                limit=LINE_BYTES,
            )
        except OSError as error:
            log.error("the process for files cannot begin", reason=error.strerror)
            raise HelperEndedError from None
        assert process.stdin is not None  # noqa: S101
        process.stdin.write(self._settings.model_dump_json().encode() + b"\n")
        self._process = process
        self._listening = asyncio.create_task(self._listen(process))
        log.info("a process for files begins", pid=process.pid)
        return process

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None  # noqa: S101
        try:
            async for line in process.stdout:
                told = FileNews.model_validate_json(line)
                if inbox := self._told.get(told.job_id):
                    inbox.put_nowait(told)
        except ValueError as error:  # no message, or a line that has no end
            log.error("the process for files speaks nonsense", pid=process.pid, error=type(error).__name__)
            process.kill()
        code = await process.wait()
        self._process = None
        if self._told:
            log.error("the process for files ended", pid=process.pid, code=code)
        for inbox in self._told.values():
            inbox.put_nowait(None)
