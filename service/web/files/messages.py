"""What the service and the process that works on files say to each other, one JSON object a line.

The service sends its settings, then one upload after the other; the process tells how far each is, and how it ends.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from service.findings.records import FileReport
from service.findings.settle import CONTENT, of_tables
from service.findings.store import ReportContent
from service.web.files.jobs import JobState

LINE_BYTES = 16 * 2**20
"""Of a line at most; warnings may be long."""


class FileNews(BaseModel):
    """What is said of an upload. One of the last three is there when it is the last."""

    model_config = ConfigDict(extra="forbid")

    job_id: str
    state: JobState
    bytes_read: int = 0
    events: int = 0
    judged: int = 0
    found: FoundReport | None = None
    refused: str = ""  # why the file cannot be used, for who sent it
    later: str = ""  # why it has to be tried again: the store is away

    @property
    def is_last(self) -> bool:
        """Whether nothing more is said of the upload."""
        return bool(self.found or self.refused or self.later)


class FoundReport(BaseModel):
    """A report with what it stands on, ready for the store."""

    report: FileReport
    scans: list[Path]
    findings: list[Path]
    incidents: list[Path]
    settled: bool

    @classmethod
    def of(cls, report: FileReport, content: ReportContent) -> FoundReport:
        """Return the message."""
        files = {table: list(getattr(content, table)) for table in CONTENT}
        return cls(report=report, settled=content.settled, **files)

    @property
    def content(self) -> ReportContent:
        """What the store takes."""
        return of_tables({table: getattr(self, table) for table in CONTENT}, settled=self.settled)
