"""What auditors said of events: a CSV file of verdicts, read, checked, and turned into labels of what they said."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from service.events.columns import Events
from service.events.vocabulary import KINDS
from service.rawfiles.rows import whole_number
from training.datasets.masters import by_value
from training.datasets.tables import read_table
from training.errors import DataError

COLUMNS = ("event_id", "kind", "verdict", "who", "when")
"""Of a file of verdicts; ``probability`` may be there too: with which the event was chosen for the audit, 0 .. 1."""

CONFIRMED, REJECTED, UNSURE = "confirmed", "rejected", "unsure"

_ANOMALOUS = {CONFIRMED: 1.0, REJECTED: 0.0, UNSURE: np.nan}


@dataclass(frozen=True, slots=True, eq=False)
class Verdicts:
    """V last words: what each auditor last said of each event and kind."""

    row: NDArray[np.intp]  # [V] position of the event
    kind: NDArray[np.intp]  # [V] index into KINDS
    anomalous: NDArray[np.float32]  # [V] 1 confirmed, 0 rejected, NaN unsure
    who: NDArray[np.object_]  # [V] the auditor
    probability: NDArray[np.float64]  # [V] of being chosen for the audit, 1 if nobody says
    said: int  # rows of the file, words that were taken back by later ones included
    first: str  # when the first and the last word was said
    last: str

    def __len__(self) -> int:
        return len(self.row)

    @property
    def auditors(self) -> list[str]:
        """Return all auditors, sorted."""
        return sorted(set(self.who.tolist()))

    def without(self, auditors: Collection[str]) -> Verdicts:
        """Return the verdicts of everybody else."""
        kept = ~np.isin(self.who.astype(np.str_), list(auditors))
        return self.take(np.flatnonzero(kept))

    def take(self, index: NDArray[np.intp]) -> Verdicts:
        """Return some of the verdicts."""
        return replace(
            self,
            row=self.row[index],
            kind=self.kind[index],
            anomalous=self.anomalous[index],
            who=self.who[index],
            probability=self.probability[index],
        )

    def moved(self, row: NDArray[np.intp]) -> Verdicts:
        """Return the verdicts with the events at other places [V]."""
        return replace(self, row=row)

    def labels(self, events: int) -> NDArray[np.float32]:
        """Return labels [events, 5]: 1 or 0 by the majority of the auditors, NaN where none or as many say either."""
        votes = np.zeros((events, len(KINDS)), dtype=np.int64)
        sure = ~np.isnan(self.anomalous)
        np.add.at(votes, (self.row[sure], self.kind[sure]), np.where(self.anomalous[sure] > 0, 1, -1))
        return np.where(votes == 0, np.nan, votes > 0).astype(np.float32)

    def weights(self, events: int) -> NDArray[np.float64]:
        """Return for how many events [events] each one stands: one over its chance of being audited, 1 if not known."""
        weights = np.ones(events)
        np.maximum.at(weights, self.row, 1 / self.probability)
        return weights


def read_verdicts(path: Path, events: Events) -> Verdicts:
    """Read a file with COLUMNS, whose verdicts are confirmed, rejected or unsure, on ``events``.

    What an auditor says later of the same event and kind takes the place of what he said before; of two words of one
    time it is the one that stands below.

    Raises:
        DataError: it cannot be read, or a value is none that can be meant.
    """
    table = read_table(path, {*COLUMNS, "probability"}).rows
    for name in COLUMNS:
        if name not in table:
            raise DataError(f"{path}: no column {name}; a file of verdicts has {', '.join(COLUMNS)}")
    table = table.reset_index(drop=True)
    _refuse(path, table, "problem", table["problem"] != "", "keeps it from being read")
    kind = _numbers(path, table, "kind", {name: number for number, name in enumerate(KINDS)})
    anomalous = _numbers(path, table, "verdict", _ANOMALOUS)
    when = pd.to_datetime(table["when"], format="ISO8601", utc=True, errors="coerce")
    _refuse(path, table, "when", when.isna(), "is no time such as 2026-01-31T10:00:00Z")
    _refuse(path, table, "who", table["who"].str.strip() == "", "is empty: say who judged")
    row = _rows_of(path, table, events)
    probability = _probabilities(path, table)
    order = np.lexsort([np.arange(len(table)), when.to_numpy()])
    subject = pd.DataFrame({"row": row, "kind": kind, "who": table["who"].str.strip()}).iloc[order]
    kept = order[~subject.duplicated(keep="last").to_numpy()]
    first, last = (when.min().isoformat(), when.max().isoformat()) if len(when) else ("", "")
    return Verdicts(
        row[kept],
        kind[kept].astype(np.intp),
        anomalous[kept].astype(np.float32),
        subject["who"].sort_index().to_numpy(dtype=object)[kept],
        probability[kept],
        len(table),
        first,
        last,
    )


def _numbers(
    path: Path, table: pd.DataFrame, column: str, known: dict[str, float] | dict[str, int]
) -> NDArray[np.float64]:
    words = table[column].str.strip()
    _refuse(path, table, column, ~words.isin(list(known)), f"is none of {', '.join(known)}")
    return np.array([known[word] for word in words.tolist()], dtype=np.float64)


def _rows_of(path: Path, table: pd.DataFrame, events: Events) -> NDArray[np.intp]:
    ids = by_value(table["event_id"], whole_number)
    _refuse(path, table, "event_id", ids.isna(), "is no whole number")
    row = pd.Index(events.event_id).get_indexer(pd.Index(ids.to_numpy(np.int64)))
    _refuse(path, table, "event_id", pd.Series(row < 0), "is of no event of these data")
    return row.astype(np.intp)


def _probabilities(path: Path, table: pd.DataFrame) -> NDArray[np.float64]:
    if "probability" not in table:
        return np.ones(len(table))
    values = pd.to_numeric(table["probability"].replace("", "1"), errors="coerce")
    _refuse(path, table, "probability", ~((values > 0) & (values <= 1)), "is no number above 0, at most 1")
    probabilities: NDArray[np.float64] = values.to_numpy(np.float64)
    return probabilities


def _refuse(path: Path, table: pd.DataFrame, column: str, bad: pd.Series, why: str) -> None:
    if bad.any():
        at = int(np.flatnonzero(bad.to_numpy())[0])
        raise DataError(f"{path}: line {table['line'].iloc[at]}: {column} {table[column].iloc[at]!r} {why}")
