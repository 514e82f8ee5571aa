"""Which files of a folder are raw files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from service.errors import CommandError
from service.rawfiles.columns import REQUIRED
from service.rawfiles.rows import READ_ERRORS, Header, open_raw

_SUFFIXES = {".csv", ".tsv", ".txt", ".gz"}


def raw_files(paths: Sequence[Path]) -> list[Path]:
    """Return the files, and for each folder its raw files in name order: tables that have the columns of an event."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(file for file in path.iterdir() if file.suffix.lower() in _SUFFIXES and _is_raw(file))
            if not inside:
                raise CommandError(f"{path}: no raw file in this folder: none has the columns {', '.join(REQUIRED)}")
            found += inside
        else:
            found.append(path)
    return found


def _is_raw(path: Path) -> bool:
    try:
        with open_raw(path) as stream:
            return set(REQUIRED) <= set(Header.of(stream.readline()).names)
    except (UnicodeDecodeError, *READ_ERRORS):
        return False
