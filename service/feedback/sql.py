"""Verdicts and audit sample in SQL: an SQLite file by default, PostgreSQL for gateways on several machines.

SQLite comes with Python, appends are whole transactions, and workers, web and retraining read the file while a gateway
writes it (WAL). Lines of JSON would need all of them read before one can be appended once, Parquet a file per verdict,
and DuckDB lets one process in. Not for a network file system, where SQLite's locks cannot be trusted: PostgreSQL is.
"""

# ruff: noqa: S608 - what is put into statements are names of columns and the like, all of them written here

from __future__ import annotations

import re
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from service.errors import CommandError, VerdictsUnavailable
from service.feedback.store import SampledEvent, SampledFile, VerdictStore
from service.feedback.tables import IDENTITY, LABEL, SAMPLE, SCHEMA, WAITING, label_of, sampled_of
from service.feedback.verdicts import EventLabel, LabelVerdict, derived_id

FILE = "verdicts.sqlite"

_BUSY_S = 10.0
"""How long a write waits for one of another process; each takes milliseconds."""


class SqlVerdicts(VerdictStore):
    """See `service.feedback.store.VerdictStore`; one connection, made anew after it failed."""

    def __init__(self, connect: Callable[[], Any], errors: tuple[type[Exception], ...], *, postgresql: bool) -> None:
        """Make the tables.

        Args:
            connect: makes a connection of the DB-API, in autocommit.
            errors: what it and its connections raise.
            postgresql: it is one of PostgreSQL, not of SQLite.

        Raises:
            VerdictsUnavailable: there is no connection.
        """
        self._connect, self._errors, self._postgresql = connect, errors, postgresql
        self._lock = threading.RLock()
        self._connection: Any = None
        serial = "BIGSERIAL PRIMARY KEY" if postgresql else "INTEGER PRIMARY KEY AUTOINCREMENT"
        with self._transaction():
            for statement in filter(str.strip, SCHEMA.format(serial=serial).split(";")):
                self._run(statement)

    def append(self, labels: Sequence[EventLabel]) -> tuple[list[EventLabel], int]:
        """See `VerdictStore.append`."""
        with self._transaction():
            before = self._last_sequence()
            kept = [self._appended(label) for label in labels]
            return kept, sum(label.sequence > before for label in {label.label_id: label for label in kept}.values())

    def labels(self, *, event_ids: Collection[int] = (), after: int = 0, limit: int | None = None) -> list[EventLabel]:
        """See `VerdictStore.labels`."""
        which = f" AND event_id IN ({', '.join('?' * len(event_ids))})" if event_ids else ""
        rows = self._rows(
            f"SELECT {', '.join(LABEL)}, sequence FROM labels WHERE sequence > ?{which} ORDER BY sequence"
            f"{'' if limit is None else f' LIMIT {limit:d}'}",
            (after, *event_ids),
        )
        return [label_of(row) for row in rows]

    def add_sample(self, events: Sequence[SampledEvent]) -> None:
        """See `VerdictStore.add_sample`."""
        # The larger probability: of an event that a challenger judged, too, it is that of being drawn for either.
        larger = (
            "CASE WHEN excluded.probability > sample.probability THEN excluded.probability ELSE sample.probability END"
        )
        values = {name: f"excluded.{name}" for name in SAMPLE if name not in IDENTITY} | {"probability": larger}
        changed = ", ".join(f"{name} = {value}" for name, value in values.items())
        self._add("sample", f"DO UPDATE SET {changed}", events)

    def add_shadow(self, events: Sequence[SampledEvent]) -> None:
        """See `VerdictStore.add_shadow`."""
        self._add("shadow", "DO NOTHING", events)

    def _add(self, table: str, if_there: str, events: Sequence[SampledEvent]) -> None:
        if not events:
            return
        statement = (
            f"INSERT INTO {table} ({', '.join(SAMPLE)}) VALUES ({', '.join('?' * len(SAMPLE))})"
            f" ON CONFLICT ({', '.join(IDENTITY)}) {if_there}"
        )
        with self._transaction():
            for event in events:
                *plain, scores, flags = event
                values = [int(value) if isinstance(value, bool) else value for value in (*plain, *scores, *flags)]
                self._run(statement, values)

    def sample(self, model_version: str = "", *, file_ids: Collection[int] | None = None) -> list[SampledEvent]:
        """See `VerdictStore.sample`."""
        return self._judged("sample", model_version, file_ids)

    def shadow(self, model_version: str, *, file_ids: Collection[int] | None = None) -> list[SampledEvent]:
        """See `VerdictStore.shadow`."""
        return self._judged("shadow", model_version, file_ids)

    def _judged(self, table: str, model_version: str, file_ids: Collection[int] | None) -> list[SampledEvent]:
        which, values = "WHERE ? IN ('', model_version)", [model_version, *(file_ids or ())]
        if file_ids is not None:
            which += f" AND file_id IN ({', '.join('?' * len(file_ids))})"
        rows = self._rows(f"SELECT {', '.join(SAMPLE)} FROM {table} {which} ORDER BY sequence", values)
        return [sampled_of(row) for row in rows]

    def sampled_files(self, model_version: str = "") -> list[SampledFile]:
        """See `VerdictStore.sampled_files`."""
        judged = ", ".join(SampledFile._fields[:-1])
        rows = self._rows(
            f"SELECT {judged}, MAX(judged_at_us) FROM sample WHERE ? IN ('', model_version) GROUP BY {judged}",
            (model_version,),
        )
        return [SampledFile(method, version, bool(causal), *file) for method, version, causal, *file in rows]

    def waiting(self, who: str, limit: int) -> tuple[list[SampledEvent], int]:
        """See `VerdictStore.waiting`."""
        whose = (LabelVerdict.WITHDRAWN.value, who)
        rows = self._rows(f"SELECT {', '.join(SAMPLE)} {WAITING} ORDER BY sequence LIMIT ?", (*whose, limit))
        [(count,)] = self._rows(f"SELECT COUNT(*) {WAITING}", whose)
        return [sampled_of(row) for row in rows], int(count)

    def state(self) -> str:
        """See `VerdictStore.state`."""
        return str(self._rows("SELECT (SELECT MAX(sequence) FROM labels), COUNT(*), MAX(judged_at_us) FROM sample", ()))

    def close(self) -> None:
        """See `VerdictStore.close`."""
        with self._lock:
            self._drop()

    def _appended(self, label: EventLabel) -> EventLabel:
        """Append a label unless it is there; return the one that is there."""
        ours = self._rows(
            f"SELECT {', '.join(LABEL)}, sequence FROM labels WHERE event_id = ? AND file_id = ? AND kind = ?"
            " AND who = ? ORDER BY labelled_at_us DESC, sequence DESC LIMIT 1",
            (label.event_id, label.file_id, label.kind, label.who),
        )
        last = label_of(ours[0]) if ours else None
        if not label.label_id and last is not None and last.says_the_same(label):
            return last
        named = self._filled(label._replace(label_id=label.label_id or derived_id(label, last)))
        values = [int(value) if isinstance(value, bool) else value for value in named[:-1]]
        self._run(
            f"INSERT INTO labels ({', '.join(LABEL)}) VALUES ({', '.join('?' * len(LABEL))})"
            " ON CONFLICT (label_id) DO NOTHING",
            values,
        )
        [row] = self._rows(f"SELECT {', '.join(LABEL)}, sequence FROM labels WHERE label_id = ?", (named.label_id,))
        return label_of(row)

    def _filled(self, label: EventLabel) -> EventLabel:
        """Return the label with what the audit sample has of its event, where the label does not say it."""
        if label.score is not None:
            return label
        found = self._rows(
            f'SELECT epc_code, "{label.kind}", "{label.kind}Flag", model_version FROM sample'
            " WHERE event_id = ? AND file_id = ? ORDER BY judged_at_us DESC LIMIT 1",
            (label.event_id, label.file_id),
        )
        if not found:
            return label
        code, score, flagged, version = found[0]
        return label._replace(
            epc_code=label.epc_code or code, score=score, flagged=bool(flagged), model_version=version
        )

    def _last_sequence(self) -> int:
        return int(self._rows("SELECT COALESCE(MAX(sequence), 0) FROM labels", ())[0][0])

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Do what is in the block as a whole; writers take turns, so that no reader misses an earlier number."""
        with self._lock:
            self._run("BEGIN" if self._postgresql else "BEGIN IMMEDIATE")
            try:
                if self._postgresql:
                    self._run("SELECT pg_advisory_xact_lock(7305419)")
                yield
            except BaseException:
                with suppress(VerdictsUnavailable):
                    self._run("ROLLBACK")
                raise
            self._run("COMMIT")

    def _rows(self, statement: str, values: Sequence[object]) -> list[Any]:
        with self._lock, self._mapped():
            return list(self._cursor(statement, values).fetchall())

    def _run(self, statement: str, values: Sequence[object] = ()) -> None:
        with self._lock, self._mapped():
            self._cursor(statement, values)

    def _cursor(self, statement: str, values: Sequence[object]) -> Any:  # noqa: ANN401 - of either library
        if self._connection is None:
            self._connection = self._connect()
        return self._connection.execute(statement.replace("?", "%s") if self._postgresql else statement, values)

    @contextmanager
    def _mapped(self) -> Iterator[None]:
        """Turn errors of the library into ours; a connection that failed is not used again."""
        try:
            yield
        except self._errors as error:
            self._drop()
            reason = " ".join(re.sub(r"password=\S+", "", str(error)).split())
            raise VerdictsUnavailable(f"the verdicts cannot be used now: {type(error).__name__} ({reason})") from None

    def _drop(self) -> None:
        if self._connection is not None:
            with suppress(*self._errors):
                self._connection.close()
        self._connection = None


def open_verdicts(where: str) -> SqlVerdicts:
    """Return the verdicts of a folder, or of the database that a URL ``postgresql://..`` (or postgres://) names.

    Raises:
        CommandError: the folder cannot be written, the database not be reached, or the extra is not installed.
    """
    is_database = where.startswith(("postgresql://", "postgres://"))
    if "://" in where and not is_database:  # no folder of that name, with the password in it
        raise CommandError(f"no verdicts are kept in a {where.partition(':')[0]}: name a folder or postgresql://..")
    try:
        return _postgresql(where) if is_database else _sqlite(Path(where))
    except (VerdictsUnavailable, OSError) as error:
        what = "the database" if "://" in where else where
        why = error.strerror if isinstance(error, OSError) else error
        raise CommandError(
            f"cannot keep verdicts in {what}: {why}; name a writable folder or a database with --verdicts"
        ) from None


def _sqlite(folder: Path) -> SqlVerdicts:
    folder.mkdir(parents=True, exist_ok=True)

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(folder / FILE, _BUSY_S, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")  # an answered Label survives a loss of power
        return connection

    return SqlVerdicts(connect, (sqlite3.Error,), postgresql=False)


def _postgresql(url: str) -> SqlVerdicts:
    try:
        import psycopg  # noqa: PLC0415 - only here, and an extra
    except ImportError:
        raise CommandError("verdicts in PostgreSQL need the extra 'web': pip install 'epc-sentinel[web]'") from None
    return SqlVerdicts(
        lambda: psycopg.connect(url, autocommit=True, connect_timeout=5), (psycopg.Error,), postgresql=True
    )


def now_us() -> int:
    """Return the time as labels have it."""
    return time.time_ns() // 1_000
