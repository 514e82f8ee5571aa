"""Raw files judged by two versions of the network, in this process: the same events, each with tables of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from service.detect.detector import Judgement
from service.detect.names import DetectorName, Method
from service.errors import CommandError
from service.events.columns import Events
from service.events.vocabulary import MODES
from service.gateway.build import build_wiring
from service.jobs.analyze import split
from service.jobs.progress import warn
from service.jobs.zones import site_dialect, site_zones
from service.progress import Progress
from service.rawfiles.columns import read_files
from service.rawfiles.folders import left_out, raw_files
from service.runtime import threads
from service.runtime.process import keep_freed_memory
from service.settings import Settings


@dataclass(frozen=True, slots=True, eq=False)
class TwiceJudged:
    """N events of which two versions say something, of one mode."""

    mode: str  # one of MODES
    scores: tuple[NDArray[np.float64], NDArray[np.float64]]  # [N, 5] of either version
    flags: tuple[NDArray[np.bool_], NDArray[np.bool_]]  # [N, 5]
    weights: NDArray[np.float64]  # [N] how many events each stands for
    items: NDArray[np.int64]  # [N] number of the event's item, from 0
    labels: NDArray[np.float64]  # [N, 5] 1 anomalous, 0 normal, NaN: nobody knows
    label_weights: NDArray[np.float64]  # [N, 5] how many events a labelled one stands for, 0 of others


async def judge_files(  # noqa: PLR0913, PLR0917 - what, by what, how it is written
    paths: Sequence[Path],
    versions: tuple[int, int],
    settings: Settings,
    progress: Progress,
    time_zone: str | None = None,
    network: Path | None = None,
) -> tuple[Events, list[Judgement]]:
    """Return the events of raw files, and what both versions say of them as whole journeys.

    Raises:
        CommandError: a file cannot be used, or a version did not judge.
        SentinelError: a version cannot be used.
    """
    keep_freed_memory()
    first = settings.model_copy(update={"model_version": versions[0]})
    dialect = site_dialect(network, first)
    columns = dialect.columns if dialect else {}
    raw = read_files(raw_files(paths, columns), zones=site_zones(time_zone, first), dialect=dialect)
    if not len(raw.events):
        raise CommandError(f"{', '.join(map(str, paths))}: no rows below the header line, so nothing to compare")
    warn([*left_out(paths, columns), *raw.warnings])
    judged = []
    for at, version in enumerate(versions):
        progress(f"judging by version {version}", 0.1 + 0.4 * at)
        judged.append(await _judge(raw.events, settings.model_copy(update={"model_version": version})))
    return raw.events, judged


async def _judge(events: Events, settings: Settings) -> Judgement:
    wiring = build_wiring(settings)
    pieces = split(events, settings.max_events_per_request)
    scores, flags = np.empty((len(events), 5), dtype=np.float32), np.empty((len(events), 5), dtype=np.bool_)
    try:
        await threads.run(threads.ALWAYS_OFF, partial(wiring.unknown.know_whole, events), len(events))
        for piece in pieces:
            judgement = await wiring.analyzer.analyze(events.take(piece), DetectorName.LSTM)
            if judgement.method != Method.LSTM:
                raise CommandError(f"version {settings.model_version} did not judge: {judgement.warning}")
            scores[piece], flags[piece] = judgement.scores, judgement.flags
    finally:
        await wiring.close()
    return Judgement(scores, flags, Method.LSTM, wiring.name)


def of_files(
    events: Events, judged: Sequence[Judgement], labels: NDArray[np.float64], label_weights: NDArray[np.float64]
) -> TwiceJudged:
    """Return the events of files as what is compared; each stands for itself."""
    first, second = judged
    return TwiceJudged(
        MODES[0],
        (first.scores.astype(np.float64), second.scores.astype(np.float64)),
        (first.flags, second.flags),
        np.ones(len(events)),
        events.epc.astype(np.int64),
        labels,
        label_weights,
    )
