"""The detection log: judged events with their scores as Parquet files, to train on later. Needs the extra ``parquet``.

Opt-in, because it holds the codes of items; bounded, because it may run for years: the oldest files go first.
"""

from __future__ import annotations

import importlib
import os
import queue
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import structlog

from service.detect.analyzer import Verdicts
from service.errors import CommandError
from service.events.columns import Events
from service.events.vocabulary import EVENT_TYPES, KINDS, LEVELS
from service.monitoring.records import Analysis

QUEUE_EVENTS = 200_000
"""Events that wait for a slow disk, at most; those of further requests are dropped and counted."""

FILE_EVENTS = 100_000
FILE_S = 60.0
"""A file is written when it has so many events, or so many seconds after its first one."""

_CLOSE_S = 10.0
_TYPES, _STEPS = np.array([*EVENT_TYPES, ""]), np.array([*LEVELS, ""])  # the code UNKNOWN = -1 picks the empty name

log = structlog.get_logger("epc_sentinel.detections")


@dataclass(frozen=True, slots=True, eq=False)
class _Judged:
    events: Events
    verdicts: Verdicts
    request_id: str
    causal: bool


class DetectionLog:
    """Writes ``detections-<time>-<process>.parquet`` into a folder; an `Observer`."""

    def __init__(self, folder: Path, *, max_bytes: int, file_s: float = FILE_S) -> None:
        """Start the writer. Args: ``max_bytes`` of all files together, before the oldest go.

        Raises:
            CommandError: the folder cannot be written, or the extra is not installed.
        """
        self.written = 0  # events
        self.dropped = 0  # events that found the queue full, or no disk
        self._folder, self._max_bytes, self._file_s = folder, max_bytes, file_s
        self._arrow, self._parquet = _pyarrow()
        self._queue: queue.SimpleQueue[_Judged | None] = queue.SimpleQueue()
        self._waiting = 0  # events
        self._lock = threading.Lock()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            probe = folder / f".{os.getpid()}"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise CommandError(
                f"cannot write the detection log to {folder}: {error.strerror}; name a writable folder with"
                " --detection-log"
            ) from None
        self._writer = threading.Thread(target=self._run, name="detections", daemon=True)
        self._writer.start()

    def analysed(self, analysis: Analysis) -> None:
        """See `Observer.analysed`; only judged events are kept."""
        events, verdicts = analysis.events, analysis.verdicts
        if events is None or verdicts is None or analysis.code != "OK":
            return
        with self._lock:
            fits = self._waiting + len(events) <= QUEUE_EVENTS
            if fits:
                self._waiting += len(events)
            else:
                self.dropped += len(events)
        if fits:
            self._queue.put(_Judged(events, verdicts, analysis.request_id, analysis.method == "AnalyzeStream"))

    def close(self) -> None:
        """Write what waits."""
        self._queue.put(None)
        self._writer.join(_CLOSE_S)
        if self.dropped:
            log.error("events are missing in the detection log", events=self.dropped, folder=str(self._folder))

    def _run(self) -> None:
        batch: list[_Judged] = []
        rows, due = 0, float("inf")
        going_on = True
        while going_on:
            with suppress(queue.Empty):
                one = self._queue.get(timeout=None if due == float("inf") else max(0.0, due - time.monotonic()))
                if one is None:
                    going_on = False
                else:
                    due = min(due, time.monotonic() + self._file_s)
                    batch.append(one)
                    rows += len(one.events)
            if batch and (rows >= FILE_EVENTS or time.monotonic() >= due or not going_on):
                self._save(batch, rows)
                batch, rows, due = [], 0, float("inf")

    def _save(self, batch: list[_Judged], rows: int) -> None:
        now = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        path = self._folder / f"detections-{now}-{os.getpid()}.parquet"
        scratch = path.with_suffix(".tmp")
        try:
            parts = [self._arrow.table(columns(one)) for one in batch]
            self._parquet.write_table(self._arrow.concat_tables(parts), scratch, compression="zstd")
            scratch.replace(path)
            self._make_room()
            self.written += rows
        except (OSError, self._arrow.ArrowException) as error:
            self.dropped += rows
            log.error("the detection log cannot be written", folder=str(self._folder), reason=str(error))
            with suppress(OSError):
                scratch.unlink()
        finally:
            with self._lock:
                self._waiting -= rows

    def _make_room(self) -> None:
        """Delete the oldest files while all of them have too many bytes; the newest stays.

        Other gateways may write to the folder, and delete there at the same moment.
        """
        sizes = {}
        for file in sorted(self._folder.glob("detections-*.parquet")):
            with suppress(FileNotFoundError):
                sizes[file] = file.stat().st_size
        total = sum(sizes.values())
        for file in list(sizes)[:-1]:
            if total <= self._max_bytes:
                break
            total -= sizes[file]
            file.unlink(missing_ok=True)


def columns(judged: _Judged) -> dict[str, Any]:
    """Return the columns of judged events: those of raw files, a score by kind, and how they were judged."""
    events, verdicts = judged.events, judged.verdicts
    count = len(events)
    codes = np.array(events.epc_codes, dtype=object)
    return {
        "event_id": events.event_id,
        "epc_code": codes[events.epc],
        "location_id": events.location_id,
        "business_step": _STEPS[events.step],
        "event_type": _TYPES[events.event_type],
        "event_time": events.time_us.astype("datetime64[us]"),
        "file_id": events.file_id,
        **{kind: verdicts.scores[:, column] for column, kind in enumerate(KINDS)},
        **{f"{kind}Flag": verdicts.flags[:, column] for column, kind in enumerate(KINDS)},
        "causal": np.full(count, judged.causal),
        "judged_by": [verdicts.method] * count,
        "model_version": [verdicts.model_version] * count,
        "request_id": [judged.request_id] * count,
    }


def _pyarrow() -> tuple[Any, Any]:
    try:
        return importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise CommandError("the detection log needs the extra 'parquet': pip install 'epc-sentinel[parquet]'") from None
