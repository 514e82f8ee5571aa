"""What auditors said of events: a CSV file of verdicts, read, checked, and turned into labels of what they said."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from service.auditors.contradictions import shown_error_rate
from service.events.columns import Events
from service.events.vocabulary import KINDS
from service.rawfiles.rows import whole_number
from training.datasets.masters import by_value
from training.datasets.tables import read_table
from training.errors import DataError

COLUMNS = ("event_id", "kind", "verdict", "who", "when")
"""Of a file of verdicts; ``OPTIONAL`` may be there too."""

OPTIONAL = ("file_id", "probability")
"""The file of the event, as the gateway was told it; with which chance the event was chosen for the audit, 0 .. 1."""

MOST_LEFT_OUT = 0.5
"""Share of the verdicts that may be of no use; beyond, they are on other data."""

CONFIRMED, REJECTED, UNSURE = "confirmed", "rejected", "unsure"

_AHEAD = timedelta(days=1)  # that the clock of whoever judged may be wrong by
_SHOWN = 3
_MOST_WHO = 200  # characters, as FeedbackService takes them

_ANOMALOUS = {CONFIRMED: 1.0, REJECTED: 0.0, UNSURE: np.nan}


@dataclass(frozen=True, slots=True, eq=False)
class Verdicts:
    """V last words: what each auditor last said of each event and kind."""

    row: NDArray[np.intp]  # [V] position of the event
    kind: NDArray[np.intp]  # [V] index into KINDS
    anomalous: NDArray[np.float32]  # [V] 1 confirmed, 0 rejected, NaN unsure
    who: NDArray[np.object_]  # [V] the auditor
    probability: NDArray[np.float64]  # [V] of being chosen for the audit, 1 if nobody says
    said: int  # rows of the file, words that were taken back by later ones and those left out included
    first: str  # when the first and the last word was said
    last: str
    left_out: int = 0  # of the rows, those that are of no use
    notices: tuple[str, ...] = ()  # which those are

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
        """Return labels [events, 5]: 1 or 0 by the majority of the auditors, NaN where none or as many say either.

        NaN, too, where somebody contradicts the majority and it is likelier to err than to be right. Anomalies are
        rare: of three auditors who err once in twenty times, two confirm against the third by mistake oftener than
        because there is something (Dawid & Skene, 1979).
        """
        said = self._words(events)
        votes = said[1] - said[0]
        labels = np.where(votes == 0, np.nan, votes > 0).astype(np.float32)
        labels[(said > 0).all(axis=0) & ((votes > 0) != (self._log_odds(said) > 0))] = np.nan
        return labels

    def _words(self, events: int) -> NDArray[np.int64]:
        """Return how many auditors rejected and confirmed each claim, [2, events, 5]."""
        said = np.zeros((2, events, len(KINDS)), dtype=np.int64)
        sure = ~np.isnan(self.anomalous)
        np.add.at(said, (self.anomalous[sure].astype(np.intp), self.row[sure], self.kind[sure]), 1)
        return said

    @staticmethod
    def _log_odds(said: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the log odds of an anomaly [events, 5] by the words ``said`` [2, events, 5].

        How many words are wrong contradictions tell, how many claims are right the share of the confirmed, less those
        errors (Rogan & Gladen, 1978). Where too few claims were judged by two: the majority is right.
        """
        votes, count = said[1] - said[0], said.sum(axis=0)
        error_rate = shown_error_rate(said[1].ravel(), count.ravel())
        if not error_rate:
            majority: NDArray[np.float64] = votes.astype(np.float64)
            return majority
        words = count.sum(axis=0)  # [5]
        confirmed = (said[1].sum(axis=0) / np.maximum(words, 1) - error_rate) / (1 - 2 * error_rate)
        share = np.clip(confirmed, 1 / (words + 2), 1 - 1 / (words + 2))
        odds: NDArray[np.float64] = np.log(share / (1 - share)) + votes * np.log((1 - error_rate) / error_rate)
        return odds

    def weights(self, events: int) -> NDArray[np.float64]:
        """Return for how many events [events] each one stands: one over its chance of being audited, 1 if not known."""
        weights = np.ones(events)
        np.maximum.at(weights, self.row, 1 / self.probability)
        return weights


def read_verdicts(path: Path, events: Events, *, files_are_named: bool = False) -> Verdicts:
    """Read a file with COLUMNS, whose verdicts are confirmed, rejected or unsure, on ``events``.

    A verdict is on an event of a file, as `service.feedback.verdicts.Claim` has it. Where the verdicts have no
    file_id, or the data do not say theirs (``files_are_named``), the event_id alone tells, which no two events of
    ``events`` share. Verdicts on no event of these, and those said in the future, are left out, with a notice.

    What an auditor says later of the same event and kind takes the place of what he said before; of two words of one
    time it is the one that stands below.

    Raises:
        DataError: it cannot be read, a value is none that can be meant, an event_id may be of several files, or more
            than MOST_LEFT_OUT of the verdicts are of no use.
    """
    table = read_table(path, {*COLUMNS, *OPTIONAL}).rows
    for name in COLUMNS:
        if name not in table:
            raise DataError(f"{path}: no column {name}; a file of verdicts has {', '.join(COLUMNS)}")
    table = table.reset_index(drop=True)
    _refuse(path, table, "problem", table["problem"] != "", "keeps it from being read")
    kind = _numbers(path, table, "kind", {name: number for number, name in enumerate(KINDS)})
    anomalous = _numbers(path, table, "verdict", _ANOMALOUS)
    when = pd.to_datetime(table["when"], format="ISO8601", utc=True, errors="coerce")
    _refuse(path, table, "when", when.isna(), "is no time such as 2026-01-31T10:00:00Z")
    who = table["who"].str.strip().map(_shown).astype(object)
    _refuse(path, table, "who", who == "", "is empty: say who judged")
    _refuse(path, table, "who", who.str.len() > _MOST_WHO, f"is longer than {_MOST_WHO} characters")
    row = _rows_of(path, table, events, files_are_named=files_are_named)
    probability = _probabilities(path, table)
    said, (used, notices) = len(table), _of_use(path, table, row < 0, when > datetime.now(UTC) + _AHEAD)
    table, when = table[used].reset_index(drop=True), when[used].reset_index(drop=True)
    who = who[used].reset_index(drop=True)
    kind, anomalous, row, probability = kind[used], anomalous[used], row[used], probability[used]
    order = np.lexsort([np.arange(len(table)), when.to_numpy()])
    subject = pd.DataFrame({"row": row, "kind": kind, "who": who}).iloc[order]
    kept = order[~subject.duplicated(keep="last").to_numpy()]
    first, last = (when.min().isoformat(), when.max().isoformat()) if len(when) else ("", "")
    return Verdicts(
        row[kept],
        kind[kept].astype(np.intp),
        anomalous[kept].astype(np.float32),
        subject["who"].sort_index().to_numpy(dtype=object)[kept],
        probability[kept],
        said,
        first,
        last,
        said - len(table),
        notices,
    )


