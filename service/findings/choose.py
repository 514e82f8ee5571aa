"""A findings store by its URL: a folder, or a PostgreSQL server."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

from service.findings.parquet import ParquetFindings
from service.findings.records import FileReport
from service.findings.settle import settle
from service.findings.store import FindingsStore, ReportContent


def open_store(url: str, *, max_bytes: int, max_days: int) -> FindingsStore:
    """Return the store: a folder, or postgresql://USER:PASSWORD@HOST:PORT/DATABASE.

    Raises:
        StoreUnavailable: it cannot be used.
    """
    if _is_server(url):
        from service.findings.postgres import PostgresFindings  # noqa: PLC0415 - a server is the exception

        return PostgresFindings(url, max_bytes=max_bytes, max_days=max_days)
    return ParquetFindings(Path(url), max_bytes=max_bytes, max_days=max_days)


def preparer(url: str, *, max_bytes: int, max_days: int) -> Callable[[FileReport, ReportContent, Path], ReportContent]:
    """Return what does the costly half of `FindingsStore.add` in another process, and says what is to be added then.

    A server gets the report at once, and has it already when it is added. No second process may write into a folder of
    findings, so their files are made elsewhere: `settle`. What is returned raises StoreUnavailable (the server cannot
    be used), OSError and duckdb.Error (no room on the disk).
    """
    if not _is_server(url):
        return settle
    opened = cache(lambda: open_store(url, max_bytes=max_bytes, max_days=max_days))

    def add(report: FileReport, content: ReportContent, _folder: Path) -> ReportContent:
        opened().add(report, content)
        return content

    return add


def _is_server(url: str) -> bool:
    return url.startswith(("postgresql://", "postgres://"))
