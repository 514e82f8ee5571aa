"""What two versions say of the same events: of files, or of what gateways kept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from service.errors import CommandError, SettingsError
from service.feedback.sql import open_verdicts
from service.feedback.store import VerdictStore
from service.jobs.ab.judged import TwiceJudged, judge_files, of_files
from service.jobs.ab.known import by_truth, by_verdicts, nothing_known
from service.jobs.ab.recorded import recorded
from service.jobs.progress import shown_progress
from service.runtime.process import run_to_completion
from service.settings import Settings


def compare(  # noqa: PLR0913, PLR0917 - what, by what, how it is written
    files: Sequence[Path],
    versions: tuple[int, int],
    settings: Settings,
    truth: Path | None,
    time_zone: str | None,
    network: Path | None,
) -> list[TwiceJudged]:
    """Return what both versions say of the events of ``files``, or without any, of those that gateways kept, by mode.

    What is known of them is what the truth says, else the verdicts of the settings.

    Raises:
        SettingsError: there is nothing to compare.
        CommandError: a file cannot be used.
        SentinelError: a version or the verdicts cannot be used.
    """
    if not files and (truth is not None or settings.verdicts is None):
        raise SettingsError("nothing to compare: name raw FILES, with --truth if it is known, or --verdicts alone")
    if truth is not None and not truth.is_file():
        raise CommandError(f"{truth}: no such truth table; name another with --truth")
    store = open_verdicts(settings.verdicts) if settings.verdicts and truth is None else None
    try:
        if not files and store is not None:
            return recorded(store, versions)
        return [_of_files(files, versions, settings, truth, store, time_zone, network)]
    finally:
        if store is not None:
            store.close()


def _of_files(  # noqa: PLR0913, PLR0917
    files: Sequence[Path],
    versions: tuple[int, int],
    settings: Settings,
    truth: Path | None,
    store: VerdictStore | None,
    time_zone: str | None,
    network: Path | None,
) -> TwiceJudged:
    with shown_progress() as progress:
        events, judged = run_to_completion(judge_files(files, versions, settings, progress, time_zone, network))
    if truth is not None:
        known = by_truth(truth, events)
    else:
        known = nothing_known(events) if store is None else by_verdicts(store, events)
    return of_files(events, judged, *known)
