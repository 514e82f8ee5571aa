"""The ``analyze`` command: raw files in, one answer over all of them out, from here, a gateway or a cluster."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from service.api.explanations import explain_findings
from service.api.responses import build_responses
from service.client.access import OPEN, Access
from service.client.gateway import GatewayClient, check_reachable
from service.detect.coverage import without_coverage
from service.detect.detector import joined
from service.detect.names import DetectorName, Method
from service.dialect.dialect import words_of
from service.errors import CommandError
from service.events.codes import parse
from service.events.columns import Events
from service.events.groups import Groups
from service.gateway.build import build_wiring
from service.jobs.positions import positions
from service.jobs.progress import progress_bar, warn
from service.jobs.zones import site_dialect, site_zones
from service.pb.epcsentinel.v1 import anomaly_pb2 as pb
from service.rawfiles.columns import RawEvents, read_files
from service.rawfiles.folders import left_out, raw_files
from service.runtime import threads
from service.runtime.process import keep_freed_memory
from service.runtime.tasks import together
from service.settings import Settings

_Answers = Sequence[pb.AnalyzeResponse]
Judge = Callable[[Events], Awaitable[_Answers]]
_JudgeAll = Callable[[Judge, int], Awaitable[list[_Answers]]]  # given a judge, and how many pieces it takes at once

_AT_ONCE = 2
"""Pieces at work, of one process: while the model judges one, the next is prepared; more would only take memory."""

_FILE_COUNTS = [field.name for field in pb.FileAnomalyStats.DESCRIPTOR.fields]
_MEANS = [field.name for field in pb.MlSummaryStats.DESCRIPTOR.fields]


async def analyze_files(  # noqa: PLR0913, PLR0917 - what, by what, where
    paths: Sequence[Path],
    detector: DetectorName,
    target: str | None,
    settings: Settings,
    access: Access = OPEN,
    cluster: str | None = None,
    language: str | None = None,
    time_zone: str | None = None,
    network: Path | None = None,
    *,
    of_incidents: int | None = None,
    effects_of: int = 0,
) -> tuple[RawEvents, pb.AnalyzeFilesResponse, list[pb.ExplainResponse]]:
    """Return the events of the files, what was found in them, and what moved the scores of a few findings.

    Args:
        paths: raw scan files, see `service.rawfiles.columns`, or folders of them.
        detector: what judges.
        target: HOST:PORT of a running gateway; None judges in this process, as ``settings`` say.
        settings: backend, fallback, and the most events that are judged at once.
        access: how to get in at ``target``.
        cluster: address of a Dask scheduler whose workers judge, as ``settings`` say, instead of this process.
        language: of the reasons that findings have; None: they have none. Workers of a cluster give none.
        time_zone: of raw times without one; None: that of the site.
        network: file that says how the files are written; None: as the model of ``settings`` learned it.
        of_incidents: reasons are for the first findings of so many incidents, the largest; others have a cause.
        effects_of: of the items that so many incidents begin with, the largest in each piece; in this process alone.

    Raises:
        CommandError: a file cannot be used, or the gateway or cluster cannot be reached or refused.
        SentinelError: the model cannot be used.
    """
    dialect = site_dialect(network, settings)
    columns = dialect.columns if dialect else {}
    files = raw_files(paths, columns)
    warn(left_out(paths, columns))
    with progress_bar() as progress:
        task = progress.add_task("Reading", total=len(files))
        raw = read_files(files, lambda: progress.advance(task), site_zones(time_zone, settings), dialect)
        if not len(raw.events):
            raise CommandError(f"{', '.join(map(str, paths))}: no rows below the header line, so nothing to analyse")
        warn(raw.warnings)
        pieces = split(raw.events, settings.max_events_per_request)
        if of_incidents is not None and not lots_are_whole(raw.events, pieces):
            of_incidents = len(raw.events)  # what is small in each piece may be large
        task = progress.add_task("Judging events", total=len(raw.events))

        async def judge_all(judge: Judge, at_once: int) -> list[_Answers]:
            turn = asyncio.Semaphore(at_once)

            async def judge_piece(piece: NDArray[np.intp]) -> _Answers:
                async with turn:
                    answer = await judge(raw.events.take(piece))
                progress.advance(task, len(piece))
                return answer

            return await together(judge_piece(piece) for piece in pieces)

        explained: list[pb.ExplainResponse] = []
        if cluster is not None:
            answers = await _by_cluster(judge_all, detector, cluster, settings)
        elif target is not None:
            await asyncio.to_thread(check_reachable, target, access)  # at once: calls wait for a gateway that returns
            client = GatewayClient(target, access, words_of(dialect))
            answers = await _remote(judge_all, detector, client, settings, language)
        else:
            told = _Telling(language, of_incidents, effects_of)
            answers, explained = await _embedded(judge_all, raw.events, detector, settings, told)
    return raw, merge(raw.events, pieces, answers), explained


@dataclass(frozen=True, slots=True)
class _Telling:
    """What is said of the findings, as `analyze_files` has it."""

    language: str | None
    of_incidents: int | None
    effects_of: int


async def _embedded(
    judge_all: _JudgeAll, whole: Events, detector: DetectorName, settings: Settings, telling: _Telling
) -> tuple[list[_Answers], list[pb.ExplainResponse]]:
    keep_freed_memory()
    wiring = build_wiring(settings)
    await threads.run(threads.ALWAYS_OFF, partial(wiring.unknown.know_whole, whole), len(whole))
    explained: list[pb.ExplainResponse] = []

    async def judge(events: Events) -> _Answers:
        judgement = await wiring.analyzer.analyze(events, detector, explain=telling.language is not None)

        def answer() -> _Answers:
            if telling.language is None:
                return build_responses(events, judgement)
            told = wiring.explainer.explain(judgement, telling.language)
            if telling.effects_of:
                of_piece = explain_findings(wiring.explainer, told, events, of_incidents=telling.effects_of)
                explained.extend(of_piece.findings)
            return build_responses(events, judgement, told, of_incidents=telling.of_incidents)

        return await threads.run(threads.ALWAYS_OFF, answer, len(events))

    try:
        return await judge_all(judge, _AT_ONCE), explained
    finally:
        await wiring.close()


async def _remote(
    judge_all: _JudgeAll, detector: DetectorName, client: GatewayClient, settings: Settings, language: str | None
) -> list[_Answers]:
    async def judge(events: Events) -> _Answers:
        return await client.analyze(events, detector, settings.asked_point, language)

    try:
        return await judge_all(judge, _AT_ONCE)
    finally:
        await client.close()


async def _by_cluster(judge_all: _JudgeAll, detector: DetectorName, address: str, settings: Settings) -> list[_Answers]:
    if find_spec("distributed") is None:
        raise CommandError("--cluster needs the extra 'cluster': pip install 'epc-sentinel[cluster]'")
    from service.jobs.cluster import Cluster  # noqa: PLC0415 - needs an extra package

    cluster = await Cluster.connect(address, settings)
    try:
        return await judge_all(lambda events: cluster.judge(events, detector), cluster.at_once)
    finally:
        await cluster.close()


def split(events: Events, limit: int) -> list[NDArray[np.intp]]:
    """Return positions of the events in pieces of at most ``limit``; all events of an EPC stay in one piece.

    Lots stay together too where they fit, because the mates of an item are evidence about it. An EPC with more than
    ``limit`` events gets a piece of its own.
    """
    if len(events) <= limit:
        return [np.arange(len(events))]
    size = np.bincount(events.epc, minlength=len(events.epc_codes)).tolist()
    by_code = sorted(range(len(size)), key=events.epc_codes.__getitem__)
    piece_of = np.zeros(len(size), dtype=np.int64)
    piece = filled = 0
    for _, lot in groupby(by_code, key=lambda epc: events.epc_codes[epc].rsplit(".", 2)[0]):
        members = list(lot)
        lot_size = sum(size[epc] for epc in members)
        if filled and filled + lot_size > limit >= lot_size:
            piece, filled = piece + 1, 0
        for epc in members:
            if filled and filled + size[epc] > limit:
                piece, filled = piece + 1, 0
            piece_of[epc] = piece
            filled += size[epc]
    piece_of_event = piece_of[events.epc]
    return [np.flatnonzero(piece_of_event == number) for number in range(piece + 1)]


def lots_are_whole(events: Events, pieces: Sequence[NDArray[np.intp]]) -> bool:
    """Return whether each lot, as `service.explain.incidents` sees it, is in one piece."""
    codes = parse(events.epc_codes)
    lots = Groups(np.maximum(codes.company, 0).astype(np.int32), codes.product * 10**6 + codes.lot)
    piece_of = np.empty(len(codes.lot), dtype=np.int64)
    for number, piece in enumerate(pieces):
        piece_of[events.epc[piece]] = number
    kept = codes.well_formed  # others are in no lot
    in_pieces = Groups(lots.number[kept], piece_of[kept]).count
    return bool(in_pieces == len(np.unique(lots.number[kept])))


def merge(
    events: Events, pieces: Sequence[NDArray[np.intp]], answers: Sequence[Sequence[pb.AnalyzeResponse]]
) -> pb.AnalyzeFilesResponse:
    """Return the answers of all ``pieces`` as one: files, findings and EPCs in the order of ``events``."""
    if len(answers) == 1:
        return pb.AnalyzeFilesResponse(files=answers[0])
    files = {file_id: pb.AnalyzeResponse() for file_id in dict.fromkeys(events.file_id.tolist())}
    means: dict[int, list[tuple[int, pb.MlSummaryStats]]] = {}
    for piece, of_piece in zip(pieces, answers, strict=True):
        count = Counter(events.file_id[piece].tolist())
        for answer in of_piece:
            _add(answer, files[answer.file_id])
            if answer.HasField("ml_summary_stats"):
                means.setdefault(answer.file_id, []).append((count[answer.file_id], answer.ml_summary_stats))
    for file_id, parts in means.items():
        files[file_id].ml_summary_stats.CopyFrom(_mean_of(parts))
    position = positions(events, [finding.event_id for merged in files.values() for finding in merged.event_history])
    epc = {code: at for at, code in enumerate(events.epc_codes)}
    if events.spelling:
        epc = dict(zip(events.sent_codes(np.arange(len(events))), events.epc.tolist(), strict=True))
    for merged in files.values():
        merged.event_history.sort(key=lambda finding: position[finding.event_id])
        merged.epc_anomaly_stats.sort(key=lambda stats: epc[stats.epc_code])
    return pb.AnalyzeFilesResponse(files=files.values())


def _mean_of(parts: Sequence[tuple[int, pb.MlSummaryStats]]) -> pb.MlSummaryStats:
    """Return the means over all events of a file from those of its pieces, each with its number of events."""
    found = {}
    for name in _MEANS:
        known = [(count, getattr(part, name)) for count, part in parts if part.HasField(name)]
        if total := sum(count for count, _ in known):
            found[name] = round(sum(count * mean for count, mean in known) / total, 4)
    return pb.MlSummaryStats(**found)


def _add(answer: pb.AnalyzeResponse, merged: pb.AnalyzeResponse) -> None:
    """Add one piece's answer for a file; a fallback anywhere is a fallback of the whole, and every warning is kept."""
    judged_by = merged.method if merged.method == Method.RULES_AS_FALLBACK else answer.method
    said = without_coverage(answer.warning) if without_coverage(merged.warning) != merged.warning else answer.warning
    warning = joined(merged.warning, "" if said in merged.warning else said)
    counts = {
        name: getattr(merged.file_anomaly_stats, name) + getattr(answer.file_anomaly_stats, name)
        for name in _FILE_COUNTS
    }
    merged.MergeFrom(answer)
    merged.method, merged.warning = judged_by, warning
    merged.file_anomaly_stats.CopyFrom(pb.FileAnomalyStats(**counts))
