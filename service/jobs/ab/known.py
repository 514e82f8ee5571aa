"""What is known of events: a truth table, or verdicts on those of them that are in the audit sample."""

from __future__ import annotations

import csv
import importlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from service.errors import CommandError
from service.events.columns import Events
from service.events.vocabulary import KINDS
from service.feedback.store import VerdictStore
from service.feedback.verdicts import agreed
from service.feedback.weighed import sound

KnownLabels = tuple[NDArray[np.float64], NDArray[np.float64]]
"""(labels [N, 5]: 1 anomalous, 0 normal, NaN unknown; weights [N, 5]: for how many events a labelled one stands)"""

_WORDS = {"1": 1.0, "1.0": 1.0, "true": 1.0, "0": 0.0, "0.0": 0.0, "false": 0.0}


def nothing_known(events: Events) -> KnownLabels:
    """Return that nobody knows anything."""
    return np.full((len(events), len(KINDS)), np.nan), np.zeros((len(events), len(KINDS)))


def by_truth(path: Path, events: Events) -> KnownLabels:
    """Return what a truth table says: event_id and the five kinds as 0 or 1, CSV or Parquet; others are unknown.

    Raises:
        CommandError: it cannot be read, or says something else.
    """
    labels, weights = nothing_known(events)
    row_of = {event_id: row for row, event_id in enumerate(events.event_id.tolist())}
    for number, row in enumerate(_rows(path), 2):
        try:
            at = row_of.get(int(str(row["event_id"])))
            if at is not None:
                labels[at] = [_WORDS[str(row[kind]).strip().lower()] for kind in KINDS]
        except (KeyError, ValueError, TypeError):
            raise CommandError(f"{path}:{number}: no event_id and five kinds of 0 or 1: {', '.join(KINDS)}") from None
    if np.isnan(labels).all():
        raise CommandError(f"{path} has no truth of any of these events: name the truth table of these files")
    weights[~np.isnan(labels)] = 1.0
    return labels, weights


def by_verdicts(store: VerdictStore, events: Events) -> KnownLabels:
    """Return what people say of the events that are in the audit sample, each with its weight there.

    Raises:
        CommandError: nobody says anything of any.
        VerdictsUnavailable: the store cannot be used.
    """
    labels, weights = nothing_known(events)
    files = np.unique(events.file_id).tolist()
    probability: dict[
        tuple[int, int], float
    ] = {}  # several versions may have drawn it, by one draw: it was that of any
    for one in store.sample(file_ids=files):
        key = (one.file_id, one.event_id)
        probability[key] = max(one.probability, probability.get(key, 0.0))
    row_of = {key: row for row, key in enumerate(zip(events.file_id.tolist(), events.event_id.tolist(), strict=True))}
    for (file_id, event_id, kind), anomalous in agreed(sound(store.labels())).items():
        key = (file_id, event_id)
        if key in row_of and key in probability and kind in KINDS:
            at = row_of[key], KINDS.index(kind)
            labels[at], weights[at] = float(anomalous), 1 / probability[key]
    if np.isnan(labels).all():
        raise CommandError("no verdict on an event of the audit sample in these files: label some, or name --truth")
    return labels, weights


def _rows(path: Path) -> Iterator[dict[str, object]]:
    try:
        if path.suffix == ".parquet":
            table = importlib.import_module("pyarrow.parquet").read_table(path, columns=["event_id", *KINDS])
            yield from table.to_pylist()
            return
        with path.open(encoding="utf-8-sig", newline="") as file:
            yield from csv.DictReader(file)
    except ImportError:
        raise CommandError(f"{path}: Parquet needs the extra 'parquet': pip install 'epc-sentinel[parquet]'") from None
    except (OSError, UnicodeDecodeError, csv.Error, ValueError) as error:
        raise CommandError(f"cannot read the truth table {path}: {error}") from None
