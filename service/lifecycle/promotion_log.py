"""The log of promotions: one JSON line per entry, appended, synced to the disk, never changed.

An entry counts from the moment its line ends with a newline on the disk; a process that is killed before leaves a torn
line, which nobody reads and the next writer cuts off. Each line has the SHA-256 of the line before it, so that a log
that was edited does not pass for one. Writers take turns by a lock on a file beside it, which the kernel lets go of
when its holder dies.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path

from pydantic import ValidationError

from service.errors import ModelRepositoryError, NotInThisState
from service.lifecycle.states import Entry, Standing, standing_of

LOG_FILE = "promotions.jsonl"
_LOCK_FILE = "promotions.lock"

WRITABLE = "make the folder of --lifecycle writable, or name another"
"""What to do where it cannot be written; nobody named the files in it."""

Stamp = tuple[int, int]
"""What a log that grew has otherwise: inode and size in bytes."""


class PromotionLog:
    """The log in one folder, which gateways and commands of several processes share."""

    def __init__(self, folder: Path) -> None:
        """Args: ``folder`` is made with the first entry."""
        self.folder = folder
        self.path = folder / LOG_FILE

    def stamp(self) -> Stamp | None:
        """Return what changes with every entry; None while there is no log."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return None
        return found.st_ino, found.st_size

    def entries(self) -> list[Entry]:
        """Return all entries, the oldest first.

        Raises:
            ModelRepositoryError: the log cannot be read, or was changed afterwards.
        """
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise ModelRepositoryError(f"cannot read {self.path}: {error.strerror}") from None
        return list(self._read(content))

    def standing(self) -> Standing:
        """Return what all entries add up to; raises as `entries`."""
        try:
            return standing_of(self.entries())
        except NotInThisState as error:
            raise ModelRepositoryError(f"{self.path} has an entry that cannot be: {error}: restore it") from None

    @contextmanager
    def turn(self) -> Iterator[Standing]:
        """Hold the turn of writing; yields what holds now. Only with it may `append` be called.

        Raises:
            ModelRepositoryError: as `entries`, or the folder cannot be written.
        """
        with self._opened(self.folder / _LOCK_FILE) as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # waits; the kernel frees it with its holder
            yield self.standing()

    def append(self, make: Callable[[int, str, str], Entry]) -> Entry:
        """Write one entry, and return it when it is on the disk; the writer has the turn.

        Args: ``make`` gets its number, its time and the digest of the line before.

        Raises:
            ModelRepositoryError: it cannot be written; then it is not in the log.
        """
        with self._opened(self.path) as file:
            content = file.read()
            whole = content[: content.rfind(b"\n") + 1]
            if len(whole) < len(content):  # of a writer that was killed in the middle
                file.truncate(len(whole))
            lines = whole.splitlines()
            now = datetime.now(UTC).isoformat(timespec="milliseconds")
            entry = make(len(lines) + 1, now, _digest(lines[-1]) if lines else "")
            try:
                _write(file, entry.model_dump_json().encode() + b"\n")
            except OSError as error:
                os.ftruncate(file.fileno(), len(whole))
                raise ModelRepositoryError(f"cannot write {self.path}: {error.strerror}; nothing was changed") from None
        if not whole:
            _sync(self.folder)
        return entry

    @contextmanager
    def _opened(self, path: Path) -> Iterator[FileIO]:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            file = path.open("a+b", buffering=0)  # a buffer would write its rest when it closes, after all was undone
        except OSError as error:
            raise ModelRepositoryError(f"cannot write {path}: {error.strerror}; {WRITABLE}") from None
        with file:
            file.seek(0)
            yield file

    def _read(self, content: bytes) -> Iterator[Entry]:
        before = ""
        for number, line in enumerate(content[: content.rfind(b"\n") + 1].splitlines(), 1):
            try:
                entry = Entry.model_validate_json(line)
            except ValidationError:
                raise ModelRepositoryError(f"line {number} of {self.path} is no entry: restore the log") from None
            if (entry.number, entry.before) != (number, before):
                raise ModelRepositoryError(f"line {number} of {self.path} does not follow the one before: restore it")
            before = _digest(line)
            yield entry


def _write(file: FileIO, line: bytes) -> None:
    """Have all of a line on the disk: on one that is nearly full a write takes a part."""
    while line:
        line = line[file.write(line) :]
    os.fsync(file.fileno())


def _digest(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()


def _sync(folder: Path) -> None:
    """Have the folder itself on the disk: a file that it does not name yet is lost with the power."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
