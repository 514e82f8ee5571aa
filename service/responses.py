"""Verdicts to AnalyzeResponse messages, file by file: the shape that the Java backend stores."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.events import KINDS, Events
from service.pb.epcsentinel.v1 import anomaly_pb2 as pb
from service.pipeline import Verdicts

_FLAG_FIELDS = ("epc_fake", "epc_dup", "loc_err", "evt_order_err", "jump")  # in the order of KINDS
_SCORE_FIELDS = tuple(f"{flag}_score" for flag in _FLAG_FIELDS)
_COUNT_FIELDS = tuple(f"{flag}_count" for flag in _FLAG_FIELDS)


def build_responses(events: Events, verdicts: Verdicts) -> list[pb.AnalyzeResponse]:
    """Return one answer per file_id, in order of first appearance; findings and EPCs keep the order of the events."""
    files, rank = _files(events.file_id)
    flagged = np.flatnonzero(verdicts.flags.any(axis=1))
    # Stable: inside a file the events keep their order. Everything below is columnar, so that a request of as many
    # files as events costs no more than one of a single file.
    flagged = flagged[np.argsort(rank[flagged], kind="stable")]
    flagged_rank = rank[flagged]
    findings = _findings(events.event_id[flagged], verdicts.scores[flagged], verdicts.flags[flagged])
    summaries: list[pb.MlSummaryStats | None] = [None] * len(files)
    if verdicts.parts is not None:
        _add_parts(findings, verdicts.parts[flagged])
        summaries = _summaries(verdicts.parts, rank, len(files))
    finding_cuts = np.searchsorted(flagged_rank, np.arange(len(files) + 1)).tolist()
    stats_rank, stats, file_counts = _stats(events, flagged, flagged_rank, verdicts.flags[flagged], len(files))
    stats_cuts = np.searchsorted(stats_rank, np.arange(len(files) + 1)).tolist()
    return [
        pb.AnalyzeResponse(
            file_id=file_id,
            method=verdicts.method,
            event_history=findings[finding_cuts[at] : finding_cuts[at + 1]],
            epc_anomaly_stats=stats[stats_cuts[at] : stats_cuts[at + 1]],
            file_anomaly_stats=pb.FileAnomalyStats(**_counts(file_counts[at])),
            model_version=verdicts.model_version,
            warning=verdicts.warning,
            ml_summary_stats=summaries[at],
        )
        for at, file_id in enumerate(files)
    ]


def _files(file_id: NDArray[np.int64]) -> tuple[list[int], NDArray[np.intp]]:
    """Return (the ids of the files in order of first appearance, [N] the place of each event's file in that)."""
    if (file_id == file_id[0]).all():
        return [int(file_id[0])], np.zeros(len(file_id), dtype=np.intp)
    files, first, file_of = np.unique(file_id, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return files[order].tolist(), rank[file_of]


def _findings(
    event_id: NDArray[np.int64], scores: NDArray[np.float32], flags: NDArray[np.bool_]
) -> list[pb.EventFinding]:
    """Return one finding per event; only its flagged kinds are set. Scores become probability x 100, 4 decimals."""
    percent = np.round(scores.astype(np.float64) * 100.0, 4).tolist()
    findings = []
    for at, (one_id, row) in enumerate(zip(event_id.tolist(), flags.tolist(), strict=True)):
        fields: dict[str, Any] = {}
        for kind in range(len(KINDS)):
            if row[kind]:
                fields[_FLAG_FIELDS[kind]] = True
                fields[_SCORE_FIELDS[kind]] = percent[at][kind]
        findings.append(pb.EventFinding(event_id=one_id, **fields))
    return findings


def _add_parts(findings: list[pb.EventFinding], parts: NDArray[np.float32]) -> None:
    """Set the scores [N, 3] that an ensemble combined, and what it made of them; as those of `_findings`."""
    for finding, row in zip(findings, np.round(parts.astype(np.float64) * 100.0, 4).tolist(), strict=True):
        finding.lstm_sequence_score, finding.svm_outlier_score, finding.ml_combined_score = row


def _summaries(parts: NDArray[np.float32], rank: NDArray[np.intp], files: int) -> list[pb.MlSummaryStats | None]:
    """Return the means of the scores [N, 3] of all events of each file."""
    sums = np.stack([np.bincount(rank, part * 100.0, minlength=files) for part in parts.astype(np.float64).T], axis=1)
    means = np.round(sums / np.bincount(rank, minlength=files)[:, None], 4).tolist()
    return [
        pb.MlSummaryStats(mean_lstm_sequence_score=lstm, mean_svm_outlier_score=svm, mean_ml_combined_score=combined)
        for lstm, svm, combined in means
    ]


def _stats(
    events: Events,
    flagged: NDArray[np.intp],
    flagged_rank: NDArray[np.intp],
    flags: NDArray[np.bool_],
    file_count: int,
) -> tuple[NDArray[np.int64], list[pb.EpcAnomalyStats], list[list[int]]]:
    """Return (file rank of each row, one row per file and EPC with a finding, [file_count, 5] counts per file)."""
    # Codes are numbered by first appearance, so sorting by (file rank, code) gives the order of the request.
    key = flagged_rank.astype(np.int64) * len(events.epc_codes) + events.epc[flagged]
    pairs, row_of = np.unique(key, return_inverse=True)
    epc_counts = np.zeros((len(pairs), len(KINDS)), dtype=np.int64)
    np.add.at(epc_counts, row_of, flags)
    file_counts = np.zeros((file_count, len(KINDS)), dtype=np.int64)
    np.add.at(file_counts, flagged_rank, flags)
    stats_rank, epc = np.divmod(pairs, len(events.epc_codes))
    stats = [
        pb.EpcAnomalyStats(epc_code=events.epc_codes[code], **_counts(counts))
        for code, counts in zip(epc.tolist(), epc_counts.tolist(), strict=True)
    ]
    return stats_rank, stats, file_counts.tolist()


def _counts(counts: list[int]) -> dict[str, Any]:
    """Return the count fields of a statistics message; all are set, so that zeros show in JSON."""
    return dict(zip(_COUNT_FIELDS, counts, strict=True), total_events=sum(counts))
