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
from service.events.vocabulary import KINDS
from service.feedback.store import SampledEvent, SampledFile, VerdictStore
from service.feedback.verdicts import EventLabel, LabelVerdict, derived_id

FILE = "verdicts.sqlite"

_BUSY_S = 10.0
"""How long a write waits for one of another process; each takes milliseconds."""

_FIVE_SCORES, _FIVE_FLAGS = [f'"{kind}"' for kind in KINDS], [f'"{kind}Flag"' for kind in KINDS]
_LABEL = EventLabel._fields[:-1]
_SAMPLE = [*SampledEvent._fields[:-2], *_FIVE_SCORES, *_FIVE_FLAGS]
_IDENTITY = ("file_id", "event_id", "causal", "method", "model_version")

_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS labels (
  sequence {{serial}}, label_id TEXT NOT NULL UNIQUE, event_id BIGINT NOT NULL, file_id BIGINT NOT NULL,
  epc_code TEXT NOT NULL, kind TEXT NOT NULL, verdict TEXT NOT NULL, who TEXT NOT NULL, sent_by TEXT NOT NULL,
  labelled_at_us BIGINT NOT NULL, note TEXT NOT NULL, score DOUBLE PRECISION, flagged INTEGER,
  model_version TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS labels_of_event ON labels (event_id);
CREATE TABLE IF NOT EXISTS sample (
  sequence {{serial}}, event_id BIGINT NOT NULL, file_id BIGINT NOT NULL, epc_code TEXT NOT NULL,
  location_id BIGINT NOT NULL, business_step TEXT NOT NULL, event_type TEXT NOT NULL, event_time_us BIGINT NOT NULL,
  causal INTEGER NOT NULL, method TEXT NOT NULL, model_version TEXT NOT NULL, judged_at_us BIGINT NOT NULL,
  probability DOUBLE PRECISION NOT NULL, {", ".join(f"{name} DOUBLE PRECISION NOT NULL" for name in _FIVE_SCORES)},
  {", ".join(f"{name} INTEGER NOT NULL" for name in _FIVE_FLAGS)}, UNIQUE ({", ".join(_IDENTITY)}));
CREATE INDEX IF NOT EXISTS sample_of_file ON sample ({", ".join(SampledFile._fields)});
CREATE INDEX IF NOT EXISTS sample_by_time ON sample (judged_at_us);
"""  # fmt: skip

_WAITING = """
FROM sample s WHERE sequence = (SELECT MIN(sequence) FROM sample WHERE file_id = s.file_id AND event_id = s.event_id)
AND NOT EXISTS (SELECT 1 FROM labels said
  WHERE said.event_id = s.event_id AND said.file_id = s.file_id AND said.verdict <> ? AND ? IN ('', said.who)
  AND NOT EXISTS (SELECT 1 FROM labels later WHERE later.event_id = said.event_id AND later.file_id = said.file_id
    AND later.kind = said.kind AND later.who = said.who
    AND (later.labelled_at_us, later.sequence) > (said.labelled_at_us, said.sequence)))
"""
"""Events of which no last word of a person (`verdicts.latest`) stands."""


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
            for statement in filter(str.strip, _SCHEMA.format(serial=serial).split(";")):
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
            f"SELECT {', '.join(_LABEL)}, sequence FROM labels WHERE sequence > ?{which} ORDER BY sequence"
            f"{'' if limit is None else f' LIMIT {limit:d}'}",
            (after, *event_ids),
        )
        return [_label(row) for row in rows]

    def add_sample(self, events: Sequence[SampledEvent]) -> None:
        """See `VerdictStore.add_sample`."""
        changed = ", ".join(f"{name} = excluded.{name}" for name in _SAMPLE if name not in _IDENTITY)
        statement = (
            f"INSERT INTO sample ({', '.join(_SAMPLE)}) VALUES ({', '.join('?' * len(_SAMPLE))})"
            f" ON CONFLICT ({', '.join(_IDENTITY)}) DO UPDATE SET {changed}"
        )
        with self._transaction():
            for event in events:
                *plain, scores, flags = event
                values = [int(value) if isinstance(value, bool) else value for value in (*plain, *scores, *flags)]
                self._run(statement, values)

    def sample(self, model_version: str = "", *, file_ids: Collection[int] | None = None) -> list[SampledEvent]:
        """See `VerdictStore.sample`."""
        which, values = "WHERE ? IN ('', model_version)", [model_version, *(file_ids or ())]
        if file_ids is not None:
            which += f" AND file_id IN ({', '.join('?' * len(file_ids))})"
        rows = self._rows(f"SELECT {', '.join(_SAMPLE)} FROM sample {which} ORDER BY sequence", values)
        return [_sampled(row) for row in rows]

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
        rows = self._rows(f"SELECT {', '.join(_SAMPLE)} {_WAITING} ORDER BY sequence LIMIT ?", (*whose, limit))
        [(count,)] = self._rows(f"SELECT COUNT(*) {_WAITING}", whose)
        return [_sampled(row) for row in rows], int(count)

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
            f"SELECT {', '.join(_LABEL)}, sequence FROM labels WHERE event_id = ? AND file_id = ? AND kind = ?"
            " AND who = ? ORDER BY labelled_at_us DESC, sequence DESC LIMIT 1",
            (label.event_id, label.file_id, label.kind, label.who),
        )
        last = _label(ours[0]) if ours else None
        if not label.label_id and last is not None and last.says_the_same(label):
            return last
        named = self._filled(label._replace(label_id=label.label_id or derived_id(label, last)))
        values = [int(value) if isinstance(value, bool) else value for value in named[:-1]]
        self._run(
            f"INSERT INTO labels ({', '.join(_LABEL)}) VALUES ({', '.join('?' * len(_LABEL))})"
            " ON CONFLICT (label_id) DO NOTHING",
            values,
        )
        [row] = self._rows(f"SELECT {', '.join(_LABEL)}, sequence FROM labels WHERE label_id = ?", (named.label_id,))
        return _label(row)

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
    """Return the verdicts of a folder, or of the database that a URL ``postgresql://..`` names.

    Raises:
        CommandError: the folder cannot be written, the database not be reached, or the extra is not installed.
    """
    try:
        return _postgresql(where) if where.startswith("postgresql://") else _sqlite(Path(where))
    except (VerdictsUnavailable, OSError) as error:
        what = "the database" if "://" in where else where
        raise CommandError(
            f"cannot keep verdicts in {what}: {error}; name a writable folder or a database with --verdicts"
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


def _label(row: Sequence[Any]) -> EventLabel:
    label = EventLabel(*row)
    flagged = None if label.flagged is None else bool(label.flagged)
    return label._replace(verdict=LabelVerdict(label.verdict), flagged=flagged)


def _sampled(row: Sequence[Any]) -> SampledEvent:
    event = SampledEvent._make((*row[:-10], tuple(row[-10:-5]), tuple(map(bool, row[-5:]))))
    return event._replace(causal=bool(event.causal))
