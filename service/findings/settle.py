"""The costly half of keeping a report, sorting and packing its rows, which another process can do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb

from service.findings.catalog import sync
from service.findings.records import FileReport
from service.findings.schema import SORTED_BY, TABLES
from service.findings.store import ReportContent

CONTENT = ("scans", "findings", "incidents")
"""The tables of `ReportContent`."""

_MEMORY = "512MB"
_ROW_GROUP = 20_000  # rows: an item of a large report is in one or two of them


def settle(report: FileReport, content: ReportContent, folder: Path) -> ReportContent:
    """Write what a report stands on into ``folder``, as the store has it; return those files.

    Raises:
        OSError, duckdb.Error: no room on the disk.
    """
    config: dict[str, Any] = {"memory_limit": _MEMORY, "threads": 1, "temp_directory": str(folder / "spill")}
    files = {table: folder / f"settled-{table}.parquet" for table in CONTENT}
    with duckdb.connect(config=config) as writer:
        for table, path in files.items():
            write_content(writer, table, report.report_id, getattr(content, table), path)
    return of_tables({table: [path] for table, path in files.items()}, settled=True)


def of_tables(files: Mapping[str, Sequence[Path]], *, settled: bool = False) -> ReportContent:
    """Return the content that consists of these files, by table."""
    return ReportContent(files["scans"], files["findings"], files["incidents"], settled)


def write_content(
    writer: duckdb.DuckDBPyConnection, table: str, report_id: int, files: Sequence[Path], path: Path
) -> None:
    """Write the rows of a report into one file; raises OSError and duckdb.Error."""
    chosen = ", ".join(column for column in TABLES[table] if column != "report_id")
    sql = f"SELECT CAST(? AS BIGINT) AS report_id, {chosen} FROM {source_of(table, files)}"  # noqa: S608 - our names
    write_sorted(writer, table, sql, [report_id], path)


def write_sorted(writer: duckdb.DuckDBPyConnection, table: str, sql: str, values: Sequence[object], path: Path) -> None:
    """Write what a query gives into one file, in the order of its table; raises OSError and duckdb.Error."""
    form = f"FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {_ROW_GROUP}"
    writer.execute(f"COPY ({sql} ORDER BY {SORTED_BY[table]}) TO {quoted(path)} ({form})", values)
    sync(path)


def source_of(table: str, files: Sequence[Path]) -> str:
    """Return what SQL reads the rows of Parquet files from; without files, from nothing of the same columns."""
    if not files:
        columns = ", ".join(f"CAST(NULL AS {of}) AS {name}" for name, of in TABLES[table].items())
        return f"(SELECT {columns} WHERE 1 = 0)"
    return f"read_parquet([{', '.join(map(quoted, files))}])"


def quoted(path: Path) -> str:
    """Return a path as DuckDB's SQL has it."""
    return "'" + str(path).replace("'", "''") + "'"
