"""Judgements to AnalyzeResponse messages, file by file: the shape that the Java backend stores."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from math import isnan

import numpy as np
from numpy.typing import NDArray

from service.api.explanations import add_reasons
from service.detect.coverage import coverage_warning
from service.detect.detector import Judgement, joined
from service.detect.hours import shift_warning
from service.events.columns import Events
from service.events.vocabulary import KINDS
from service.explain.explainer import Explanation
from service.pb.epcsentinel.v1 import anomaly_pb2 as pb
from service.runtime.threads import give_way

_FLAG_FIELDS = ("epc_fake", "epc_dup", "loc_err", "evt_order_err", "jump")  # in the order of KINDS
_SCORE_FIELDS = tuple(f"{flag}_score" for flag in _FLAG_FIELDS)

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
            warning=joined(
                judgement.warning,
                events.spelling.warning(rank == at) if events.spelling else "",
                shift_warning(judgement.shifts.get(file_id, 0)),
                coverage_warning(judgement.coverage.get(file_id)),
            ),
        )
        for at, file_id in enumerate(files)
    ]
    flagged = np.flatnonzero(judgement.flags.any(axis=1))
    # Stable: inside a file the events keep their order. The numbers are worked out by column, so that a request of as
    # many files as events costs no more than one of a single file. Messages are made where they belong: a list of them
    # would be copied, which takes twice as long and keeps the interpreter from everybody else.
    if len(files) > 1:
        flagged = flagged[np.argsort(rank[flagged], kind="stable")]
    file_of, flags = rank[flagged].tolist(), judgement.flags[flagged].view(np.uint8).tolist()
    _add_findings(answers, file_of, events.event_id[flagged].tolist(), judgement.scores[flagged], flags)
    if told is not None:
        findings = chain.from_iterable(answer.event_history for answer in answers)
        add_reasons(findings, told, flagged, _FLAG_FIELDS, of_incidents=of_incidents)
    if judgement.member_scores is not None:
        _add_member_scores(answers, judgement.member_scores[flagged])
        _add_resolutions(answers, flagged, judgement.resolutions)
        _add_summaries(answers, judgement.member_scores, rank)
    _add_stats(answers, file_of, events.epc[flagged].tolist(), events.sent_codes(flagged), flags)
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
    file_of: list[int],
    event_id: list[int],
    scores: NDArray[np.float32],
    flags: list[list[int]],
) -> None:
    """Add a finding per event; only its flagged kinds are set. Scores become probability x 100, 4 decimals."""
    percent = np.round(scores.astype(np.float64) * 100.0, 4).tolist()
    rows = zip(file_of, event_id, flags, percent, strict=True)
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
    answers: list[pb.AnalyzeResponse], file_of: list[int], epc: list[int], sent: list[str], flags: list[list[int]]
) -> None:
    """Add the counts by file, and by file and EPC with a finding; all are set, so that zeros show in JSON.

    By lists, as findings are few: numpy takes a dozen calls, and twice as long for an answer about 50 events.
    """
    found: dict[tuple[int, int], tuple[str, list[int]]] = {}  # by file and EPC: the code as it was sent, and counts
    for pair, code, is_flagged in zip(zip(file_of, epc, strict=True), sent, flags, strict=True):
        if pair in found:
            counts = found[pair][1]
            for kind, flag in enumerate(is_flagged):
                counts[kind] += flag
        else:
            found[pair] = (code, is_flagged.copy())
    totals = [[0] * len(KINDS) for _ in answers]
    # Codes are numbered by first appearance, so (file, code) sorted is the order of the request.
    for (file, _), (code, counts) in sorted(found.items()):
        give_way()
        total = totals[file]
        for kind, count in enumerate(counts):
            total[kind] += count
        _set_counts(answers[file].epc_anomaly_stats.add(epc_code=code), counts)
    for answer, total in zip(answers, totals, strict=True):
        _set_counts(answer.file_anomaly_stats, total)


def _set_counts(stats: pb.EpcAnomalyStats | pb.FileAnomalyStats, counts: list[int]) -> None:
    (
        stats.epc_fake_count,
        stats.epc_dup_count,
        stats.loc_err_count,
        stats.evt_order_err_count,
        stats.jump_count,
    ) = counts
    stats.total_events = sum(counts)
