"""What is known of an upload: a folder for each, whose ``job.json`` is replaced as a whole at every change of state."""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import structlog
from pydantic import BaseModel, ConfigDict, ValidationError

from service.findings.catalog import sync

JobState = Literal["waiting", "reading", "judging", "keeping", "done", "failed"]
OVER = ("done", "failed")

RECORD = "job.json"
SOURCE = "source"

_ID = re.compile(r"[0-9a-f]{16}")

log = structlog.get_logger("epc_sentinel.files")


class FileJob(BaseModel):
    """An upload. Numbers of events are 0 until the file has been read."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    job_id: str
    name: str  # as the caller says: hostile, perhaps
    size: int  # bytes
    sha256: str
    detector: str
    language: str
    created_us: int
    state: JobState = "waiting"
    bytes_read: int = 0  # unpacked
    events: int = 0
    judged: int = 0  # events
    error: str = ""  # one line for who sent the file
    report_id: int | None = None

    @property
    def over(self) -> bool:
        """Whether nothing more happens."""
        return self.state in OVER


class JobFolder:
    """The folders of all uploads."""

    def __init__(self, folder: Path) -> None:
        """Make the folder, and hold it until the process ends; raises OSError, if another process has it too."""
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._lock_file = (folder / ".lock").open("w")
        fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # two would take each other's files for leavings

    def new(self) -> tuple[str, Path]:
        """Return the id of a new upload and its folder, which a restart deletes while it has no record."""
        job_id = secrets.token_hex(8)
        path = self._folder / job_id
        path.mkdir()
        return job_id, path

    def path(self, job_id: str) -> Path:
        """Return the folder of an upload."""
        return self._folder / job_id

    def save(self, job: FileJob) -> None:
        """Write the record; raises OSError."""
        folder = self.path(job.job_id)
        scratch = folder / f"{RECORD}.tmp"
        with scratch.open("w", encoding="utf-8") as file:
            file.write(job.model_dump_json())
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(folder / RECORD)
        sync(folder)

    def load(self) -> Iterator[FileJob]:
        """Yield all uploads, the oldest first; what was not received whole is deleted.

        Nothing else is: a folder that has another name is somebody else's, and a record that cannot be read may be of
        another release.
        """
        found = []
        for folder in self._folder.iterdir():
            if not _ID.fullmatch(folder.name):
                continue
            try:
                found.append(FileJob.model_validate_json((folder / RECORD).read_bytes()))
            except FileNotFoundError:
                shutil.rmtree(folder, ignore_errors=True)
            except (OSError, ValidationError) as error:
                log.error(
                    "an upload is left alone: its record cannot be read", job=folder.name, reason=type(error).__name__
                )
        yield from sorted(found, key=lambda job: (job.created_us, job.job_id))

    def forget_work(self, job_id: str) -> None:
        """Delete all but the record of an upload."""
        for path in self.path(job_id).iterdir():
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            elif path.name != RECORD:
                path.unlink(missing_ok=True)

    def delete(self, job_id: str) -> None:
        """Delete an upload whole."""
        shutil.rmtree(self.path(job_id), ignore_errors=True)
