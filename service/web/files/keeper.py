"""Has an upload worked on, and keeps its report: of what is on disk, the service itself writes records and findings."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from service.errors import CommandError, StoreUnavailable
from service.findings.store import FindingsStore
from service.web.files.helper import FileHelper, HelperEndedError
from service.web.files.jobs import FileJob, JobFolder
from service.web.files.messages import FileNews
from service.web.files.refused import Refused
from service.web.pages.texts import sayer

MOST_ENDS = 3
"""Times that an upload is begun again when the process ends that works on it; the file may be the reason."""

_AGAIN_S = 1.0

_THREADS = ThreadPoolExecutor(2, thread_name_prefix="keeper")
"""Of their own: pages, whose queries run in the threads of asyncio, do not wait for the disk."""


@dataclass(frozen=True, slots=True)
class Keeper:
    """Brings uploads to their reports."""

    folders: JobFolder
    helper: FileHelper
    store: FindingsStore
    changed: Callable[[FileJob], None]  # called after every step

    async def run(self, job: FileJob) -> None:
        """Bring an upload to its report.

        Raises:
            CommandError: the file cannot be used, or the store is away.
            OSError: no room on the disk.
        """
        told = await self._work(job)
        if told.later:
            raise StoreUnavailable(told.later)
        if told.found is None:
            raise CommandError(told.refused)
        report, content = told.found.report, told.found.content
        await _in_thread(lambda: self.store.add(report, content))
        job.report_id = report.report_id
        job.state = "done"
        await _in_thread(lambda: self.folders.save(job))
        self.changed(job)
        await _in_thread(lambda: self.folders.forget_work(job.job_id))

    async def _work(self, job: FileJob) -> FileNews:
        async def told(one: FileNews) -> None:
            is_new = one.state != job.state
            for name in ("state", "bytes_read", "events", "judged"):
                setattr(job, name, getattr(one, name))
            if is_new:
                await _in_thread(lambda: self.folders.save(job))
            self.changed(job)

        for _ in range(MOST_ENDS):
            try:
                return await self.helper.work(job, told)
            except HelperEndedError:
                await asyncio.sleep(_AGAIN_S)
        raise CommandError(sayer(job.language)(Refused.NO_MEMORY))


async def _in_thread(work: Callable[[], object]) -> None:
    await asyncio.get_running_loop().run_in_executor(_THREADS, work)
