"""Which uploads are at work: a few at a time, the oldest first, and after a restart those that were not done."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

import structlog

from service.errors import CommandError, StoreUnavailable
from service.web.files.jobs import FileJob, JobFolder
from service.web.files.refused import Refused
from service.web.pages.texts import sayer
from service.web.problems import Problem

AT_ONCE = 2
MOST_WAITING = 100
MOST_KEPT = 1_000
"""Records of uploads that are over, before the oldest go; reports stay."""

_RETRY_S = 10.0

log = structlog.get_logger("epc_sentinel.files")


class FileQueue:
    """All uploads, and the tasks that work on them."""

    def __init__(self, folders: JobFolder) -> None:
        self.folders = folders
        self._jobs = {job.job_id: job for job in folders.load()}
        self._waiting: asyncio.Queue[FileJob] = asyncio.Queue()
        self._changed: dict[str, asyncio.Event] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, run: Callable[[FileJob], object]) -> None:
        """Begin to work; ``run`` returns the awaitable work on an upload."""
        for job in self._jobs.values():
            if not job.over:
                self._waiting.put_nowait(job)
        self._tasks = [asyncio.create_task(self._work(run)) for _ in range(AT_ONCE)]

    async def stop(self) -> None:
        """Stop the work where it is; the next start goes on."""
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with suppress(asyncio.CancelledError):
                await task

    def check_room(self, say: Callable[..., str]) -> None:
        """Raise Problem 429 if too many wait already; ``say`` has the language of who is told."""
        if sum(not job.over for job in self._jobs.values()) >= MOST_WAITING:
            raise Problem(429, say(Refused.MANY_WAIT, files=MOST_WAITING), headers={"Retry-After": "60"})

    async def add(self, job: FileJob) -> None:
        """Take an upload that is on disk whole; raises OSError."""
        await asyncio.to_thread(self.folders.save, job)
        self._jobs[job.job_id] = job
        self._waiting.put_nowait(job)
        over = [one for one in self._jobs.values() if one.over]
        for old in over[: max(0, len(over) - MOST_KEPT)]:
            del self._jobs[old.job_id]
            self.folders.delete(old.job_id)

    def jobs(self) -> list[FileJob]:
        """Return all uploads, the newest first."""
        return sorted(self._jobs.values(), key=lambda job: (job.created_us, job.job_id), reverse=True)

    def job(self, job_id: str) -> FileJob | None:
        """Return an upload."""
        return self._jobs.get(job_id)

    def changed(self, job: FileJob) -> None:
        """Wake those who follow an upload."""
        if event := self._changed.pop(job.job_id, None):
            event.set()

    async def follow(self, job: FileJob, every_s: float) -> AsyncIterator[FileJob]:
        """Yield an upload at once, at each change, and at least so often, until it is over."""
        while True:
            yield job
            if job.over:
                return
            event = self._changed.setdefault(job.job_id, asyncio.Event())
            with suppress(TimeoutError):
                await asyncio.wait_for(event.wait(), every_s)

    async def _work(self, run: Callable[[FileJob], object]) -> None:
        while True:
            job = await self._waiting.get()
            try:
                await run(job)  # type: ignore[misc]
            except StoreUnavailable as error:
                log.error("store", job=job.job_id, reason=str(error))
                await asyncio.sleep(_RETRY_S)
                self._waiting.put_nowait(job)
            except CommandError as error:
                self._fail(job, str(error))
            except OSError as error:
                log.error("disk", job=job.job_id, reason=str(error))
                self._fail(job, sayer(job.language)(Refused.NO_ROOM))
            except Exception as error:
                log.error("unforeseen", job=job.job_id, error=type(error).__name__, exc_info=error)
                self._fail(job, sayer(job.language)(Refused.INTERNAL))

    def _fail(self, job: FileJob, why: str) -> None:
        log.warning("a file cannot be analysed", job=job.job_id, state=job.state)
        job.error, job.state = why, "failed"
        with suppress(OSError):
            self.folders.save(job)
            self.folders.forget_work(job.job_id)
        self.changed(job)
