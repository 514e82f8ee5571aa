"""The findings store that several replicas share: PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import duckdb
import psycopg

from service.errors import StoreUnavailable
from service.findings.queries import Reading, report_row
from service.findings.records import FileReport
from service.findings.schema import TABLES
from service.findings.store import ReportContent

_SCHEMA_LOCK = 0x45504353  # one replica at a time makes the tables
_ROOM_LOCK = _SCHEMA_LOCK + 1
_CONNECT_S = 5
_CONNECTIONS = 8
_ROWS = 10_000  # read from Parquet at a time
_NAME = {table: f"epc_sentinel_{table}" for table in TABLES}
_KEYS = (
    "CREATE UNIQUE INDEX IF NOT EXISTS {reports}_id ON {reports} (report_id)",
    "CREATE INDEX IF NOT EXISTS {reports}_created ON {reports} (created_us)",
    # A code may be of any length, an entry of an index is not: items are found by a digest.
    "CREATE INDEX IF NOT EXISTS {scans}_item ON {scans} (report_id, md5(epc_code))",
    "CREATE INDEX IF NOT EXISTS {scans}_lot ON {scans} (report_id, lot_key)",
    "CREATE INDEX IF NOT EXISTS {findings}_row ON {findings} (report_id, number)",
    "CREATE INDEX IF NOT EXISTS {incidents}_row ON {incidents} (report_id, incident)",
)
_DAY_US = 86_400_000_000


class PostgresFindings(Reading):
    """A `FindingsStore` in the tables ``epc_sentinel_*`` of a database, which it makes if they are not there."""

    def __init__(self, url: str, *, max_bytes: int = 10 * 2**30, max_days: int = 400) -> None:
        """Connect, and make the tables. As `ParquetFindings`, but the oldest reports go one by one.

        Raises:
            StoreUnavailable: there is no such server, or it refuses.
        """
        self._url, self._max_bytes, self._max_days = url, max_bytes, max_days
        self._idle: list[psycopg.Connection[tuple[Any, ...]]] = []
        self._lock = threading.Lock()
        with self._connection() as connection:
            connection.execute("SELECT pg_advisory_xact_lock(%s)", [_SCHEMA_LOCK])
            for table, columns in TABLES.items():
                listed = ", ".join(f"{name} {_type(of)}" for name, of in columns.items())
                connection.execute(f"CREATE TABLE IF NOT EXISTS {_NAME[table]} ({listed})")
            for sql in _KEYS:
                connection.execute(sql.format_map(_NAME))

    def add(self, report: FileReport, content: ReportContent) -> bool:
        """See `FindingsStore.add`."""
        with self._connection() as connection:
            marks = ", ".join(["%s"] * len(TABLES["reports"]))
            sql = f"INSERT INTO {_NAME['reports']} VALUES ({marks}) ON CONFLICT DO NOTHING"  # noqa: S608 - our names
            if connection.execute(sql, report_row(report)).rowcount == 0:
                return False
            for table, files in (
                ("scans", content.scans),
                ("findings", content.findings),
                ("incidents", content.incidents),
            ):
                _load(connection, table, report.report_id, [str(file) for file in files])
        self._make_room(report.created_us)
        return True

    def close(self) -> None:
        """See `FindingsStore.close`."""
        with self._lock:
            for connection in self._idle:
                connection.close()
            self._idle.clear()

    def _rows(self, report_id: int | None, sql: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
        del report_id
        asked = sql.replace("%", "%%").replace("?", "%s").format_map(_NAME)
        with self._connection() as connection:
            return connection.execute(asked, values).fetchall()

    def _items_where(self, epc_codes: Sequence[str]) -> tuple[str, list[object]]:
        where, values = super()._items_where(epc_codes)
        digests = ", ".join(["md5(?)"] * len(epc_codes))
        return f"md5(epc_code) IN ({digests}) AND {where}", [*values, *values]

    def _make_room(self, now_us: int) -> None:
        """Let the oldest reports go while there are too many bytes, and those that are too old; not the newest."""
        with self._connection() as connection:
            connection.execute("SELECT pg_advisory_xact_lock(%s)", [_ROOM_LOCK])
            reports = _NAME["reports"]
            sql = f"SELECT report_id FROM {reports} WHERE created_us < %s"  # noqa: S608
            old = connection.execute(sql, [now_us - self._max_days * _DAY_US]).fetchall()
            gone = [report_id for (report_id,) in old]
            # Rows have their bytes back when the server has vacuumed, so what is left is reckoned by events.
            sizes = " + ".join(f"pg_total_relation_size('{name}')" for name in _NAME.values())
            total = int(connection.execute(f"SELECT {sizes}").fetchall()[0][0])
            if total > self._max_bytes:
                sql = f"SELECT report_id, events FROM {reports} ORDER BY created_us, report_id"  # noqa: S608
                rows = connection.execute(sql).fetchall()
                share = self._max_bytes / total * sum(events for _, events in rows)
                kept = sum(events for _, events in rows)
                for report_id, events in rows[:-1]:
                    if kept <= share:
                        break
                    kept -= events
                    gone.append(report_id)
            for name in _NAME.values() if gone else ():
                connection.execute(f"DELETE FROM {name} WHERE report_id = ANY(%s)", [gone])  # noqa: S608

    @contextmanager
    def _connection(self) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
        """Give a connection whose transaction ends with the block; raises StoreUnavailable for errors of the server."""
        with self._lock:
            connection = self._idle.pop() if self._idle else None
        try:
            if connection is None or connection.closed:
                connection = psycopg.connect(self._url, connect_timeout=_CONNECT_S)
            with connection.transaction():
                yield connection
        except psycopg.Error as error:
            if connection is not None:
                connection.close()
            text = str(error).strip().splitlines()
            raise StoreUnavailable(
                f"the findings in PostgreSQL cannot be used: {text[0] if text else 'gone'}"
            ) from None
        with self._lock:
            keep = len(self._idle) < _CONNECTIONS and not connection.closed
            if keep:
                self._idle.append(connection)
        if not keep:
            connection.close()


def _type(of: str) -> str:
    return 'TEXT COLLATE "C"' if of == "TEXT" else of  # in the order of letters' numbers, as DuckDB has it


def _load(connection: psycopg.Connection[tuple[Any, ...]], table: str, report_id: int, files: list[str]) -> None:
    """Copy the rows of Parquet files into a table."""
    if not files:
        return
    columns = [name for name in TABLES[table] if name != "report_id"]
    with duckdb.connect() as reader, connection.cursor() as cursor:
        rows = reader.execute(f"SELECT {', '.join(columns)} FROM read_parquet(?)", [files])  # noqa: S608
        copy = f"COPY {_NAME[table]} (report_id, {', '.join(columns)}) FROM STDIN"
        with cursor.copy(copy) as writer:
            while block := rows.fetchmany(_ROWS):
                for row in block:
                    writer.write_row((report_id, *row))
