"""One raw file to columns: plain rows at once by `plain`, the others one by one as `rows` and `times` say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from service.rawfiles.encoding import READ_ERRORS, RawBytes, read_raw, unreadable, why_no_text
from service.rawfiles.plain import CODE, EVENT_ID, FILE_ID, LOCATION_ID, PLACE, STEP, TIME, TYPE, PlainRows
from service.rawfiles.refused import FileFault, UnusableFile
from service.rawfiles.rows import Header, other_names, read_row, whole_number
from service.rawfiles.times import has_zone, time_us

REQUIRED = ("epc_code", "location_id", "event_time")
EITHER = ("event_type", "business_step")
"""Columns of which a file needs one: the other is taken from it, as far as that goes."""
OPTIONAL = ("event_id", "file_id", "scan_location")

_NUMBERS = {EVENT_ID: "event_id", LOCATION_ID: "location_id", FILE_ID: "file_id"}
_TEXTS = {CODE: "epc_code", STEP: "business_step", TYPE: "event_type", PLACE: "scan_location"}

Texts = tuple[NDArray[np.int32], list[str]]
"""([N] the number of each row's text, the different texts in the order of first appearance)."""


@dataclass(frozen=True, slots=True, eq=False)
class FileRows:
    """The N rows of a file."""

    event_id: NDArray[np.int64]  # [N]
    code: Texts
    location_id: NDArray[np.int64]  # [N]
    step: Texts
    event_type: Texts
    time_us: NDArray[np.int64]  # [N] microseconds since 1970-01-01, UTC or of a clock somewhere
    has_zone: NDArray[np.bool_]  # [N] True for times that are instants, False for local ones
    file_id: NDArray[np.int64]  # [N]
    line: NDArray[np.int64]  # [N] the number of its line in the file
    places: dict[int, str]  # location_id -> the first name that the file gives it
    has_file_id: bool  # the file says itself which file its rows are of
    has_step: bool  # False: its types say it
    has_type: bool  # False: its steps say it, which are in event_type, too
    warning: str  # of the encoding, or ""

    def __len__(self) -> int:
        return len(self.line)


def read_table(path: Path, number: int, first_id: int, columns: Mapping[str, str] | None = None) -> FileRows:
    """Return the rows of a file; of one without such columns with ``number`` as file_id, event ids from ``first_id``.

    ``columns`` are the names that the file has in place of those above.

    Raises:
        UnusableFile: the first thing that cannot be used, with file, line, column and how to fix it.
    """
    try:
        raw = read_raw(path)
    except READ_ERRORS as error:
        raise unreadable(path, error) from None
    return table_of(raw, path, number, first_id, columns=columns)


def table_of(  # noqa: PLR0913, PLR0917 - the last ones are options
    raw: RawBytes,
    path: Path,
    number: int,
    first_id: int,
    lines_before: int = 0,
    columns: Mapping[str, str] | None = None,
) -> FileRows:
    """Return the rows of a file's bytes, or of a part of them below the first line; as `read_table`.

    Args: ``path`` is for messages, and ``lines_before`` are lines of the file between the first one and the part.
    Without ``columns`` the names are the model's, and no message says how others are told.
    """
    if why := why_no_text(raw.data):
        raise UnusableFile(path, FileFault.NO_TEXT, what=why)
    try:
        below = raw.data.find(b"\n") + 1 or len(raw.data)
        header = Header.of(raw.data[:below]).renamed(columns or {})
    except UnicodeDecodeError:
        raise UnusableFile(path, FileFault.NOT_UTF_8, line=1) from None
    if not header.names:
        raise UnusableFile(path, FileFault.EMPTY)
    index = _index(path, header, columns)
    rows = PlainRows(
        raw.data,
        below=below,
        separator=header.separator,
        width=len(header.names),
        padded=header.padded,
        is_utf_8=raw.is_utf_8,
        numbers=[index.get(name, -1) for name in _NUMBERS.values()],
        time=index["event_time"],
        texts=[index.get(name, -1) for name in _TEXTS.values()],
    )
    for at in np.flatnonzero(rows.odd).tolist():
        _fill_in(rows, at, path, header, index, lines_before)
    n = len(rows)
    return FileRows(
        event_id=rows.ints[EVENT_ID] if "event_id" in index else np.arange(first_id, first_id + n, dtype=np.int64),
        code=rows.text(CODE),
        location_id=rows.ints[LOCATION_ID],
        step=rows.text(STEP),
        event_type=rows.text(TYPE if "event_type" in index else STEP),
        time_us=rows.ints[TIME],
        has_zone=rows.has_zone,
        file_id=rows.ints[FILE_ID] if "file_id" in index else np.full(n, number, dtype=np.int64),
        line=rows.line + lines_before,
        places=_places(rows, header) if "scan_location" in index else {},
        has_file_id="file_id" in index,
        has_step="business_step" in index,
        has_type="event_type" in index,
        warning=raw.warning,
    )


def either(called: Mapping[str, str]) -> str:
    """Return the columns of EITHER as one text, with the names that files have for them."""
    return " or ".join(called.get(name, name) for name in EITHER)


def taken_from(missing: str, other: str, called: Mapping[str, str]) -> str:
    """Return what is said of a file without a column, whose content another column tells."""
    name, instead = (called.get(one, one) for one in (missing, other))
    return f"has no column {name}: it is taken from {instead} where that is possible"


def _index(path: Path, header: Header, columns: Mapping[str, str] | None) -> dict[str, int]:
    """Return the position of each column by name; ``columns`` is None of a file that cannot have other names."""
    called = columns or {}
    missing = [called.get(name, name) for name in REQUIRED if name not in header.names]
    if not set(EITHER) & set(header.names):
        missing.append(either(called))
    if missing:
        hint = "" if columns is None else f"; {other_names(columns)}"
        raise UnusableFile(path, FileFault.NO_COLUMN, line=1, columns=", ".join(missing), or_else=hint)
    if twice := [called.get(name, name) for name in (*REQUIRED, *EITHER, *OPTIONAL) if header.names.count(name) > 1]:
        raise UnusableFile(path, FileFault.COLUMN_TWICE, line=1, name=twice[0])
    return {name: at for at, name in enumerate(header.names)}


def _fill_in(  # noqa: PLR0913, PLR0917 - a row, and where it is
    rows: PlainRows, at: int, path: Path, header: Header, index: dict[str, int], lines_before: int
) -> None:
    """Read a row that is not plain. Codes, steps and types are taken as they are: strange ones are judged later."""
    line = int(rows.line[at]) + lines_before
    cells, problem, values = read_row(rows.raw_line(at), header)
    if problem is not None:
        raise UnusableFile(path, problem, line=line, **values)

    def read(name: str, meaning: Callable[[str], int | None], is_none: FileFault, is_empty: FileFault) -> int:
        text = cells[index[name]]
        if (value := meaning(text)) is None:
            why = is_none if text.strip() else is_empty
            raise UnusableFile(path, why, line=line, column=header.given[index[name]], value=repr(text[:40]))
        return value

    numbers = [0, 0, 0, 0]
    for kind in (LOCATION_ID, EVENT_ID, FILE_ID):
        if (name := _NUMBERS[kind]) in index:
            numbers[kind] = read(name, whole_number, FileFault.NO_NUMBER, FileFault.NUMBER_MISSING)
    numbers[TIME] = read("event_time", time_us, FileFault.NO_TIME, FileFault.TIME_MISSING)
    texts = [cells[index[name]] if name in index else "" for name in _TEXTS.values()]
    rows.fill_in(at, numbers, texts, has_zone=has_zone(cells[index["event_time"]]))


def _places(rows: PlainRows, header: Header) -> dict[int, str]:
    """Return the first name of each location."""
    locations, first = np.unique(rows.ints[LOCATION_ID], return_index=True)
    names = rows.texts_at(PLACE, first)
    return dict(zip(locations.tolist(), (name.strip() if header.padded else name for name in names), strict=True))
