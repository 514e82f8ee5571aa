"""What is known of an upload: a folder for each, whose ``job.json`` is replaced as a whole at every change of state."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from service.findings.catalog import sync

JobState = Literal["waiting", "reading", "judging", "keeping", "done", "failed"]
OVER = ("done", "failed")

RECORD = "job.json"
SOURCE = "source"


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
        """Make the folder; raises OSError."""
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

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
        """Yield all uploads, the oldest first; what was not received whole is deleted."""
        found = []
        for folder in self._folder.iterdir():
            try:
                found.append(FileJob.model_validate_json((folder / RECORD).read_bytes()))
            except (OSError, ValidationError):
                shutil.rmtree(folder, ignore_errors=True)
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
