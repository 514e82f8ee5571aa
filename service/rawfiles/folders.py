"""Which files of a folder are raw files: one answer, for replay and for the training side."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path

from service.errors import CommandError
from service.events.vocabulary import KINDS
from service.rawfiles.encoding import READ_ERRORS, first_line
from service.rawfiles.rows import Header, other_names
from service.rawfiles.table import REQUIRED, either

_NAME = re.compile(r"(?P<stem>[^.].*)\.(csv|tsv|txt)(\.gz)?|(?P<bare>[^.]+)\.gz", re.IGNORECASE)
_EVERY_RAW = ("epc_code", "event_time")  # columns that tell a raw file from other tables
_WORKBOOKS = {".xls", ".xlsx"}
_OWN: Mapping[str, str] = {}  # names that the files have in place of the model's: none
_OTHER_TABLES = {"locations", "transitions", "quarantine", "truth"}


def raw_files(paths: Sequence[Path], columns: Mapping[str, str] = _OWN) -> list[Path]:
    """Return the files, and for each folder its raw files in name order.

    Raises:
        CommandError: a folder has none.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = raw_files_of(path, columns)
            if not inside:
                names = ", ".join([*(columns.get(name, name) for name in REQUIRED), either(columns)])
                raise CommandError(
                    f"{path}: no raw file in this folder: none has the columns {names}; {other_names(columns)}"
                )
            found += inside
        else:
            found.append(path)
    return found


def raw_files_of(folder: Path, columns: Mapping[str, str] = _OWN) -> list[Path]:
    """Return the raw files of a folder in name order: tables of events, whether or not they can be used.

    A raw file that is damaged, of an unknown encoding or without a column is one too: whoever reads it says what is
    wrong, and no events are left out in silence. Masters, truth tables and what was set aside are none.
    """
    return sorted(path for path in folder.iterdir() if _may_be_raw(path) and _is_raw(path, columns))


def left_out(paths: Sequence[Path], columns: Mapping[str, str] = _OWN) -> list[str]:
    """Return a warning per folder that has tables which are neither raw files nor known to be others."""
    warnings = []
    needed = " and ".join(columns.get(name, name) for name in _EVERY_RAW)
    for folder in filter(Path.is_dir, paths):
        names = sorted(path.name for path in folder.iterdir() if _is_unknown(path, columns))
        if names:
            warnings.append(f"{', '.join(names)} left out: no text with the columns {needed} in its first line")
    return warnings


def _is_unknown(path: Path, columns: Mapping[str, str]) -> bool:
    workbook = path.suffix.lower() in _WORKBOOKS and not path.name.startswith((".", "~$"))
    return workbook or (_may_be_raw(path) and not _is_raw(path, columns) and not _is_truth(_names(path, columns)))


def _may_be_raw(path: Path) -> bool:
    name = _NAME.fullmatch(path.name)
    return name is not None and (name["stem"] or name["bare"]).lower() not in _OTHER_TABLES and path.is_file()


def _is_raw(path: Path, columns: Mapping[str, str]) -> bool:
    try:
        names = _names(path, columns)
    except READ_ERRORS:
        return True
    return set(_EVERY_RAW) <= names and not _is_truth(names)


def _is_truth(names: AbstractSet[str]) -> bool:
    """Return whether these are the columns of a truth table, which may repeat codes and times."""
    return not {"location_id", "scan_location"} & names and {kind.lower() for kind in KINDS} <= names


def _names(path: Path, columns: Mapping[str, str]) -> AbstractSet[str]:
    """Return the names of the columns, those that can be told if the encoding is unknown. Raises READ_ERRORS."""
    line = first_line(path)
    try:
        return set(Header.of(line).renamed(columns).names)
    except UnicodeDecodeError:
        return set(Header.of(line.decode("ascii", "ignore").encode()).renamed(columns).names)
