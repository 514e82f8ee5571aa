"""One upload from its file to what the store takes; begun again after a restart, it goes on where it was."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import structlog

from service.events.vocabulary import KINDS
from service.findings.records import FileReport
from service.findings.schema import report_id
from service.findings.settle import CONTENT, of_tables
from service.findings.store import ReportContent
from service.runtime.tasks import together
from service.web.files.jobs import SOURCE, FileJob, JobState
from service.web.files.messages import FileNews, FoundReport
from service.web.files.pieces import PieceVerdict, judged_before, keep, path_of, request_of
from service.web.files.staging import Piece, Staged, Staging
from service.web.judge import PATIENT_S, GatewayJudge
from service.web.problems import Problem

PIECES_AT_ONCE = 2
"""Of an upload: while the gateway judges one, the next is prepared."""

JUDGED_AT_ONCE = 1
"""Pieces of all uploads that the gateway has: its other callers wait behind one at most."""

_THREADS = ThreadPoolExecutor(3, thread_name_prefix="files")
"""Parsing, sorting, writing: progress is told meanwhile."""

_PASSING = {429, 502, 503, 504}
_FIRST_WAIT_S, _MOST_WAIT_S = 1.0, 30.0
_FALLBACK = "rule-based-fallback"
_ROUNDS = 3

_T = TypeVar("_T")

log = structlog.get_logger("epc_sentinel.files")


@dataclass(frozen=True, slots=True)
class Worker:
    """Works on uploads."""

    uploads: Path
    stage_of: Callable[[Path], Staging]  # by the folder of an upload
    judge: GatewayJudge
    prepare: Callable[[FileReport, ReportContent, Path], ReportContent]  # of the store, in a folder
    tell: Callable[[FileNews], None]  # called after every step
    turn: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(JUDGED_AT_ONCE))

    async def run(self, job: FileJob) -> None:
        """Bring an upload to its report, and tell it.

        Raises:
            CommandError: the file cannot be used, or the store is away.
            Problem: the gateway refuses its events.
            OSError, duckdb.Error: no room on the disk.
        """
        folder = self.uploads / job.job_id
        stage = self.stage_of(folder)
        self._enter(job, "reading")

        def on_bytes(count: int) -> None:
            job.bytes_read = count
            loop.call_soon_threadsafe(self.tell, self.told(job))

        loop = asyncio.get_running_loop()
        staged = await _off_loop(stage.read, folder / SOURCE, job.name, on_bytes)
        job.events = staged.events
        self._enter(job, "judging")
        judged = await self._judge_all(job, stage, staged)
        self._enter(job, "keeping")
        report = _summary(job, staged, judged)
        pieces = range(len(staged.pieces))
        content = of_tables({table: [path_of(folder, at, table) for at in pieces] for table in CONTENT})
        content = await _off_loop(self.prepare, report, content, folder)
        self.tell(self.told(job).model_copy(update={"found": FoundReport.of(report, content)}))

    @staticmethod
    def told(job: FileJob) -> FileNews:
        """Return how far an upload is."""
        names = ("job_id", "state", "bytes_read", "events", "judged")
        return FileNews(**{name: getattr(job, name) for name in names})

    def _enter(self, job: FileJob, state: JobState) -> None:
        job.state = state
        self.tell(self.told(job))

    async def _judge_all(self, job: FileJob, stage: Staging, staged: Staged) -> list[PieceVerdict]:
        """Judge the pieces that are not done; where the model changed meanwhile, the older ones again."""
        for _ in range(_ROUNDS):
            job.judged = 0
            turn = asyncio.Semaphore(PIECES_AT_ONCE)

            async def one(number: int, piece: Piece, turn: asyncio.Semaphore = turn) -> PieceVerdict:
                async with turn:
                    judged = judged_before(stage.folder, number) or await self._judge(job, stage, staged, number)
                job.judged += piece.events
                self.tell(self.told(job))
                return judged

            done = await together(one(number, piece) for number, piece in enumerate(staged.pieces))
            newest = {judged.model_version for judged in done if judged.method != _FALLBACK}
            if len(newest) < 2:
                return done
            for number, judged in enumerate(done):
                if judged.model_version != done[-1].model_version:
                    (stage.folder / f"{number:06d}.json").unlink(missing_ok=True)
        return done

    async def _judge(self, job: FileJob, stage: Staging, staged: Staged, number: int) -> PieceVerdict:
        columns = await _off_loop(stage.events_of, staged.pieces[number])
        request = await _off_loop(request_of, columns, job.detector)
        wait_s = _FIRST_WAIT_S
        while True:
            try:
                async with self.turn:
                    answer = await self.judge.analyze(request, job.language, PATIENT_S)
                break
            except Problem as problem:
                if problem.status not in _PASSING:
                    raise
                log.warning("the gateway is away or busy", job=job.job_id, status=problem.status, wait_s=wait_s)
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, _MOST_WAIT_S)
        return await _off_loop(keep, stage.folder, number, columns, answer, staged.places)


async def _off_loop(work: Callable[..., _T], *arguments: Any) -> _T:  # noqa: ANN401 - those of the work
    return await asyncio.get_running_loop().run_in_executor(_THREADS, work, *arguments)


def _summary(job: FileJob, staged: Staged, judged: list[PieceVerdict]) -> FileReport:
    counts: Counter[str] = Counter()
    for one in judged:
        counts.update(one.counts)
    methods = [one.method for one in judged]
    versions = dict.fromkeys(one.model_version for one in judged if one.model_version)
    warnings = dict.fromkeys([*staged.warnings, *(one.warning for one in judged if one.warning)])
    version = " ".join(versions)
    return FileReport(
        report_id=report_id(job.name, job.detector, job.sha256, version),
        file_name=job.name,
        file_id=staged.file_id,
        detector=job.detector,
        method=_FALLBACK if _FALLBACK in methods else methods[0],
        model_version=version,
        language=job.language,
        content_sha256=job.sha256,
        created_us=job.created_us,
        events=staged.events,
        items=staged.items,
        flagged=sum(one.flagged for one in judged),
        incidents=sum(one.incidents for one in judged),
        counts={kind: counts[kind] for kind in KINDS},
        first_us=staged.first_us,
        last_us=staged.last_us,
        warning=" ".join(warnings),
    )
