"""The contract of a findings store. Its calls block; whoever serves many at a time makes them in threads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from service.findings.records import (
    FileReport,
    FindingFilter,
    FindingRow,
    FlowScans,
    GroupCount,
    Grouping,
    IncidentRow,
    Listing,
    LotItem,
    ReportFilter,
    ScanRow,
    Window,
)


@dataclass(frozen=True, slots=True)
class ReportContent:
    """What a report stands on: Parquet files with the columns of `schema`, but for ``report_id``, in any order."""

    scans: Sequence[Path] = ()
    findings: Sequence[Path] = ()
    incidents: Sequence[Path] = ()
    settled: bool = False  # each is one file as `settle` writes it: a store may take it away as its own


class FindingsStore(Protocol):
    """Keeps reports, their findings, incidents and events.

    Every call but `close` may raise StoreUnavailable: no disk, no server.
    """

    def add(self, report: FileReport, content: ReportContent) -> bool:
        """Keep a report with all that it stands on, whole or not at all; return whether it is a new one.

        A report that is there already, by its id, stays as it is. The oldest days go where there is no room.
        """

    def reports(self, window: Window, which: ReportFilter = ...) -> Listing[FileReport]:
        """Return reports, the newest first."""

    def report(self, report_id: int) -> FileReport | None:
        """Return a report, None if there is none of that id."""

    def findings(self, report_id: int, window: Window, which: FindingFilter = ...) -> Listing[FindingRow]:
        """Return flagged events of a report."""

    def incidents(self, report_id: int, window: Window, kind: str = "") -> Listing[IncidentRow]:
        """Return incidents of a report, those of the most items first."""

    def groups(self, report_id: int, by: Grouping) -> list[GroupCount]:
        """Return how many findings each group has: days in their order, others the most first."""

    def items(self, report_id: int, epc_codes: Sequence[str]) -> list[list[ScanRow]]:
        """Return the events of each item in the order of time, with what is flagged; none where the report has none."""

    def mates(self, report_id: int, epc_code: str, limit: int) -> list[LotItem]:
        """Return other items of the same lot, those with the most findings first; none of a malformed code."""

    def flow_scans(self, report_id: int) -> FlowScans:
        """Return all scans of a report, for what flows."""

    def close(self) -> None:
        """Let go of files and connections."""
