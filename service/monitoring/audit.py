"""The audit log: one JSON line per analysis, few per flood of refused calls, appended by a thread: no call waits."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import structlog

from service.errors import CommandError
from service.events.vocabulary import KINDS
from service.monitoring.background_writer import BackgroundWriter, Bounds, Outcome
from service.monitoring.records import Analysis, Refusal
from service.monitoring.refusals import Refusals
from service.settings import STDOUT

QUEUE_ENTRIES = 20_000
"""Entries that wait for a slow disk, at most, 3 KiB of memory each; further ones are dropped and counted."""

MAX_FILE_IDS = 100
"""File ids of one entry; ``file_count`` has their number."""

_REFUSED = ("INVALID_ARGUMENT", "RESOURCE_EXHAUSTED", "UNIMPLEMENTED")
"""How an analysis ends that was refused for what was asked, or how often: these are counted, not listed."""

_BATCH = 1_000
_ENTRY_BYTES = 2_000  # more than an entry has, but for one of very many files
_GATHER_S = 0.02  # the writer waits so long for company: each time it wakes it takes the interpreter from the others
_RETRY_S = 0.5

log = structlog.get_logger("epc_sentinel.audit")


class AuditLog:
    """Appends to a file, which becomes ``NAME-<time>.EXT`` when it is full; an `Observer`. No file is ever deleted.

    Where somebody else renames it, as logrotate does, the next entries are in a new file of the old name. On standard
    output nothing is put aside: that is for whoever reads it.
    """

    def __init__(self, path: Path, *, max_bytes: int) -> None:
        """Open the file, and start the writer. Args: ``max_bytes`` of a file before it is put aside.

        Raises:
            CommandError: the file cannot be written.
        """
        self.failures = 0  # writes that failed, and are tried again
        self._path, self._max_bytes = path, max_bytes
        # Entries of one write: they fit into one file. On standard output one: workers share it, and a pipe keeps
        # together what is written at once, up to 4 KiB.
        self._block = 1 if path == STDOUT else max(1, min(_BATCH, max_bytes // _ENTRY_BYTES))
        self._refusals = Refusals()
        try:
            self._file = self._open()
        except OSError as error:
            raise CommandError(
                f"cannot append to the audit log {path}: {error.strerror}; name a file in a writable folder"
                " with --audit-log"
            ) from None
        bounds = Bounds(waiting=QUEUE_ENTRIES, batch=_BATCH, gather_s=_GATHER_S)
        self._writer = BackgroundWriter("audit", self._write, bounds, lambda: self._refusals.wait_s)

    def analysed(self, analysis: Analysis) -> None:
        """See `Observer.analysed`: the entry is queued, and written some 20 ms later."""
        if analysis.code in _REFUSED:
            one = analysis
            self.refused(Refusal(one.method, one.request_id, one.caller, one.peer, one.code, one.reason))
        else:
            self._append(entry(analysis))

    def refused(self, refusal: Refusal) -> None:
        """Note a call that was refused: queued if it is the first of its kind, else counted for the next summary."""
        if (first := self._refusals.note(refusal)) is not None:
            self._append(first)

    def _append(self, one: dict[str, Any]) -> None:
        if not self._writer.put(one) and self.dropped == 1:
            log.error("the audit log is behind, entries are dropped", path=str(self._path))

    @property
    def written(self) -> int:
        """Entries in the file."""
        return self._writer.written

    @property
    def dropped(self) -> int:
        """Entries that found the queue full, or no disk at the end."""
        return self._writer.dropped

    @property
    def waiting(self) -> int:
        """Entries that are not written yet."""
        return self._writer.waiting

    @property
    def stalled_s(self) -> float:
        """Seconds that the write in progress has taken so far."""
        return self._writer.stalled_s

    def close(self) -> None:
        """Write what waits, at most 5 seconds, and close the file; what is lost is counted and logged."""
        self._writer.close()
        if self.dropped:
            log.error("entries of the audit log are lost", entries=self.dropped, path=str(self._path))

    def _write(self, batch: list[dict[str, Any]], is_last: bool) -> Outcome:
        entries = batch + self._refusals.due(now=is_last)
        written = 0
        for at in range(0, len(entries), self._block):
            block = entries[at : at + self._block]
            if not self._write_block(block):
                break
            written += len(block)
        if is_last:
            os.close(self._file)
        return Outcome(written, len(entries) - written)

    def _write_block(self, entries: list[dict[str, Any]]) -> bool:
        """Write all of them, as long as it takes; return False if the gateway ends before that."""
        data = "".join(json.dumps(one, separators=(",", ":")) + "\n" for one in entries).encode()
        begun = False  # a line never goes on in another file
        while data:
            try:
                if not begun and self._path != STDOUT:
                    self._follow()
                    self._rotate(len(data))
                data = data[os.write(self._file, data) :]
                begun = True
            except OSError as error:
                self.failures += 1
                if self.failures == 1:
                    log.error("the audit log cannot be written", path=str(self._path), reason=error.strerror)
                if self._writer.is_late:
                    return False
                time.sleep(_RETRY_S)
        return True

    def _follow(self) -> None:
        """Go on in a new file if the path does not lead to the open one any more: it was renamed or deleted."""
        try:
            there = os.path.samestat(self._path.stat(), os.fstat(self._file))
        except FileNotFoundError:
            there = False
        if not there:
            self._exchange()

    def _exchange(self) -> None:
        """Open the file of the path, and be done with the one that was open."""
        old, self._file = self._file, self._open()
        os.fsync(old)
        os.close(old)

    def _rotate(self, more: int) -> None:
        """Put the file aside if it is too full for ``more`` bytes, and begin a new one."""
        size = os.fstat(self._file).st_size
        if size == 0 or size + more <= self._max_bytes:
            return
        now = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        self._path.rename(self._path.with_name(f"{self._path.stem}-{now}{self._path.suffix}"))
        self._exchange()

    def _open(self) -> int:
        if self._path == STDOUT:
            return os.dup(sys.stdout.fileno())
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
        size = os.fstat(file).st_size
        if size and os.pread(file, 1, size - 1) != b"\n":  # a crash cut the last line off: the next one begins anew
            os.write(file, b"\n")
        return file


def entry(analysis: Analysis) -> dict[str, Any]:
    """Return what the audit log says of an analysis: numbers and hashes, never codes of items."""
    events, judgement = analysis.events, analysis.judgement
    files = [] if events is None else np.unique(events.file_id).tolist()
    findings = [0] * len(KINDS) if judgement is None else judgement.flags.sum(axis=0).tolist()
    return {
        "time": datetime.now(UTC).isoformat(timespec="microseconds"),
        "request_id": analysis.request_id,
        "caller": analysis.caller,
        "peer": analysis.peer,
        "method": analysis.method,
        "detector": analysis.detector,
        "judged_by": "" if judgement is None else judgement.method,
        "model_version": "" if judgement is None else judgement.model_version,
        "warning": "" if judgement is None else judgement.warning,
        "file_ids": files[:MAX_FILE_IDS],
        "file_count": len(files),
        "events": 0 if events is None else len(events),
        "epcs": 0 if events is None else len(events.epc_codes),
        "findings": dict(zip(KINDS, findings, strict=True)),
        "request_sha256": hashlib.sha256(analysis.request).hexdigest(),
        "answer_sha256": hashlib.sha256(analysis.answer).hexdigest() if analysis.answer else "",
        "code": analysis.code,
        "reason": analysis.reason,
        "duration_ms": round(analysis.duration_s * 1e3, 3),
    }
