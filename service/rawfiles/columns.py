"""Raw scan files to columns: the tables of several files as one, no pandas."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from service.dialect.dialect import Dialect, words_of
from service.errors import CommandError
from service.events.codes import parse
from service.events.columns import Events, clean_codes, step_codes, type_codes
from service.events.groups import Groups
from service.events.vocabulary import LEVEL_OF_TYPE
from service.events.zones import SEOUL, TimeZones
from service.rawfiles.table import EITHER, FileRows, Texts, read_table, taken_from
from service.rawfiles.times import DATES_ONLY, dates_only

SITES = TimeZones(SEOUL)
"""Where nobody says which zones the places are in."""


@dataclass(frozen=True, slots=True, eq=False)
class RawEvents:
    """The events of some files."""

    events: Events
    places: dict[int, str]  # location_id -> name, where the files name them (column scan_location)
    sources: dict[int, str]  # file_id -> name of the file, for files without a file_id column
    warnings: tuple[str, ...] = ()  # one line each: what about a file makes its answer doubtful
    zones: TimeZones = SITES  # whose clocks a table of the events shows

    @property
    def local_us(self) -> NDArray[np.int64]:
        """What the clocks of the places showed at the events [N], in microseconds since 1970."""
        return self.zones.local_us(self.events.time_us, self.events.location_id)


def read_files(
    paths: Sequence[Path],
    on_file: Callable[[], None] = lambda: None,
    zones: TimeZones = SITES,
    dialect: Dialect | None = None,
) -> RawEvents:
    """Return all events of the files, in the order given; ``on_file`` is called after each file.

    Event ids are the row numbers over all files from 1, file ids the file numbers from 1, unless the file has an
    ``event_id`` or ``file_id`` column. Times without a zone are those of the place, in its one of ``zones``.
    Columns, words and codes are those of ``dialect``. A file may lack one of EITHER.

    Raises:
        CommandError: the first thing that cannot be used, with file, line, column and how to fix it.
    """
    words, columns = words_of(dialect), dialect.columns if dialect else {}
    tables: list[FileRows] = []
    warnings = []
    for number, path in enumerate(paths, start=1):
        table = read_table(path, number, sum(map(len, tables)) + 1, columns)
        if table.warning:
            warnings.append(f"{path.name} {table.warning}")
        if dates_only(table.time_us):
            warnings.append(f"{path.name} {DATES_ONLY}")
        for there, (name, other) in zip((table.has_type, table.has_step), (EITHER, EITHER[::-1]), strict=True):
            warnings += [] if there else [f"{path.name} {taken_from(name, other, columns)}"]
        tables.append(table)
        on_file()
    _check_ids(paths, tables, columns)
    epc, epc_codes, spelling = clean_codes(*_joined([table.code for table in tables]), words)
    step, steps = _joined([table.step for table in tables])
    kind, kinds = _joined([table.event_type for table in tables])
    types = type_codes(kinds, words)[kind]
    has_step = np.concatenate([np.full(len(table), table.has_step) for table in tables])
    location_id = np.concatenate([table.location_id for table in tables])
    events = Events(
        event_id=np.concatenate([table.event_id for table in tables]),
        epc=epc,
        epc_codes=epc_codes,
        location_id=location_id,
        step=np.where(has_step, step_codes(steps, words)[step], LEVEL_OF_TYPE[types]),
        event_type=types,
        time_us=_instants(tables, location_id, zones),
        file_id=np.concatenate([table.file_id for table in tables]),
        spelling=spelling,
    )
    warnings += _code_warnings(events, paths, tables)
    places: dict[int, str] = {}
    for table in tables:
        places = table.places | places  # the first name counts
    by_number = enumerate(zip(paths, tables, strict=True), start=1)
    sources = {number: path.name for number, (path, table) in by_number if not table.has_file_id}
    return RawEvents(events, places, sources, tuple(warnings), zones)


def _instants(tables: Sequence[FileRows], location_id: NDArray[np.int64], zones: TimeZones) -> NDArray[np.int64]:
    """Return the times [N] in microseconds since 1970-01-01 UTC."""
    time_us = np.concatenate([table.time_us for table in tables])
    has_zone = np.concatenate([table.has_zone for table in tables])
    return np.where(has_zone, time_us, zones.instant_us(time_us, location_id))


def _joined(columns: Sequence[Texts]) -> Texts:
    """Return the texts of several files as those of one."""
    if len(columns) == 1:
        return columns[0]
    known: dict[str, int] = {}
    numbers = []
    for number, texts in columns:
        of_all = [known.setdefault(text, len(known)) for text in texts]
        numbers.append(np.array(of_all, dtype=np.int32)[number])
    return np.concatenate(numbers), list(known)


def _code_warnings(events: Events, paths: Sequence[Path], tables: Sequence[FileRows]) -> Iterator[str]:
    """Yield what is wrong with the codes of a whole file in one line, instead of once per event."""
    well_formed = parse(events.epc_codes).well_formed[events.epc]
    end = 0
    for path, table in zip(paths, tables, strict=True):
        begin, end = end, end + len(table)
        rows = (np.arange(len(events)) >= begin) & (np.arange(len(events)) < end)
        if events.spelling and (dirt := events.spelling.warning(rows)):
            yield f"{path.name}: {dirt}"
        if end - begin > 1 and not well_formed[begin:end].any():
            first = events.sent_codes(np.array([begin]))[0]
            yield f"{path.name}: not one of its {end - begin} codes is an EPC code, the first is {first[:60]!a}"


def _check_ids(paths: Sequence[Path], tables: Sequence[FileRows], columns: Mapping[str, str]) -> None:
    """Raise CommandError if two events have the same id."""
    event_id = np.concatenate([table.event_id for table in tables])
    if Groups(np.zeros(len(event_id), dtype=np.int32), event_id).count == len(event_id):
        return
    line = np.concatenate([table.line for table in tables])
    path_of = np.arange(len(tables)).repeat([len(table) for table in tables])
    first_at: dict[int, int] = {}
    for at, one in enumerate(event_id.tolist()):
        first = first_at.setdefault(one, at)
        if first != at:
            raise CommandError(
                f"{paths[path_of[at]]}: line {line[at]}: column {columns.get('event_id', 'event_id')}: {one} is also in"
                f" {paths[path_of[first]]} line {line[first]};"
                " give every event its own id, or leave the column out"
            )
