"""The detection log: judged events with their scores as Parquet files, to train on later. Needs the extra ``parquet``.

Opt-in, because it holds the codes of items; bounded, because it may run for years: the oldest files go first.
"""

from __future__ import annotations

import importlib
import os
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import structlog
from numpy.typing import NDArray

from service.detect.detector import Judgement
from service.errors import CommandError
from service.events.columns import Events
from service.events.vocabulary import EVENT_TYPES, KINDS, LEVELS
from service.feedback.sampling import AuditSample, AuditSamples
from service.monitoring.background_writer import BackgroundWriter, Bounds, Outcome
from service.monitoring.records import Analysis

QUEUE_EVENTS = 200_000
"""Events that wait for a slow disk, at most; those of further requests are dropped and counted."""

FILE_EVENTS = 100_000
FILE_S = 60.0
"""A file is written when it has so many events, or so many seconds after its first one."""

_TYPES, _STEPS = np.array([*EVENT_TYPES, ""]), np.array([*LEVELS, ""])  # the code UNKNOWN = -1 picks the empty name

log = structlog.get_logger("epc_sentinel.detections")


@dataclass(frozen=True, slots=True, eq=False)
class _Judged:
    events: Events
    judgement: Judgement
    request_id: str
    causal: bool
    sample: AuditSample | None  # of the version that judged


class DetectionLog:
    """Writes ``detections-<time>-<host>-<process>.parquet`` into a folder; an `Observer`."""

    def __init__(
        self, folder: Path, *, max_bytes: int, file_s: float = FILE_S, samples: AuditSamples | None = None
    ) -> None:
        """Start the writer.

        Args:
            folder: gets the files.
            max_bytes: of all files together, before the oldest go.
            file_s: seconds after its first event in which a file is written.
            samples: draw the audit sample; None: there is none.

        Raises:
            CommandError: the folder cannot be written, or the extra is not installed.
        """
        self._folder, self._max_bytes, self._samples = folder, max_bytes, samples
        self._arrow, self._parquet = _pyarrow()
        self._writer_id = f"{os.uname().nodename}-{os.getpid()}"  # in a pod every gateway is process 1
        try:
            folder.mkdir(parents=True, exist_ok=True)
            probe = folder / f".{self._writer_id}"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise CommandError(
                f"cannot write the detection log to {folder}: {error.strerror}; name a writable folder with"
                " --detection-log"
            ) from None
        bounds = Bounds(waiting=QUEUE_EVENTS, batch=FILE_EVENTS, gather_s=file_s)
        self._writer = BackgroundWriter("detections", self._write, bounds)

    def analysed(self, analysis: Analysis) -> None:
        """See `Observer.analysed`; only judged events are kept, not those that are asked about again."""
        events, judgement = analysis.events, analysis.judgement
        if not analysis.judged or events is None or judgement is None:
            return
        sample = self._samples.of(judgement.wiring) if self._samples else None
        judged = _Judged(events, judgement, analysis.request_id, analysis.causal, sample)
        self._writer.put(judged, len(events))

    @property
    def written(self) -> int:
        """Events in files."""
        return self._writer.written

    @property
    def dropped(self) -> int:
        """Events that found the queue full, or no disk."""
        return self._writer.dropped

    def close(self) -> None:
        """Write what waits."""
        self._writer.close()
        if self.dropped:
            log.error("events are missing in the detection log", events=self.dropped, folder=str(self._folder))

    def _write(self, batch: list[_Judged], _is_last: bool) -> Outcome:
        rows = sum(len(one.events) for one in batch)
        if not batch or self._save(batch):
            return Outcome(rows)
        return Outcome(0, lost=rows)

    def _save(self, batch: list[_Judged]) -> bool:
        """Write a file; return whether it is there."""
        now = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        path = self._folder / f"detections-{now}-{self._writer_id}.parquet"
        scratch = path.with_suffix(".tmp")
        try:
            parts = [self._arrow.table(columns(one)) for one in batch]
            self._parquet.write_table(self._arrow.concat_tables(parts), scratch, compression="zstd")
            scratch.replace(path)
            self._make_room()
        except (OSError, self._arrow.ArrowException) as error:
            log.error("the detection log cannot be written", folder=str(self._folder), reason=str(error))
            with suppress(OSError):
                scratch.unlink()
            return False
        return True

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
    events, judgement = judged.events, judged.judgement
    count = len(events)
    if events.spelling is None:
        codes = np.array(events.epc_codes, dtype=object)[events.epc]
    else:
        codes = np.array(events.bare_codes(np.arange(count)), dtype=object)
    return {
        "event_id": events.event_id,
        "epc_code": codes,
        "location_id": events.location_id,
        "business_step": _STEPS[events.step],
        "event_type": _TYPES[events.event_type],
        "event_time": events.time_us.astype("datetime64[us]"),
        "file_id": events.file_id,
        **{kind: judgement.scores[:, column] for column, kind in enumerate(KINDS)},
        **{f"{kind}Flag": judgement.flags[:, column] for column, kind in enumerate(KINDS)},
        "causal": np.full(count, judged.causal),
        "judged_by": [judgement.method] * count,
        "model_version": [judgement.model_version] * count,
        "request_id": [judged.request_id] * count,
        "audit_probability": _audit_probability(judged),
    }


def _audit_probability(judged: _Judged) -> NDArray[np.float64]:
    """Return the probability [N] by which each event of the audit sample is in it, 0 for all others."""
    if judged.sample is None:
        return np.zeros(len(judged.events))
    return judged.sample.probability_if_drawn(judged.events, judged.judgement.scores, causal=judged.causal)


def _pyarrow() -> tuple[Any, Any]:
    try:
        return importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise CommandError("the detection log needs the extra 'parquet': pip install 'epc-sentinel[parquet]'") from None
