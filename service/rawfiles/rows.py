"""What a line of a raw scan file means, for the gateway and the training side alike.

The first line names the columns; names have no case. A row is a line: a quoted cell may hold separators, not line
ends, so that one stray quote costs one row and line numbers are those of an editor. Blank lines are no rows, nor are
lines of nothing but separators, the empty rows of a spreadsheet.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from service.rawfiles.refused import FileFault

SEPARATORS = ("\t", ",", ";")

_INT64 = 2**63
_WHOLE = re.compile(r"([+-]?\d+)(?:\.0*)?", re.ASCII)


def other_names(columns: Mapping[str, str]) -> str:
    """Return what to do where columns are missing, of which some have other names, ``columns``, or none."""
    if columns:
        return "these are the names that the file of --network gives: correct its [columns], see docs/network.md"
    return "if they have other names there, --network FILE says which, see docs/network.md"


@dataclass(frozen=True, slots=True)
class Header:
    """The first line of a raw file."""

    names: tuple[str, ...]  # lower case, outer blanks removed
    separator: str
    padded: bool  # there are blanks beside the separators, in the rows too: they belong to no cell
    given: tuple[str, ...]  # the same columns as the file calls them

    @classmethod
    def of(cls, line: bytes) -> Header:
        """Read the first line of a file; the separator is the one that gives the most columns.

        Raises:
            UnicodeDecodeError: it is not UTF-8.
        """
        text = line.decode("utf-8-sig").rstrip("\r\n")
        cells, separator = max(((_header_cells(text, mark), mark) for mark in SEPARATORS), key=lambda cut: len(cut[0]))
        names = [name.strip() for name in cells]
        return cls(tuple(name.lower() for name in names), separator, names != cells, tuple(names))

    def renamed(self, columns: Mapping[str, str]) -> Header:
        """Return the header with the model's names (keys) in place of those of the files, ``columns`` (values)."""
        if not columns:
            return self
        own = {theirs.strip().lower(): name for name, theirs in columns.items()}
        names = (own.get(name, f"({name})" if name in columns else name) for name in self.names)
        return replace(self, names=tuple(names))


def split_row(line: bytes, header: Header) -> tuple[list[str], str]:
    """Return (the cells, "") of a line, or ([], why it is no row); of a blank line, or only separators, ([], "")."""
    cells, why, values = read_row(line, header)
    return cells, why.format(**values) if why is not None else ""


def read_row(line: bytes, header: Header) -> tuple[list[str], FileFault | None, dict[str, Any]]:
    """Return what `split_row` does, the reason as it can be told in any language, with its values."""
    try:
        text = line.decode().rstrip("\r\n")
        cells = _cells(text, header.separator) if text.strip(header.separator) else []
    except UnicodeDecodeError:
        return [], FileFault.NOT_UTF_8, {}
    except csv.Error as error:
        return [], FileFault.NO_ROW, {"reason": error}
    width = len(header.names)
    if len(cells) > width and not any(cells[width:]):
        cells = cells[:width]  # separators too many at the end say nothing
    if len(cells) not in {0, width}:
        return [], FileFault.OTHER_WIDTH, {"columns": len(cells), "expected": width}
    return [cell.strip() for cell in cells] if header.padded else cells, None, {}


def _header_cells(text: str, separator: str) -> list[str]:
    try:
        return _cells(text, separator)
    except csv.Error:  # quotes that make no sense with this separator
        return []


def _cells(text: str, separator: str) -> list[str]:
    if '"' not in text:
        return text.split(separator) if text else []
    return next(csv.reader([text], delimiter=separator, strict=True))


def whole_number(text: str) -> int | None:
    """Return the whole number of 64 bits that ``text`` is (12, " 12", "12.0"), else None."""
    found = _WHOLE.fullmatch(text.strip())
    value = int(found[1]) if found and len(found[1]) < 32 else _INT64
    return value if -_INT64 <= value < _INT64 else None
