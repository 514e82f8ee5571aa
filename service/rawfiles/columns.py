"""Raw scan files to columns: what `rows` reads, columns in any order, no pandas."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import numpy as np

from service.errors import CommandError
from service.events.codes import parse
from service.events.columns import Events, code_columns, step_codes, type_codes
from service.rawfiles.encoding import READ_ERRORS, read_raw
from service.rawfiles.rows import Header, split_row, whole_number
from service.rawfiles.times import DATES_ONLY, dates_only, time_us

REQUIRED = ("epc_code", "location_id", "business_step", "event_type", "event_time")
OPTIONAL = ("event_id", "file_id", "scan_location")


@dataclass(frozen=True, slots=True, eq=False)
class RawEvents:
    """The events of some files."""

    events: Events
    places: dict[int, str]  # location_id -> name, where the files name them (column scan_location)
    sources: dict[int, str]  # file_id -> name of the file, for files without a file_id column
    warnings: tuple[str, ...] = ()  # one line each: what about a file makes its answer doubtful


@dataclass(frozen=True, slots=True)
class _Table:
    """A file whose header was read."""

    path: Path
    number: int  # of the file, from 1
    index: dict[str, int]  # column name -> position

    def error(self, line: int, column: str, problem: str) -> CommandError:
        """Return the error that says what is wrong and where."""
        return CommandError(f"{self.path}: line {line}: column {column}: {problem}")


@dataclass(slots=True)
class _Columns:
    """What was read so far; entry i of every column belongs to event i. Numbers are kept as 8 bytes each."""

    event_id: array[int] = field(default_factory=lambda: array("q"))
    epc_code: list[str] = field(default_factory=list)
    location_id: array[int] = field(default_factory=lambda: array("q"))
    business_step: list[str] = field(default_factory=list)
    event_type: list[str] = field(default_factory=list)
    time_us: array[int] = field(default_factory=lambda: array("q"))
    file_id: array[int] = field(default_factory=lambda: array("q"))
    line: array[int] = field(default_factory=lambda: array("q"))
    paths: list[tuple[int, Path]] = field(default_factory=list)  # first event of each file
    places: dict[int, str] = field(default_factory=dict)
    distinct: dict[str, str] = field(default_factory=dict)  # equal strings are kept once

    def where(self, at: int) -> tuple[Path, int]:
        """Return file and line of event ``at``."""
        return self.paths[bisect_right(self.paths, at, key=lambda entry: entry[0]) - 1][1], self.line[at]

    def intern(self, text: str) -> str:
        """Return the kept string that equals ``text``."""
        return self.distinct.setdefault(text, text)


def read_files(paths: Sequence[Path], on_file: Callable[[], None] = lambda: None) -> RawEvents:
    """Return all events of the files, in the order given; ``on_file`` is called after each file.

    Event ids are the row numbers over all files from 1, file ids the file numbers from 1, unless the file has an
    ``event_id`` or ``file_id`` column. Times without a zone are UTC.

    Raises:
        CommandError: the first thing that cannot be used, with file, line, column and how to fix it.
    """
    columns = _Columns()
    sources, warnings = {}, []
    for number, path in enumerate(paths, start=1):
        columns.paths.append((first := len(columns.line), path))
        numbered, warning = _read_file(path, number, columns)
        if numbered:
            sources[number] = path.name
        if warning:
            warnings.append(f"{path.name} {warning}")
        if dates_only(np.array(columns.time_us[first:], dtype=np.int64)):
            warnings.append(f"{path.name} {DATES_ONLY}")
        on_file()
    _check_ids(columns)
    epc, epc_codes, spelling = code_columns(columns.epc_code)
    events = Events(
        event_id=np.array(columns.event_id, dtype=np.int64),
        epc=epc,
        epc_codes=epc_codes,
        location_id=np.array(columns.location_id, dtype=np.int64),
        step=step_codes(columns.business_step),
        event_type=type_codes(columns.event_type),
        time_us=np.array(columns.time_us, dtype=np.int64),
        file_id=np.array(columns.file_id, dtype=np.int64),
        spelling=spelling,
    )
    warnings += _code_warnings(events, columns.paths)
    return RawEvents(events, columns.places, sources, tuple(warnings))


def _code_warnings(events: Events, paths: Sequence[tuple[int, Path]]) -> Iterator[str]:
    """Yield what is wrong with the codes of a whole file in one line, instead of once per event."""
    well_formed = parse(events.epc_codes).well_formed[events.epc]
    ends = [begin for begin, _ in paths[1:]] + [len(events)]
    for (begin, path), end in zip(paths, ends, strict=True):
        rows = (np.arange(len(events)) >= begin) & (np.arange(len(events)) < end)
        if events.spelling and (dirt := events.spelling.warning(rows)):
            yield f"{path.name}: {dirt}"
        if end - begin > 1 and not well_formed[begin:end].any():
            first = events.sent_codes(np.array([begin]))[0]
            yield f"{path.name}: not one of its {end - begin} codes is an EPC code, the first is {first[:60]!a}"


def _read_file(path: Path, number: int, columns: _Columns) -> tuple[bool, str]:
    """Append the rows of a file; return (whether its events got ``number`` as their file_id, a warning or "")."""
    try:
        raw = read_raw(path)
        stream = BytesIO(raw.data)
        header = Header.of(stream.readline())
    except READ_ERRORS as error:
        reason = getattr(error, "strerror", None) or "input/output error"
        raise CommandError(f"{path}: cannot be read: {reason}") from None
    except UnicodeDecodeError:
        raise CommandError(f"{path}: line 1: not UTF-8; save the file as UTF-8") from None
    table = _Table(path, number, _index(path, header))
    for line, text in enumerate(stream, 2):
        row, problem = split_row(text, header)
        if problem:
            raise CommandError(f"{path}: line {line}: {problem}")
        if row:
            _append(table, line, row, columns)
    return "file_id" not in table.index, raw.warning


def _index(path: Path, header: Header) -> dict[str, int]:
    missing = [name for name in REQUIRED if name not in header.names]
    if missing:
        raise CommandError(
            f"{path}: line 1: no column {', '.join(missing)};"
            " the first line names the columns, separated by tab or comma (or semicolon)"
        )
    if any(header.names.count(name) > 1 for name in (*REQUIRED, *OPTIONAL)):
        raise CommandError(f"{path}: line 1: a column name is there twice; remove one of the two columns")
    return {name: at for at, name in enumerate(header.names)}


def _append(table: _Table, line: int, row: list[str], columns: _Columns) -> None:
    """Append one row. Codes, steps and types are taken as they are: strange ones are judged, not rejected."""
    index = table.index
    location_id = _whole_number(table, line, row, "location_id")
    event_id = _whole_number(table, line, row, "event_id") if "event_id" in index else len(columns.event_id) + 1
    file_id = _whole_number(table, line, row, "file_id") if "file_id" in index else table.number
    columns.event_id.append(event_id)
    columns.epc_code.append(columns.intern(row[index["epc_code"]]))
    columns.location_id.append(location_id)
    columns.business_step.append(columns.intern(row[index["business_step"]]))
    columns.event_type.append(columns.intern(row[index["event_type"]]))
    columns.time_us.append(_microseconds(table, line, row[index["event_time"]]))
    columns.file_id.append(file_id)
    columns.line.append(line)
    if "scan_location" in index:
        columns.places.setdefault(location_id, row[index["scan_location"]])


def _whole_number(table: _Table, line: int, row: list[str], column: str) -> int:
    text = row[table.index[column]]
    value = whole_number(text)
    if value is None:
        problem = "is empty" if not text.strip() else f"{text[:40]!r} is not a whole number of 64 bits"
        raise table.error(line, column, f"{problem}; write a number such as 12")
    return value


def _microseconds(table: _Table, line: int, text: str) -> int:
    value = time_us(text)
    if value is None:
        problem = "is empty" if not text.strip() else f"{text[:40]!r} is not a time that can be read without a guess"
        raise table.error(line, "event_time", f"{problem}; write it as 2025-07-01 10:34:17")
    return value


def _check_ids(columns: _Columns) -> None:
    if len(np.unique(np.array(columns.event_id))) == len(columns.event_id):
        return
    first_at: dict[int, int] = {}
    for at, event_id in enumerate(columns.event_id):
        first = first_at.setdefault(event_id, at)
        if first != at:
            (path, line), (other, other_line) = columns.where(at), columns.where(first)
            raise CommandError(
                f"{path}: line {line}: column event_id: {event_id} is also in {other} line {other_line};"
                " give every event its own id, or leave the column out"
            )
