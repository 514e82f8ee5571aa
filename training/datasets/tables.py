"""Tables of text, fast: every line of a file as `service.rawfiles.rows` reads it; no row is dropped unnamed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.compute as pc  # type: ignore[import-untyped]
import pyarrow.csv  # type: ignore[import-untyped]
from numpy.typing import NDArray

from service.rawfiles.encoding import READ_ERRORS, first_line, read_raw, unreadable, why_no_text
from service.rawfiles.rows import Header, split_row
from training.errors import DataError

_BLOCK = 1 << 22  # bytes that pyarrow reads at once

_CHUNK = 10_000  # lines: as Python lists they are large

_NEWLINE, _RETURN, _QUOTE = (ord(letter) for letter in '\n\r"')

NOT_UTF8 = "not UTF-8; save it as UTF-8, with or without BOM"


@dataclass(frozen=True, slots=True, eq=False)
class RawTable:
    """A file with M lines below the header that are not blank."""

    header: Header
    rows: pd.DataFrame  # [M] the columns asked for, as text; line; problem: why it is no row of the table, else ""
    filled: dict[str, int]  # column name: rows with a value in it
    encoding: str
    warning: str  # what is to be said of the encoding, or ""


@dataclass(frozen=True, slots=True, eq=False)
class _Lines:
    """The L lines of a file below the header that are not blank."""

    data: bytes  # the whole file
    number: NDArray[np.int64]  # [L] in the file, from 1
    start: NDArray[np.int64]  # [L] first byte
    end: NDArray[np.int64]  # [L] behind the last byte, the line end left out


def read_header(path: Path) -> Header:
    """Return the header of a file.

    Raises:
        DataError: the file cannot be read, or is no text.
        UnicodeDecodeError: its first line is in no encoding known.
    """
    try:
        line = first_line(path)
    except READ_ERRORS as error:
        raise _unreadable(path, error) from None
    if why := why_no_text(line):
        raise DataError(f"{path}: no text, but {why}")
    return Header.of(line)


def read_table(path: Path, wanted: Collection[str] | None = None, columns: Mapping[str, str] | None = None) -> RawTable:
    """Read a file; of its columns those ``wanted`` (all if None) are kept.

    ``columns`` are names that the file has in place of the model's.

    Raises:
        DataError: the file is empty or cannot be read, its header is not UTF-8, or names a kept column twice.
    """
    try:
        header = read_header(path).renamed(columns or {})
    except UnicodeDecodeError:
        raise DataError(f"{path}: {NOT_UTF8}") from None
    kept = [name for name in header.names if name and (wanted is None or name in wanted)]
    if not header.names:
        raise DataError(f"{path}: empty; the first line has to name the columns")
    if twice := [name for name in kept if kept.count(name) > 1]:
        named = header.given[header.names.index(twice[0])]
        raise DataError(f"{path}: column {named} is there twice; remove one of the two")
    try:
        raw = read_raw(path)
    except READ_ERRORS as error:
        raise _unreadable(path, error) from None
    table, line, problem = _parse(_lines(raw.data), header)
    rows = pd.DataFrame({"line": line, "problem": problem})
    for name in kept:
        text = table[header.names.index(name)].to_pandas()
        rows[name] = text.str.strip() if header.padded else text
    counts = [pc.sum(pc.not_equal(column, "")).as_py() or 0 for column in table.columns]
    return RawTable(header, rows, dict(zip(header.names, counts, strict=True)), raw.encoding, raw.warning)


def raw_text(path: Path, numbers: Collection[int]) -> dict[int, str]:
    """Return the text of some lines of a file, by their numbers from 1."""
    found = {number: line for number, line in enumerate(BytesIO(read_raw(path).data), 1) if number in numbers}
    return {number: line.decode(errors="replace").rstrip("\r\n") for number, line in found.items()}


def _unreadable(path: Path, error: Exception) -> DataError:
    return DataError(str(unreadable(path, error)))


def _lines(data: bytes) -> _Lines:
    letters = np.frombuffer(data, np.uint8)
    newline = np.flatnonzero(letters == _NEWLINE)
    start, end = newline + 1, np.append(newline, len(data))[1:]
    end -= (end > start) & (letters[np.maximum(end - 1, 0)] == _RETURN)
    used = np.flatnonzero(end > start)
    return _Lines(data, used + 2, start[used], end[used])


def _parse(lines: _Lines, header: Header) -> tuple[pa.Table, NDArray[np.int64], NDArray[np.object_]]:
    """Return (the cells as columns, number and problem of each line): plain lines by pyarrow, others by split_row."""
    plain = _plain(lines, header)
    try:
        bulk = _bulk(lines, plain, header)
    except pa.ArrowInvalid:  # not UTF-8 somewhere, or a line longer than a block: slower, but it finds where
        plain[:] = False
        bulk = _bulk(lines, plain, header)
    parts, numbers, problems = [bulk], [lines.number[plain]], [np.full(len(bulk), "", dtype=object)]
    odd = np.flatnonzero(~plain)
    for begin in range(0, len(odd), _CHUNK):
        table, number, problem = _one_by_one(lines, odd[begin : begin + _CHUNK], header)
        parts.append(table.rename_columns(bulk.column_names))
        numbers.append(number)
        problems.append(problem)
    number = np.concatenate(numbers)
    order = np.argsort(number, kind="stable")
    table = pa.concat_tables(parts)
    return table if len(parts) == 1 else table.take(pa.array(order)), number[order], np.concatenate(problems)[order]


def _one_by_one(
    lines: _Lines, which: NDArray[np.intp], header: Header
) -> tuple[pa.Table, NDArray[np.int64], NDArray[np.object_]]:
    rows, numbers, problems = [], [], []
    for at in which.tolist():
        cells, problem = split_row(lines.data[lines.start[at] : lines.end[at]], header)
        if cells or problem:
            rows.append(cells or [""] * len(header.names))
            numbers.append(lines.number[at])
            problems.append(problem)
    columns = zip(*rows, strict=True) if rows else [()] * len(header.names)
    table = pa.table([pa.array(column, pa.string()) for column in columns], names=list(header.names))
    return table, np.array(numbers, dtype=np.int64), np.array(problems, dtype=object)


def _plain(lines: _Lines, header: Header) -> NDArray[np.bool_]:
    """Return which lines [L] have all cells, none of them in quotes, and no stray carriage return."""
    letters = np.frombuffer(lines.data, np.uint8)
    separator = np.flatnonzero(letters == ord(header.separator))
    cells = np.searchsorted(separator, lines.end) - np.searchsorted(separator, lines.start) + 1
    plain: NDArray[np.bool_] = (cells == len(header.names)) & (
        lines.end - lines.start > cells - 1
    )  # not separators alone
    special = np.flatnonzero((letters == _QUOTE) | (letters == _RETURN))
    found = np.searchsorted(special, lines.end) > np.searchsorted(special, lines.start)
    return plain & ~found


def _bulk(lines: _Lines, plain: NDArray[np.bool_], header: Header) -> pa.Table:
    names = [str(number) for number in range(len(header.names))]
    used = np.flatnonzero(plain)
    if not len(used):
        return pa.table([pa.array([], pa.string())] * len(names), names=names)
    gap = np.flatnonzero(np.diff(lines.number[used]) > 1)
    starts, ends = lines.start[used[np.r_[0, gap + 1]]].tolist(), lines.end[used[np.r_[gap, -1]]].tolist()
    text = b"\n".join([memoryview(lines.data)[start:end] for start, end in zip(starts, ends, strict=True)])
    return pa.csv.read_csv(
        pa.BufferReader(text),
        pa.csv.ReadOptions(column_names=names, block_size=_BLOCK),
        pa.csv.ParseOptions(delimiter=header.separator, quote_char=False),
        pa.csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string())),
    )
