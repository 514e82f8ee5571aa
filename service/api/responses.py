"""Judgements to AnalyzeResponse messages, file by file: the shape that the Java backend stores."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from math import isnan

import numpy as np
from numpy.typing import NDArray

from service.api.explanations import add_reasons
from service.detect.detector import Judgement, joined
from service.events.columns import Events
from service.events.vocabulary import KINDS
from service.explain.explainer import Explanation
from service.pb.epcsentinel.v1 import anomaly_pb2 as pb
from service.runtime.threads import give_way

_FLAG_FIELDS = ("epc_fake", "epc_dup", "loc_err", "evt_order_err", "jump")  # in the order of KINDS
_SCORE_FIELDS = tuple(f"{flag}_score" for flag in _FLAG_FIELDS)
_COUNT_FIELDS = tuple(f"{flag}_count" for flag in _FLAG_FIELDS)

_MEMBER_FIELDS = ("lstm_sequence_score", "svm_outlier_score", "rule_score", "ml_combined_score")


def build_responses(
    events: Events, judgement: Judgement, told: Explanation | None = None, *, of_incidents: int | None = None
) -> list[pb.AnalyzeResponse]:
    """Return one answer per file_id, in order of first appearance; findings and EPCs keep the order of the events.

    With ``told`` of the judgement each finding says why, ``of_incidents`` has a cause, and a sentence where one of so
    many incidents begins, the largest.
    """
    files, rank = _files(events.file_id)
    answers = [
        pb.AnalyzeResponse(
            file_id=file_id,
            method=judgement.method,
            model_version=judgement.model_version,
            # Not a warning of the judgement, which says that its quality is less: it counts as degraded.
            warning=joined(judgement.warning, events.spelling.warning(rank == at) if events.spelling else ""),
        )
        for at, file_id in enumerate(files)
    ]
    flagged = np.flatnonzero(judgement.flags.any(axis=1))
    # Stable: inside a file the events keep their order. The numbers are worked out by column, so that a request of as
    # many files as events costs no more than one of a single file. Messages are made where they belong: a list of them
    # would be copied, which takes twice as long and keeps the interpreter from everybody else.
    flagged = flagged[np.argsort(rank[flagged], kind="stable")]
    flagged_rank = rank[flagged]
    _add_findings(answers, flagged_rank, events.event_id[flagged], judgement.scores[flagged], judgement.flags[flagged])
    if told is not None:
        findings = chain.from_iterable(answer.event_history for answer in answers)
        add_reasons(findings, told, flagged, _FLAG_FIELDS, of_incidents=of_incidents)
    if judgement.member_scores is not None:
        _add_member_scores(answers, judgement.member_scores[flagged])
        _add_resolutions(answers, flagged, judgement.resolutions)
        _add_summaries(answers, judgement.member_scores, rank)
    _add_stats(answers, events, flagged, flagged_rank, judgement.flags[flagged])
    return answers


def _files(file_id: NDArray[np.int64]) -> tuple[list[int], NDArray[np.intp]]:
    """Return (the ids of the files in order of first appearance, [N] the place of each event's file in that)."""
    if (file_id == file_id[0]).all():
        return [int(file_id[0])], np.zeros(len(file_id), dtype=np.intp)
    files, first, file_of = np.unique(file_id, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return files[order].tolist(), rank[file_of]


def _add_findings(
    answers: list[pb.AnalyzeResponse],
    rank: NDArray[np.intp],
    event_id: NDArray[np.int64],
    scores: NDArray[np.float32],
    flags: NDArray[np.bool_],
) -> None:
    """Add a finding per event; only its flagged kinds are set. Scores become probability x 100, 4 decimals."""
    percent = np.round(scores.astype(np.float64) * 100.0, 4).tolist()
    rows = zip(rank.tolist(), event_id.tolist(), flags.tolist(), percent, strict=True)
    for at, one_id, is_flagged, of_kind in rows:
        give_way()
        finding = answers[at].event_history.add(event_id=one_id)
        for kind, flag in enumerate(_FLAG_FIELDS):
            if is_flagged[kind]:
                setattr(finding, flag, True)
                setattr(finding, _SCORE_FIELDS[kind], of_kind[kind])


def _add_member_scores(answers: list[pb.AnalyzeResponse], scores: NDArray[np.float32]) -> None:
    """Set in the findings the scores [n, 4] that an ensemble combined, and what it made of them; as `_add_findings`.

    A member that could not answer, NaN, has none.
    """
    findings = chain.from_iterable(answer.event_history for answer in answers)
    for finding, row in zip(findings, np.round(scores.astype(np.float64) * 100.0, 4).tolist(), strict=True):
        for name, score in zip(_MEMBER_FIELDS, row, strict=True):
            if not isnan(score):
                setattr(finding, name, score)


def _add_resolutions(
    answers: list[pb.AnalyzeResponse], flagged: NDArray[np.intp], resolutions: Mapping[int, str]
) -> None:
    """Set in the findings, those of the events ``flagged`` in this order, how disagreements were resolved."""
    findings = chain.from_iterable(answer.event_history for answer in answers)
    for finding, at in zip(findings, flagged.tolist(), strict=True):
        if at in resolutions:
            finding.resolution = resolutions[at]


def _add_summaries(answers: list[pb.AnalyzeResponse], scores: NDArray[np.float32], rank: NDArray[np.intp]) -> None:
    """Set the means of the scores [N, 4] of all events of each file."""
    files = len(answers)
    sums = np.stack([np.bincount(rank, each * 100.0, minlength=files) for each in scores.astype(np.float64).T], axis=1)
    means = np.round(sums / np.bincount(rank, minlength=files)[:, None], 4).tolist()
    for answer, row in zip(answers, means, strict=True):
        known = {f"mean_{name}": mean for name, mean in zip(_MEMBER_FIELDS, row, strict=True) if not isnan(mean)}
        answer.ml_summary_stats.CopyFrom(pb.MlSummaryStats(**known))


def _add_stats(
    answers: list[pb.AnalyzeResponse],
    events: Events,
    flagged: NDArray[np.intp],
    flagged_rank: NDArray[np.intp],
    flags: NDArray[np.bool_],
) -> None:
    """Add the counts by file, and by file and EPC with a finding; all are set, so that zeros show in JSON."""
    # Codes are numbered by first appearance, so sorting by (file rank, code) gives the order of the request.
    key = flagged_rank.astype(np.int64) * len(events.epc_codes) + events.epc[flagged]
    pairs, first, row_of = np.unique(key, return_index=True, return_inverse=True)
    epc_counts = np.zeros((len(pairs), len(KINDS)), dtype=np.int64)
    np.add.at(epc_counts, row_of, flags)
    file_counts = np.zeros((len(answers), len(KINDS)), dtype=np.int64)
    np.add.at(file_counts, flagged_rank, flags)
    rank, codes = pairs // len(events.epc_codes), events.sent_codes(flagged[first])
    for at, code, counts in zip(rank.tolist(), codes, epc_counts.tolist(), strict=True):
        _set_counts(answers[at].epc_anomaly_stats.add(epc_code=code), counts)
    for answer, counts in zip(answers, file_counts.tolist(), strict=True):
        _set_counts(answer.file_anomaly_stats, counts)


def _set_counts(stats: pb.EpcAnomalyStats | pb.FileAnomalyStats, counts: list[int]) -> None:
    for name, count in zip(_COUNT_FIELDS, counts, strict=True):
        setattr(stats, name, count)
    stats.total_events = sum(counts)
