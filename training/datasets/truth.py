"""What is known to be anomalous in a data set: truth tables, read and checked."""

from __future__ import annotations

from dataclasses import dataclass, field
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

DETAIL_COLUMNS = ("variant", "difficulty", "noise")
"""Optional text columns of a truth file, by which `evaluate` breaks its numbers down."""

_TRUTHS = ("truth.parquet", "truth.csv")

_LABELS = {"true": 1.0, "t": 1.0, "yes": 1.0, "y": 1.0, "false": 0.0, "f": 0.0, "no": 0.0, "n": 0.0}


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """What is known of N events, in the order of the events."""

    labels: NDArray[np.float32]  # [N, 5] 0 .. 1, in the order of KINDS
    details: dict[str, NDArray[np.object_]] = field(default_factory=dict)  # DETAIL_COLUMNS present, each [N]


def truth_beside(folder: Path) -> Path | None:
    """Return the truth file in a data folder, by its usual name, None if it has none."""
    return next((path for name in _TRUTHS if (path := folder / name).is_file()), None)


def load_truth(path: Path, events: Events, *, partial: bool = False) -> Truth:
    """Read a truth table for ``events``: event_id and the five kinds as 0/1, true/false or probabilities.

    A parquet file, or text as raw files are (.csv, .tsv, .gz); other columns and other events in it do no harm. A
    ``partial`` one may lack events, kinds and values: their labels are NaN.

    Raises:
        DataError: it cannot be read, a column is missing, a value is none of those, or an event has no truth or two.
    """
    table = _truth_table(path, partial=partial)
    ids = by_value(table["event_id"], whole_number)
    if ids.isna().any():
        raise DataError(f"{path}: event_id {table['event_id'][ids.isna()].iloc[0]!r} is no whole number")
    if (twice := ids.duplicated()).any():
        raise DataError(f"{path}: event_id {ids[twice].iloc[0]} stands twice")
    row = pd.Index(ids.to_numpy(np.int64)).get_indexer(pd.Index(events.event_id))
    if (row < 0).any() and not partial:
        absent = events.event_id[row < 0]
        raise DataError(
            f"{path}: no truth for {len(absent)} of {len(events)} events, the first is event_id {absent[0]};"
            " without an event_id column the ids are row numbers from 1 over the raw files in name order"
        )
    columns = [table[kind.lower()] if kind.lower() in table else pd.Series([None] * len(table)) for kind in KINDS]
    pairs = zip(columns, KINDS, strict=True)
    labels = np.stack([_labels(column, kind, path, partial=partial) for column, kind in pairs], axis=1)[row]
    labels[row < 0] = np.nan
    details = {
        name: table[name].fillna("").astype(str).to_numpy(dtype=object)[row] for name in DETAIL_COLUMNS if name in table
    }
    return Truth(labels, details)


def _truth_table(path: Path, *, partial: bool) -> pd.DataFrame:
    """Return a truth file, its column names in lower case."""
    if not path.is_file():
        raise DataError(f"{path}: no such truth file")
    if path.suffix.lower() in {".parquet", ".pq"}:
        try:
            table = pd.read_parquet(path)
        except (OSError, ValueError) as error:
            raise DataError(f"{path}: no parquet file ({error})") from None
        table = table.rename(columns=lambda name: str(name).strip().lower())
    else:
        table = read_table(path).rows
        if len(bad := table[table["problem"] != ""]):
            raise DataError(f"{path} line {bad['line'].iloc[0]}: {bad['problem'].iloc[0]}")
    names = ["event_id", *KINDS]
    if partial and any(kind.lower() in table for kind in KINDS):
        names = names[:1]
    if missing := [name for name in names if name.lower() not in table]:
        raise DataError(f"{path}: no column {', '.join(missing)}; a truth table has {', '.join(names)}")
    return table


def _labels(values: pd.Series, kind: str, path: Path, *, partial: bool) -> NDArray[np.float32]:
    """Return the labels [N] of one kind, 0 .. 1; in a ``partial`` truth NaN for an empty value."""
    code, distinct = pd.factorize(values, use_na_sentinel=False)
    text = [str(value).strip().lower() for value in distinct]
    numbers = pd.to_numeric(pd.Series([_LABELS.get(value, value) for value in text], dtype=object), errors="coerce")
    labels = numbers.to_numpy(np.float32)
    empty = np.array([partial and (value in {"", "nan", "none"} or pd.isna(value)) for value in text], dtype=np.bool_)
    if len(bad := np.flatnonzero(~((labels >= 0) & (labels <= 1)) & ~empty)):
        raise DataError(f"{path}: column {kind} has {str(distinct[bad[0]])!r}; write 0 or 1, or a probability")
    return labels[code]
