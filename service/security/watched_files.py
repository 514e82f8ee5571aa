"""Files that may change while the gateway runs: certificates, keys. A change is read; a bad one is refused."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

import structlog

from service.errors import SettingsError

CHECK_S = 1.0
"""Seconds between looks at the files: no later than this, and the next call, a change is in force."""

_T = TypeVar("_T")
_Stamp = tuple[tuple[int, int, int], ...]

log = structlog.get_logger("epc_sentinel.watched")


class Watched(Generic[_T]):
    """What ``parse`` makes of some files, made again when one of them changes; safe to use from several threads."""

    def __init__(self, setting: str, paths: Sequence[Path], parse: Callable[[Sequence[bytes]], _T]) -> None:
        """Read the files for the first time.

        Args:
            setting: the flags that name the files, for messages.
            paths: the files; symbolic links are followed at every look, so a mounted Kubernetes secret works.
            parse: takes their contents, in order; raises ValueError with one line on what is wrong.

        Raises:
            SettingsError: a file cannot be read, or ``parse`` refuses the contents.
        """
        self._setting = setting
        self._paths = paths
        self._parse = parse
        self._lock = threading.Lock()
        self._complaint = ""
        self._looked_s = time.monotonic()
        try:
            self._stamp = self._look()
            self._value = self._read()
        except OSError as error:
            raise SettingsError(f"{setting}: {_one_line(error)}") from None
        except ValueError as error:
            where = f"{paths[0]}: " if len(paths) == 1 else ""
            raise SettingsError(f"{setting}: {where}{_one_line(error)}") from None

    @property
    def value(self) -> _T:
        """What the files say now; while they are unusable, what they said before."""
        with self._lock:
            if (now_s := time.monotonic()) - self._looked_s >= CHECK_S:
                self._looked_s = now_s
                self._renew()
            return self._value

    def _renew(self) -> None:
        try:
            if (stamp := self._look()) == self._stamp:
                return
            value = self._read()
        except (OSError, ValueError) as error:
            # Half-written, as a rule: whole at the next look. The old contents stay in force.
            if (complaint := _one_line(error)) != self._complaint:
                log.error("cannot reload", setting=self._setting, reason=complaint)
            self._complaint = complaint
            return
        self._stamp, self._value, self._complaint = stamp, value, ""
        log.info("reloaded", setting=self._setting)

    def _look(self) -> _Stamp:
        found = [path.stat() for path in self._paths]
        return tuple((one.st_mtime_ns, one.st_ino, one.st_size) for one in found)

    def _read(self) -> _T:
        return self._parse([path.read_bytes() for path in self._paths])


def _one_line(error: OSError | ValueError) -> str:
    if isinstance(error, OSError):
        return f"cannot read {error.filename}: {error.strerror}"
    return " ".join(str(error).split())
