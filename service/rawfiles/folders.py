"""Which files of a folder are raw files: one answer, for replay and for the training side."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from service.errors import CommandError
from service.events.vocabulary import KINDS
from service.rawfiles.columns import REQUIRED
from service.rawfiles.rows import READ_ERRORS, Header, open_raw

_NAME = re.compile(r"(?P<stem>[^.].*)\.(csv|tsv|txt)(\.gz)?|(?P<bare>[^.]+)\.gz", re.IGNORECASE)
_OTHER_TABLES = {"locations", "transitions", "quarantine", "truth"}


def raw_files(paths: Sequence[Path]) -> list[Path]:
    """Return the files, and for each folder its raw files in name order.

    Raises:
        CommandError: a folder has none.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = raw_files_of(path)
            if not inside:
                raise CommandError(f"{path}: no raw file in this folder: none has the columns {', '.join(REQUIRED)}")
            found += inside
        else:
            found.append(path)
    return found


def raw_files_of(folder: Path) -> list[Path]:
    """Return the raw files of a folder in name order: tables of events, whether or not they can be used.

    A raw file that is damaged, of another encoding or without a column is one too: whoever reads it says what is wrong,
    and no events are left out in silence. Masters, truth tables and what was set aside are none.
    """
    return sorted(path for path in folder.iterdir() if _may_be_raw(path) and _is_raw(path))


def _may_be_raw(path: Path) -> bool:
    name = _NAME.fullmatch(path.name)
    return name is not None and (name["stem"] or name["bare"]).lower() not in _OTHER_TABLES and path.is_file()


def _is_raw(path: Path) -> bool:
    try:
        with open_raw(path) as stream:
            line = stream.readline()
    except READ_ERRORS:
        return True
    try:
        names = set(Header.of(line).names)
    except UnicodeDecodeError:
        return b"epc_code" in line.replace(b"\0", b"")  # UTF-16 puts zeros between the letters
    placed = bool({"location_id", "scan_location"} & names)
    labels = not placed and {kind.lower() for kind in KINDS} <= names  # a truth table that repeats codes and times
    return {"epc_code", "event_time"} <= names and not labels
