"""The findings store of one process: DuckDB over Parquet files, a file per day and table.

A report is written beside the day's other ones and counts from the moment that the catalog names it. Many of a day, and
those of days that are over, are put together as one file. No pyarrow: DuckDB reads and writes Parquet itself.
"""

from __future__ import annotations

import errno
import fcntl
import shutil
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from service.errors import StoreUnavailable
from service.findings.catalog import CATALOG, DAYS, Catalog, sync
from service.findings.queries import Reading, report_row
from service.findings.records import FileReport
from service.findings.schema import TABLES
from service.findings.settle import CONTENT, source_of, write_content, write_sorted
from service.findings.store import ReportContent

MOST_PARTS = 64
"""Reports of a day that lie in files of their own; more are put together."""

_GRACE_S = 60.0
"""Files that no longer count stay so long: a query that began before reads them."""

_MEMORY = "1GB"
_ONE_REPORT = "SELECT " + ", ".join(f"CAST(? AS {of}) AS {column}" for column, of in TABLES["reports"].items())


class ParquetFindings(Reading):
    """A `FindingsStore` in a folder that no other process writes."""

    def __init__(self, folder: Path, *, max_bytes: int = 10 * 2**30, max_days: int = 400) -> None:
        """Open the folder, and delete what a crash left in it.

        Args: ``max_bytes`` of all files together, ``max_days`` since a report was made; the oldest days go first, that
        of the newest report stays.

        Raises:
            StoreUnavailable: the folder cannot be written, is damaged, or another process has it.
        """
        self._folder, self._max_bytes, self._max_days = folder, max_bytes, max_days
        self._writing = threading.Lock()
        self._doomed: list[tuple[float, Path]] = []
        try:
            (folder / DAYS).mkdir(parents=True, exist_ok=True)
            self._lock_file = (folder / ".lock").open("w")
            self._take_lock()
            self._catalog = Catalog.read(folder)
            self._catalog.clean(folder)
        except OSError as error:
            raise StoreUnavailable(
                f"cannot write findings to {folder}: {error.strerror}; name another folder"
            ) from None
        self._open()

    def _open(self) -> None:
        spill = str(self._folder / ".spill")
        self._duckdb = duckdb.connect(
            config={"memory_limit": _MEMORY, "temp_directory": spill, "threads": 2, "enable_object_cache": "true"}
        )
        with suppress(FileNotFoundError):
            (self._folder / f"{CATALOG}.tmp").unlink()
        try:
            self._place_of = self._read_reports()  # (day, name) by report_id
            for day in sorted(self._catalog.days)[:-1]:
                self._put_together(day)
        except (OSError, duckdb.Error) as error:  # a file that the catalog names is gone, or damaged
            raise _unavailable(self._folder, error) from None

    def _take_lock(self) -> None:
        try:
            fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreUnavailable(
                f"{self._folder}: another process keeps its findings there; several replicas share a PostgreSQL store"
            ) from None

    def add(self, report: FileReport, content: ReportContent) -> bool:
        """See `FindingsStore.add`."""
        with self._writing:
            if report.report_id in self._place_of:
                return False
            day = _day_of(report.created_us)
            name = f"r{report.report_id:014x}"
            try:
                self._write_report(day, name, report, content)
                self._keep({**self._catalog.days, day: [*self._catalog.days.get(day, ()), name]})
                self._place_of[report.report_id] = day, name
                self._duckdb.cursor().execute(f"INSERT INTO reports {_ONE_REPORT}", report_row(report))
                self._tidy(day)
            except (OSError, duckdb.Error) as error:
                raise _unavailable(self._folder, error) from None
            return True

    def close(self) -> None:
        """See `FindingsStore.close`; a report that is being written is kept before another process may come."""
        with self._writing:
            self._duckdb.close()
            self._lock_file.close()

    def _rows(self, report_id: int | None, sql: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
        place = None if report_id is None else self._place_of.get(report_id)
        sources = {"reports": "reports"}
        for table in CONTENT:
            if f"{{{table}}}" in sql:
                files = [self._path(*place, table)] if place else self._all(table) if report_id is None else []
                sources[table] = source_of(table, files)
        try:
            return self._duckdb.cursor().execute(sql.format_map(sources), values).fetchall()
        except duckdb.Error as error:
            raise _unavailable(self._folder, error) from None

    def _all(self, table: str) -> list[Path]:
        catalog = self._catalog
        return [file for day in catalog.days for file in catalog.files(self._folder, day, table)]

    def _path(self, day: str, name: str, table: str) -> Path:
        return self._folder / DAYS / day / f"{name}-{table}.parquet"

    def _read_reports(self) -> dict[int, tuple[str, str]]:
        """Read the summaries of all reports into memory, where lists of them are made; return where each one lies."""
        columns = ", ".join(f"{name} {of}" for name, of in TABLES["reports"].items())
        self._duckdb.execute(f"CREATE TABLE reports ({columns})")
        found: dict[int, tuple[str, str]] = {}
        for day, names in self._catalog.days.items():
            for name in names:
                source = source_of("reports", [self._path(day, name, "reports")])
                sql = f"INSERT INTO reports SELECT {', '.join(TABLES['reports'])} FROM {source} RETURNING report_id"  # noqa: S608
                found |= {report_id: (day, name) for (report_id,) in self._duckdb.execute(sql).fetchall()}
        return found

    def _write_report(self, day: str, name: str, report: FileReport, content: ReportContent) -> None:
        (self._folder / DAYS / day).mkdir(exist_ok=True)
        cursor = self._duckdb.cursor()
        write_sorted(cursor, "reports", _ONE_REPORT, report_row(report), self._path(day, name, "reports"))
        for table in CONTENT:
            files, path = getattr(content, table), self._path(day, name, table)
            if content.settled:
                _move(files[0], path)
            else:
                write_content(cursor, table, report.report_id, files, path)
        sync(self._folder / DAYS / day)
        sync(self._folder / DAYS)

    def _tidy(self, today: str) -> None:
        """Put together what is many, and make room; under the lock."""
        now_s = time.monotonic()
        for at_s, path in self._doomed:
            if now_s - at_s >= _GRACE_S:
                path.unlink(missing_ok=True)
        self._doomed = [one for one in self._doomed if now_s - one[0] < _GRACE_S]
        for day in list(self._catalog.days):
            if len(self._catalog.days[day]) > (MOST_PARTS if day == today else 1):
                self._put_together(day)
        self._make_room(today)

    def _put_together(self, day: str) -> None:
        """Make one file per table of those of a day."""
        names = self._catalog.days[day]
        if len(names) < 2:
            return
        whole = f"c{time.time_ns():x}"
        cursor = self._duckdb.cursor()
        for table in TABLES:
            source = source_of(table, self._catalog.files(self._folder, day, table))
            write_sorted(cursor, table, f"SELECT * FROM {source}", [], self._path(day, whole, table))  # noqa: S608
        sync(self._folder / DAYS / day)
        self._keep({**self._catalog.days, day: [whole]})
        for report_id, (of_day, _) in self._place_of.items():
            if of_day == day:
                self._place_of[report_id] = day, whole
        self._doom([self._path(day, name, table) for name in names for table in TABLES])

    def _make_room(self, today: str) -> None:
        """Let the oldest days go while all together have too many bytes, and those that are too old."""
        oldest = _day_before(today, self._max_days)
        sizes = {day: self._bytes(day) for day in sorted(self._catalog.days)}
        total = sum(sizes.values())
        gone = []
        for day in list(sizes)[:-1]:
            if total <= self._max_bytes and day >= oldest:
                break
            total -= sizes[day]
            gone.append(day)
        if not gone:
            return
        files = [file for day in gone for table in TABLES for file in self._catalog.files(self._folder, day, table)]
        self._keep({day: names for day, names in self._catalog.days.items() if day not in gone})
        kept = {one: place for one, place in self._place_of.items() if place[0] not in gone}
        self._duckdb.cursor().execute("DELETE FROM reports WHERE report_id NOT IN (SELECT unnest(?))", [list(kept)])
        self._place_of = kept
        self._doom(files)

    def _keep(self, days: dict[str, list[str]]) -> None:
        """Have these files count from now on, if the disk keeps that; else, by OSError, those that did."""
        catalog = Catalog(days=days)
        catalog.write(self._folder)
        self._catalog = catalog

    def _bytes(self, day: str) -> int:
        return sum(file.stat().st_size for table in TABLES for file in self._catalog.files(self._folder, day, table))

    def _doom(self, files: Sequence[Path]) -> None:
        now_s = time.monotonic()
        self._doomed += [(now_s, file) for file in files]


def _move(file: Path, path: Path) -> None:
    """Put a file in its place, from another file system too; raises OSError."""
    try:
        file.replace(path)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        shutil.copyfile(file, path)
        sync(path)


def _day_of(time_us: int) -> str:
    return datetime.fromtimestamp(time_us / 1e6, UTC).strftime("%Y-%m-%d")


def _day_before(day: str, days: int) -> str:
    return (datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC) - timedelta(days=days)).strftime("%Y-%m-%d")


def _unavailable(folder: Path, error: Exception) -> StoreUnavailable:
    """Return what callers read of an error of the disk or of DuckDB; the first line says it."""
    return StoreUnavailable(f"the findings in {folder} cannot be used: {str(error).splitlines()[0]}")
