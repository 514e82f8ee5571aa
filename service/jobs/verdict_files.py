"""The verdicts of a store as the CSV file that a retraining reads."""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta
from pathlib import Path

from service.errors import CommandError
from service.events.vocabulary import KINDS
from service.feedback.sql import open_verdicts
from service.feedback.verdicts import LabelVerdict, latest
from service.rawfiles.cells import no_formula

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

COLUMNS = ("event_id", "file_id", "kind", "verdict", "who", "when", "probability")


def verdict_file(where: str, out: Path) -> Path:
    """Return a CSV file of verdicts: ``where`` itself, or written into the folder ``out`` from the store there.

    A store is a folder, as `serve --verdicts` has it, or a postgresql:// URL. What was taken back is left out; the
    probability is that with which the audit sample chose the event, none for events that people chose themselves.

    Raises:
        CommandError: there is no such file or store, or it has no verdict.
        VerdictsUnavailable: the store cannot be used.
    """
    is_url = where.startswith(("postgresql://", "postgres://"))
    if not is_url and Path(where).is_file():
        return Path(where)
    if not is_url and not Path(where).is_dir():
        raise CommandError(f"{where}: neither a CSV file of verdicts nor the folder of serve --verdicts")
    store = open_verdicts(where)
    try:
        labels = latest(store.labels())
        probability = {(one.file_id, one.event_id): one.probability for one in store.sample()}
    finally:
        store.close()
    kept = [one for one in labels.values() if one.verdict != LabelVerdict.WITHDRAWN and one.kind in KINDS]
    if not kept:
        raise CommandError(f"{where} has no verdict yet: label events first (label, audit import, or the web pages)")
    out.mkdir(parents=True, exist_ok=True)
    path = out / "verdicts.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for one in kept:
            when = (_EPOCH + timedelta(microseconds=one.labelled_at_us)).isoformat()
            chance = probability.get((one.file_id, one.event_id), "")
            who = no_formula(_in_one_line(one.who.strip() or one.sent_by))
            writer.writerow((one.event_id, one.file_id, one.kind, one.verdict.value, who, when, chance))
    return path


def _in_one_line(text: str) -> str:
    """Return a name without line ends and the like, which no row of a CSV file may have here: as escapes."""
    return text if text.isprintable() else text.encode("unicode_escape").decode("ascii")
