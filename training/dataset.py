"""Data sets: the usable events of a folder of raw files, its masters, and what is known to be anomalous in it."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from service.events import KINDS, Events, step_codes, type_codes
from service.rawrows import whole_number
from training.masters import LOCATIONS, TRANSIT_COLUMNS, TRANSITIONS, by_value, read_masters
from training.rawfolder import RawFolder, parse_times, quarantine_summary, quarantined, raw_files, read_folder
from training.rawtable import DataError, read_table
from training.reference import Masters

__all__ = ["DETAIL_COLUMNS", "LOCATIONS", "QUARANTINE", "TRANSITIONS", "TRANSIT_COLUMNS", "DataError", "Dataset",
           "Truth", "load", "load_truth", "parse_times", "raw_files", "to_dataset", "truth_beside"]  # fmt: skip

QUARANTINE = "quarantine.csv"
DETAIL_COLUMNS = ("variant", "difficulty", "noise")
"""Optional text columns of a truth file, by which `evaluate` breaks its numbers down."""

_TRUTHS = ("truth.parquet", "truth.csv")
_LOG = logging.getLogger(__name__)
_LABELS = {"true": 1.0, "t": 1.0, "yes": 1.0, "y": 1.0, "false": 0.0, "f": 0.0, "no": 0.0, "n": 0.0}


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """What is known of N events, in the order of the events."""

    labels: NDArray[np.float32]  # [N, 5] 0 .. 1, in the order of KINDS
    details: dict[str, NDArray[np.object_]] = field(default_factory=dict)  # DETAIL_COLUMNS present, each [N]


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """One data folder."""

    events: Events
    masters: Masters
    files: dict[str, str]  # file name: SHA-256
    quarantined: int  # rows set aside, see QUARANTINE
    warnings: tuple[str, ...] = ()  # one line each: what is missing or was set aside, and where


def load(folder: Path, quarantine: Path | None = None) -> Dataset:
    """Read all raw files of ``folder`` and its masters.

    A raw file is a .csv, .tsv or .txt (or one of these with .gz) with the columns epc_code, event_time, location_id or
    scan_location, event_type or business_step; `service.rawrows` says what its lines mean. The event_id is the column
    of that name, or else the number of the row, from 1 over all files in name order, unusable rows counted.

    Rows that cannot be used are set aside: file, line, problem and text of each go to ``quarantine`` (a CSV, written
    if there are any). So do rows that repeat an earlier one, event_id included. What was set aside or is missing is
    logged as a warning, which the commands show on stderr.

    Raises:
        DataError: no raw files, a file without the needed columns, two different events of one id, no usable row, or
            no locations.csv. Without transitions.csv there are no routes, and a warning.
    """
    raw = read_folder(folder)
    if quarantine is not None:
        write_quarantine(raw, quarantine)
    loaded = to_dataset(raw)
    for warning in loaded.warnings:
        _LOG.warning("warning: %s: %s", folder, warning)
    if loaded.quarantined and quarantine is not None:
        _LOG.warning("warning: the rows that cannot be used are in %s", quarantine)
    return loaded


def write_quarantine(raw: RawFolder, path: Path) -> None:
    """Write the rows that cannot be used to ``path``; no file if there are none, not even one of an earlier run."""
    path.unlink(missing_ok=True)
    if len(bad := quarantined(raw)):
        bad.to_csv(path, index=False)


def to_dataset(raw: RawFolder) -> Dataset:
    """Return the usable rows of a folder. Raises DataError if there are none."""
    rows = raw.rows[raw.rows["problem"] == ""]
    summary = quarantine_summary(raw.rows)
    if rows.empty:
        raise DataError(f"{raw.folder}: {summary or 'no rows below the header lines'}")
    masters, warnings = read_masters(raw.folder, raw.locations, rows)
    return Dataset(
        events=_events(rows),
        masters=masters,
        files={name: _sha256(raw.folder / name) for name in raw.files},
        quarantined=len(raw.rows) - len(rows),
        warnings=(*raw.warnings, *([summary] if summary else []), *warnings),
    )


def _events(rows: pd.DataFrame) -> Events:
    (epc, codes), (step, steps), (kind, types) = (
        pd.factorize(rows[name]) for name in ("epc_code", "business_step", "event_type")
    )
    return Events(
        event_id=rows["event_id"].to_numpy(np.int64),
        epc=epc.astype(np.int32),
        epc_codes=codes.tolist(),
        location_id=rows["location_id"].to_numpy(np.int64),
        step=step_codes(steps.tolist())[step],
        event_type=type_codes(types.tolist())[kind],
        time_us=rows["event_time"].to_numpy("datetime64[us]").astype(np.int64),
        file_id=rows["file_id"].to_numpy(np.int64),
    )


def truth_beside(folder: Path) -> Path | None:
    """Return the truth file in a data folder, by its usual name, None if it has none."""
    return next((path for name in _TRUTHS if (path := folder / name).is_file()), None)


def load_truth(path: Path, events: Events) -> Truth:
    """Read a truth table for ``events``: event_id and the five kinds as 0/1, true/false or probabilities.

    A parquet file, or text as raw files are (.csv, .tsv, .gz); other columns and other events in it do no harm.

    Raises:
        DataError: it cannot be read, a column is missing, a value is none of those, or an event has no truth or two.
    """
    table = _truth_table(path)
    ids = by_value(table["event_id"], whole_number)
    if ids.isna().any():
        raise DataError(f"{path}: event_id {table['event_id'][ids.isna()].iloc[0]!r} is no whole number")
    if (twice := ids.duplicated()).any():
        raise DataError(f"{path}: event_id {ids[twice].iloc[0]} stands twice")
    row = pd.Index(ids.to_numpy(np.int64)).get_indexer(pd.Index(events.event_id))
    if (row < 0).any():
        absent = events.event_id[row < 0]
        raise DataError(
            f"{path}: no truth for {len(absent)} of {len(events)} events, the first is event_id {absent[0]};"
            " without an event_id column the ids are row numbers from 1 over the raw files in name order"
        )
    labels = np.stack([_labels(table[kind.lower()], kind, path) for kind in KINDS], axis=1)[row]
    details = {
        name: table[name].fillna("").astype(str).to_numpy(dtype=object)[row] for name in DETAIL_COLUMNS if name in table
    }
    return Truth(labels, details)


def _truth_table(path: Path) -> pd.DataFrame:
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
    if missing := [name for name in names if name.lower() not in table]:
        raise DataError(f"{path}: no column {', '.join(missing)}; a truth table has {', '.join(names)}")
    return table


def _labels(values: pd.Series, kind: str, path: Path) -> NDArray[np.float32]:
    """Return the labels [N] of one kind, 0 .. 1."""
    code, distinct = pd.factorize(values, use_na_sentinel=False)
    text = [str(value).strip().lower() for value in distinct]
    numbers = pd.to_numeric(pd.Series([_LABELS.get(value, value) for value in text], dtype=object), errors="coerce")
    labels = numbers.to_numpy(np.float32)
    if len(bad := np.flatnonzero(~((labels >= 0) & (labels <= 1)))):
        raise DataError(f"{path}: column {kind} has {str(distinct[bad[0]])!r}; write 0 or 1, or a probability")
    return labels[code]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
