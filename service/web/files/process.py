"""The process that works on files: ``python -m service.web.files.process``, begun by `service.web.files.helper`.

It has an interpreter of its own, and a lower priority: while files are parsed, sorted and written, pages are served.
It ends with the service, by the end of its input.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import IO

import duckdb
import structlog

from service.client.access import access_by_files
from service.client.retries import retried
from service.errors import CommandError, StoreUnavailable
from service.events.zones import TimeZones
from service.findings.choose import preparer
from service.monitoring import logs
from service.rawfiles.refused import UnusableFile
from service.web.files.jobs import FileJob
from service.web.files.messages import FileNews
from service.web.files.refused import Refused
from service.web.files.staging import Staging
from service.web.files.worker import Worker
from service.web.judge import GatewayJudge
from service.web.oldpaths.aliases import Aliases
from service.web.pages.texts import sayer
from service.web.problems import Problem
from service.web.settings import WebSettings

NICENESS = 10
"""Beyond that of the pages: where cores are scarce, it gets a tenth of what they get."""

log = structlog.get_logger("epc_sentinel.files")


def main() -> None:
    """Work until the input ends."""
    os.setpgid(0, 0)  # Ctrl-C in a terminal is the service's business; in a session of its own nice would be void
    os.nice(NICENESS)
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints is no message
    if not (line := sys.stdin.readline()):
        return
    settings = WebSettings.model_validate_json(line)
    logs.configure(settings.log_format, settings.log_level)
    lines: SimpleQueue[str] = SimpleQueue()
    threading.Thread(target=_read, args=[lines], daemon=True).start()  # first of all: it ends the process, if need be
    alone = _alone(settings.uploads)
    asyncio.run(_work(settings, lines, out))
    alone.close()


def _read(lines: SimpleQueue[str]) -> None:
    for line in sys.stdin:
        lines.put(line)
    os._exit(0)  # in the middle of anything: what is not on disk yet is done again


def _alone(uploads: Path) -> IO[str]:
    """Wait for the process of a service that was killed: its last files are written, then it sees its input's end."""
    lock = (uploads / ".work").open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


async def _work(settings: WebSettings, lines: SimpleQueue[str], out: IO[str]) -> None:
    access = access_by_files(settings.ca_file, settings.cert_file, settings.key_file, settings.token_file)
    channel = access.aio_channel(settings.target, [("grpc.max_receive_message_length", -1), *retried()])
    stage = partial(
        Staging,
        aliases=Aliases.read(settings.aliases),
        zones=TimeZones(settings.time_zone),
        most_bytes=settings.max_file_bytes,
        piece_events=settings.piece_events,
    )

    def tell(told: FileNews) -> None:
        try:
            out.write(told.model_dump_json() + "\n")
            out.flush()
        except BrokenPipeError:  # nobody reads it any more
            os._exit(0)

    prepare = preparer(settings.store, max_bytes=settings.store_max_bytes, max_days=settings.store_max_days)
    worker = Worker(settings.uploads, stage, GatewayJudge(channel, access), prepare, tell)
    tasks: set[asyncio.Task[None]] = set()
    while True:
        job = FileJob.model_validate_json(await asyncio.to_thread(lines.get))
        task = asyncio.create_task(_one(worker, job, tell))
        tasks.add(task)
        task.add_done_callback(tasks.discard)


async def _one(worker: Worker, job: FileJob, tell: Callable[[FileNews], None]) -> None:
    say = sayer(job.language)
    try:
        await worker.run(job)
        return
    except StoreUnavailable as error:
        tell(worker.told(job).model_copy(update={"later": str(error)}))
        return
    except UnusableFile as error:
        why = error.told(say)
    except CommandError as error:
        why = str(error)
    except Problem as error:
        why = error.detail
    except (OSError, duckdb.Error) as error:
        log.error("disk", job=job.job_id, reason=str(error))
        why = say(Refused.NO_ROOM)
    except Exception as error:
        log.error("unforeseen", job=job.job_id, error=type(error).__name__, exc_info=error)
        why = say(Refused.INTERNAL)
    tell(worker.told(job).model_copy(update={"refused": why or say(Refused.INTERNAL)}))


if __name__ == "__main__":
    main()