def _of_use(
    path: Path, table: pd.DataFrame, is_unknown: NDArray[np.bool_], is_ahead: pd.Series
) -> tuple[NDArray[np.bool_], tuple[str, ...]]:
    """Return (which verdicts are of use, a sentence for each reason why others are not)."""
    ahead, notices = is_ahead.to_numpy(np.bool_), []
    for bad, column, why in (
        (is_unknown, "event_id", "on events that these data do not have"),
        (ahead & ~is_unknown, "when", "said in the future"),
    ):
        if bad.any():
            rows = np.flatnonzero(bad)
            shown = ", ".join(
                f"line {table['line'].iloc[at]} {column} {table[column].iloc[at]}" for at in rows[:_SHOWN].tolist()
            )
            more = ", .." if len(rows) > _SHOWN else ""
            notices.append(f"{len(rows)} of {len(table)} verdicts are left out, {why}: {shown}{more}")
    useless: NDArray[np.bool_] = is_unknown | ahead
    if useless.sum() > MOST_LEFT_OUT * len(table):
        raise DataError(
            f"{path}: {'; '.join(notices)}. More than {MOST_LEFT_OUT:.0%} are of no use: name the data that were judged"
            " with --data"
        )
    return ~useless, tuple(notices)


def _numbers(
    path: Path, table: pd.DataFrame, column: str, known: dict[str, float] | dict[str, int]
) -> NDArray[np.float64]:
    words = table[column].str.strip()
    _refuse(path, table, column, ~words.isin(list(known)), f"is none of {', '.join(known)}")
    return np.array([known[word] for word in words.tolist()], dtype=np.float64)


def _rows_of(path: Path, table: pd.DataFrame, events: Events, *, files_are_named: bool) -> NDArray[np.intp]:
    """Return the positions of the events, -1 of those that are not among them."""
    ids = by_value(table["event_id"], whole_number)
    _refuse(path, table, "event_id", ids.isna(), "is no whole number")
    row: NDArray[np.intp] = pd.Index(events.event_id).get_indexer(pd.Index(ids.to_numpy(np.int64))).astype(np.intp)
    if "file_id" not in table:
        return row
    files = by_value(table["file_id"], whole_number)
    is_named = (table["file_id"].str.strip() != "").to_numpy()
    _refuse(path, table, "file_id", files.isna() & is_named, "is no whole number, and not empty")
    if files_are_named:
        own = np.where(row >= 0, events.file_id[row], 0) == files.fillna(0).to_numpy(np.int64)
        return np.where(own | ~is_named, row, -1)
    _check_files(path, table, row, files)
    return row


def _check_files(path: Path, table: pd.DataFrame, row: NDArray[np.intp], files: pd.Series) -> None:
    """Raise DataError where verdicts on events of different files are on one event of data that say no files."""
    found = pd.DataFrame({"row": row, "file": files})[(row >= 0) & files.notna().to_numpy()]
    first = found.groupby("row")["file"].transform("first")
    if (other := found.index[found["file"] != first]).empty:
        return
    at = int(other[0])
    raise DataError(
        f"{path}: line {table['line'].iloc[at]}: event_id {table['event_id'].iloc[at]} is of file"
        f" {first[at]} and of file {files[at]}, and the raw files do not say which they are: give them a column"
        " file_id, or leave out the verdicts on other files"
    )


def _probabilities(path: Path, table: pd.DataFrame) -> NDArray[np.float64]:
    if "probability" not in table:
        return np.ones(len(table))
    values = pd.to_numeric(table["probability"].replace("", "1"), errors="coerce")
    _refuse(path, table, "probability", ~((values > 0) & (values <= 1)), "is no number above 0, at most 1")
    probabilities: NDArray[np.float64] = values.to_numpy(np.float64)
    return probabilities


def _shown(text: str) -> str:
    """Return a text that steers no terminal: what cannot be shown as escapes."""
    return text if text.isprintable() else text.encode("unicode_escape").decode("ascii")


def _refuse(path: Path, table: pd.DataFrame, column: str, bad: pd.Series, why: str) -> None:
    if bad.any():
        at = int(np.flatnonzero(bad.to_numpy())[0])
        raise DataError(f"{path}: line {table['line'].iloc[at]}: {column} {table[column].iloc[at]!r} {why}")
