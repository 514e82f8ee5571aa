"""Why a raw file cannot be used: each fault is written here once, so that it can be told in other languages too."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path

from service.errors import CommandError

Say = Callable[..., str]
"""Returns a message, its first argument, in some language, with the others at its {places}."""


class FileFault(StrEnum):
    """What is wrong with a file, one of its lines or one of its cells, and how to fix it."""

    LINE = "line {line}"
    COLUMN = "column {column}"
    FOLDER = "is a folder: name the files in it"
    UNREADABLE = "cannot be read: {reason}"
    HALF_PACKED = "cannot be read: not a whole gzip file; copy it again"
    NO_TEXT = "no text, but {what}"
    WORKBOOK = "an Excel workbook or a ZIP archive: save its sheet as CSV UTF-8, or unpack it"
    OLD_WORKBOOK = "an old Excel workbook: save its sheet as CSV UTF-8"
    PARQUET = "a Parquet file: write it as CSV"
    PACKED = "packed by gzip: give it a name that ends in .gz"
    TOO_LARGE = "larger than {bytes} bytes unpacked; cut it into several files"
    LONG_LINE = "a line of more than {bytes} bytes: no table of scans"
    NOT_UTF_8 = "not UTF-8; save the file as UTF-8"
    EMPTY = "empty; the first line has to name the columns"
    NO_ROWS = "no rows below the header line, so nothing to analyse"
    NO_COLUMN = (
        "no column {columns}; the first line names the columns, separated by tab or comma (or semicolon){or_else}"
    )
    COLUMN_TWICE = "column {name} is there twice; remove one of the two"
    ID_TWICE = "{value} is there twice; give every event its own id"
    NO_ROW = "not a row of the table ({reason})"
    OTHER_WIDTH = "has {columns} columns, the first line names {expected}"
    NO_NUMBER = "{value} is not a whole number of 64 bits; write a number such as 12"
    NUMBER_MISSING = "is empty; write a number such as 12"
    NO_TIME = "{value} is not a time that can be read without a guess; write it as 2025-07-01 10:34:17"
    TIME_MISSING = "is empty; write it as 2025-07-01 10:34:17"


class UnusableFile(CommandError):
    """A raw file cannot be used."""

    def __init__(
        self, file: Path | str, why: FileFault, *, line: int | None = None, column: str | None = None, **values: object
    ) -> None:
        """Args: ``values`` are those of ``why``; one that is a `FileFault` is told in the language of the whole."""
        self._file, self._why, self._values = file, why, values
        self._line, self._column = line, column
        super().__init__(self.told(str.format))

    def told(self, say: Say) -> str:
        """Return all of it in one line: file, line, column, what is wrong and how to fix it."""
        said = [str(self._file)]
        if self._line is not None:
            said.append(say(FileFault.LINE, line=self._line))
        if self._column is not None:
            said.append(say(FileFault.COLUMN, column=self._column))
        values = {name: say(value) if isinstance(value, FileFault) else value for name, value in self._values.items()}
        return ": ".join([*said, say(self._why, **values)])
