"""A raw file to events sorted by code, in pieces of whole lots: by DuckDB, on disk, in bounded memory.

The pieces are those of `service.jobs.analyze.split`: lots stay together where they fit, since mates are evidence.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from service.events.codes import parse
from service.events.columns import clean_codes, type_codes
from service.events.vocabulary import LEVEL_OF_TYPE
from service.events.words import OWN_WORDS
from service.events.zones import TimeZones
from service.findings.catalog import sync
from service.findings.queries import kept_text, lot_key
from service.findings.settle import quoted
from service.rawfiles.parts import read_parts
from service.rawfiles.refused import FileFault, UnusableFile
from service.rawfiles.table import FileRows
from service.rawfiles.times import DATES_ONLY, dates_only
from service.web.oldpaths.aliases import Aliases

_PLAN = "staged.json"
_EVENTS = "staged.parquet"
_MEMORY = "512MB"
_COLUMNS = "number, event_id, code, lot_key, location_id, step, event_type, time_us, local_us"


@dataclass(frozen=True, slots=True)
class Piece:
    """Events that are judged together: those of the codes from ``first`` to ``last``."""

    first: str
    last: str
    events: int


@dataclass(frozen=True, slots=True)
class Staged:
    """A file that was read."""

    events: int
    items: int
    file_id: int
    first_us: int
    last_us: int
    places: Mapping[int, str]  # names by location id, where the file has them
    warnings: Sequence[str]
    pieces: Sequence[Piece]


@dataclass(frozen=True, slots=True)
class Staging:
    """How files are read: in this folder, by these words and zones."""

    folder: Path
    aliases: Aliases
    zones: TimeZones
    most_bytes: int  # of a file, unpacked
    piece_events: int

    def read(self, source: Path, name: str, on_bytes: Callable[[int], None]) -> Staged:
        """Return what is in a file; a file that was read before a restart is not read again.

        Raises:
            UnusableFile: it cannot be used; says where and why.
            OSError, duckdb.Error: no room on the disk.
        """
        plan = self.folder / _PLAN
        if not plan.is_file():
            staged = self._read(source, name, on_bytes)
            scratch = plan.with_suffix(".tmp")
            scratch.write_text(json.dumps(_to_json(staged)))
            sync(scratch)
            scratch.replace(plan)
        return _from_json(json.loads(plan.read_text()))

    def events_of(self, piece: Piece) -> dict[str, Any]:
        """Return the columns of a piece by name, in the order of the file."""
        with duckdb.connect(config={"threads": 1}) as reader:
            sql = f"SELECT {_COLUMNS} FROM read_parquet(?) WHERE code BETWEEN ? AND ? ORDER BY number"  # noqa: S608
            return reader.execute(sql, [str(self.folder / _EVENTS), piece.first, piece.last]).fetchnumpy()

    def _read(self, source: Path, name: str, on_bytes: Callable[[int], None]) -> Staged:
        parts = self.folder / "parts"
        shutil.rmtree(parts, ignore_errors=True)
        parts.mkdir()
        places: dict[int, str] = {}
        warnings: dict[str, None] = {}
        file_id, begin, dirty = 0, 0, 0
        well_formed, days_alone = False, True
        config: dict[str, Any] = {"memory_limit": _MEMORY, "threads": 1, "temp_directory": str(self.folder / "spill")}
        with duckdb.connect(config=config) as writer:
            for number, table in enumerate(read_parts(source, name, self.most_bytes, on_bytes)):
                if not len(table):
                    continue
                places = {place: kept_text(name) for place, name in table.places.items()} | places
                if table.warning:
                    warnings[f"{name} {table.warning}."] = None
                file_id = file_id or int(table.file_id[0])
                columns, dirty_here = self._columns(table, begin)
                well_formed = well_formed or bool(parse(np.unique(columns["code"]).tolist()).well_formed.any())
                days_alone = days_alone and dates_only(table.time_us)
                _write_part(writer, columns, parts / f"{number:06d}.parquet")
                begin, dirty = begin + len(table), dirty + dirty_here
            if not begin:
                raise UnusableFile(name, FileFault.NO_ROWS)
            pieces, items, (first_us, last_us) = self._sort(writer, parts, name)
        shutil.rmtree(parts)
        if not well_formed and begin > 1:
            warnings[f"{name}: not one of its {begin} codes is an EPC code."] = None
        if days_alone:
            warnings[f"{name} {DATES_ONLY}."] = None
        if dirty:
            warnings[f"{dirty} of {begin} events have codes with dirt of their transport around: it was left out."] = (
                None
            )
        return Staged(begin, items, file_id, first_us, last_us, places, list(warnings), pieces)

    def _columns(self, table: FileRows, begin: int) -> tuple[dict[str, Any], int]:
        """Return (the columns of a part as DuckDB takes them, how many codes had dirt of their transport around)."""
        sent, texts = table.code
        epc, codes, spelling = clean_codes(sent, [self.aliases.code(text) for text in texts])
        clean = np.array([kept_text(text) for text in codes], dtype=object)
        (step_of, steps), (type_of, types) = table.step, table.event_type
        step_names = [self.aliases.step(step) for step in steps]
        pair, first = np.unique(step_of.astype(np.int64) * len(types) + type_of, return_inverse=True)
        meant = [self.aliases.type(types[one % len(types)], step_names[one // len(types)]) for one in pair.tolist()]
        if not table.has_step:
            step_names = [OWN_WORDS.step_names[level] for level in LEVEL_OF_TYPE[type_codes(meant)].tolist()]
            step_of = first
        instant_us = self.zones.instant_us(table.time_us, table.location_id)
        time_us = np.where(table.has_zone, table.time_us, instant_us)
        columns = {
            "number": np.arange(begin, begin + len(table), dtype=np.int64),
            "event_id": table.event_id,
            "code": clean[epc],
            "lot_key": np.array([lot_key(code) for code in codes], dtype=object)[epc],
            "location_id": table.location_id,
            "step": np.array([kept_text(step) for step in step_names], dtype=object)[step_of],
            "event_type": np.array([kept_text(one) for one in meant], dtype=object)[first],
            "time_us": time_us,
            "local_us": self.zones.local_us(time_us, table.location_id),
        }
        return columns, int(spelling.is_dirty.sum()) if spelling else 0

    def _sort(
        self, writer: duckdb.DuckDBPyConnection, parts: Path, name: str
    ) -> tuple[list[Piece], int, tuple[int, int]]:
        source = f"read_parquet({quoted(parts / '*.parquet')})"
        twice = f"SELECT event_id FROM {source} GROUP BY 1 HAVING count(*) > 1 ORDER BY min(number) LIMIT 1"  # noqa: S608
        if found := writer.execute(twice).fetchone():
            raise UnusableFile(name, FileFault.ID_TWICE, column="event_id", value=found[0])
        scratch = self.folder / f"{_EVENTS}.tmp"
        form = "FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 20000"
        writer.execute(f"COPY (SELECT {_COLUMNS} FROM {source} ORDER BY code, number) TO {quoted(scratch)} ({form})")  # noqa: S608
        sync(scratch)
        scratch.replace(self.folder / _EVENTS)
        whole = f"read_parquet({quoted(self.folder / _EVENTS)})"
        span = writer.execute(f"SELECT min(time_us), max(time_us) FROM {whole}").fetchone()  # noqa: S608
        rows = writer.execute(f"SELECT code, count(*) FROM {whole} GROUP BY code ORDER BY code")  # noqa: S608
        pieces, items = _cut(_fetched(rows), self.piece_events)
        return pieces, items, span or (0, 0)


def _fetched(rows: duckdb.DuckDBPyConnection) -> Iterator[tuple[str, int]]:
    while block := rows.fetchmany(10_000):
        yield from block


def _cut(codes: Iterator[tuple[str, int]], limit: int) -> tuple[list[Piece], int]:
    """Return (pieces of at most ``limit`` events, number of codes) of sorted codes with their numbers of events."""
    pieces: list[Piece] = []
    now: list[Piece] = []  # the one that is being filled, if any
    items, lot, members = 0, None, list[tuple[str, int]]()

    def fill() -> None:
        size = sum(count for _, count in members)
        if now and now[0].events + size > limit >= size:
            pieces.append(now.pop())
        for code, count in members:
            if now and now[0].events + count > limit:
                pieces.append(now.pop())
            before = now.pop() if now else Piece(code, code, 0)
            now.append(Piece(before.first, code, before.events + count))

    for code, count in codes:
        items += 1
        if (of := code.rsplit(".", 2)[0]) != lot:
            fill()
            lot, members = of, []
        members.append((code, count))
    fill()
    return [*pieces, *now], items


def _write_part(writer: duckdb.DuckDBPyConnection, columns: dict[str, Any], path: Path) -> None:
    writer.register("part", columns)
    writer.execute(f"COPY (SELECT {_COLUMNS} FROM part) TO {quoted(path)} (FORMAT parquet)")  # noqa: S608 - our names
    writer.unregister("part")


def _to_json(staged: Staged) -> dict[str, Any]:
    pieces = [[piece.first, piece.last, piece.events] for piece in staged.pieces]
    names = ("events", "items", "file_id", "first_us", "last_us", "warnings")
    return {name: getattr(staged, name) for name in names} | {"places": list(staged.places.items()), "pieces": pieces}


def _from_json(content: dict[str, Any]) -> Staged:
    pieces = [Piece(*one) for one in content["pieces"]]
    return Staged(**(content | {"places": dict(map(tuple, content["places"])), "pieces": pieces}))
