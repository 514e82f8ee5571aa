"""Raw CSV folders to columns: what the training side reads, checked row by row, nothing dropped silently."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pandera.pandas as pa
from numpy.typing import NDArray

from service.errors import SentinelError
from service.events import KINDS, Events, factorize, step_codes, type_codes
from training.reference import Masters

LOCATIONS, TRANSITIONS, QUARANTINE = "locations.csv", "transitions.csv", "quarantine.csv"
TRANSIT_COLUMNS = tuple(f"time_taken_hours_{name}" for name in ("mean", "std", "min", "max"))
DETAIL_COLUMNS = ("variant", "difficulty", "noise")
"""Optional text columns of a truth file, by which `evaluate` breaks its numbers down."""


class DataError(SentinelError):
    """A data folder or truth file cannot be used; the message says what, where and how to fix it."""


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


def load(folder: Path, quarantine: Path | None = None) -> Dataset:
    """Read all raw CSVs of ``folder`` and its masters.

    Rows that cannot be used are set aside with file, line and reason in ``quarantine`` (a CSV), if there are any.

    Raises:
        DataError: no raw files, a file without the needed columns, or no usable row.
    """
    paths = raw_files(folder)
    locations = _read_table(folder / LOCATIONS, ("location_id", "Latitude", "Longitude"))
    tables, set_aside, first_row = [], [], 1
    for number, path in enumerate(paths, 1):
        table = _read_raw(path, number, first_row, locations)
        first_row += len(table)
        bad = table["problem"] != ""
        set_aside.append(table.loc[bad, ["file", "line", "problem"]])
        tables.append(table[~bad])
    rows = pd.concat(tables, ignore_index=True)
    rejected = pd.concat(set_aside, ignore_index=True)
    if rows.empty:
        raise DataError(
            f"{folder}: none of {len(rejected)} rows can be used; the first problem: {rejected.iloc[0].to_dict()}"
        )
    if quarantine is not None and len(rejected):
        rejected.to_csv(quarantine, index=False)
    _check_ids(rows, folder)
    return Dataset(
        _columns(rows), _masters(folder, locations, rows), {p.name: _sha256(p) for p in paths}, len(rejected)
    )


def raw_files(folder: Path) -> list[Path]:
    """Return the raw event files of ``folder`` in name order: .csv, .tsv, .txt with columns epc_code and event_time."""
    found = sorted(p for p in folder.glob("*") if p.suffix.lower() in {".csv", ".tsv", ".txt"} and _is_raw(p))
    if not found:
        raise DataError(f"{folder}: no raw event file (.csv or .tsv with the columns epc_code and event_time)")
    return found


def load_truth(path: Path, events: Events) -> Truth:
    """Read a truth table (csv or parquet: event_id and the five kinds) for ``events``.

    Raises:
        DataError: a column is missing, or an event has no truth.
    """
    table = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path, sep=None, engine="python")
    missing = [name for name in ("event_id", *KINDS) if name not in table.columns]
    if missing:
        raise DataError(f"{path}: no column {', '.join(missing)}; a truth table has event_id, {', '.join(KINDS)}")
    if table["event_id"].duplicated().any():
        raise DataError(
            f"{path}: event_id {table.loc[table['event_id'].duplicated(), 'event_id'].iloc[0]} stands twice"
        )
    row = pd.Index(table["event_id"]).get_indexer(pd.Index(events.event_id))
    if (row < 0).any():
        absent = events.event_id[row < 0]
        raise DataError(f"{path}: no truth for {len(absent)} events, the first is event_id {absent[0]}")
    labels = table[list(KINDS)].astype(np.float32).to_numpy()[row]
    details = {
        name: table[name].fillna("").astype(str).to_numpy(dtype=object)[row]
        for name in DETAIL_COLUMNS
        if name in table.columns
    }
    return Truth(labels, details)


def _header(path: Path) -> tuple[list[str], str]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        line = file.readline().rstrip("\r\n")
    separator = "\t" if "\t" in line else ","
    return [name.strip() for name in next(csv.reader([line], delimiter=separator), [])], separator


def _is_raw(path: Path) -> bool:
    try:
        names, _ = _header(path)
    except UnicodeDecodeError:
        raise DataError(f"{path}: not UTF-8; save it as UTF-8, with or without BOM") from None
    return {"epc_code", "event_time"} <= set(names)


def _read_table(path: Path, needed: Sequence[str]) -> pd.DataFrame:
    if not path.is_file():
        raise DataError(f"{path}: not found; a data folder needs {LOCATIONS} and {TRANSITIONS}")
    names, separator = _header(path)
    missing = [name for name in needed if name not in names]
    if missing:
        raise DataError(f"{path}: no column {', '.join(missing)}")
    return pd.read_csv(path, sep=separator, encoding="utf-8-sig").rename(columns=str.strip)


def _read_raw(path: Path, number: int, first_row: int, locations: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of a raw file, parsed, and in ``problem`` why a row cannot be used ('' if it can)."""
    names, separator = _header(path)
    if "location_id" not in names and "scan_location" not in names:
        raise DataError(f"{path}: no column location_id (or scan_location)")
    if "event_type" not in names and "business_step" not in names:
        raise DataError(f"{path}: no column event_type (or business_step)")
    wanted = {"epc_code", "event_time", "location_id", "scan_location", "event_type", "business_step", "event_id"}
    raw = pd.read_csv(
        path, sep=separator, encoding="utf-8-sig", dtype=str, keep_default_na=False, skipinitialspace=True,
        usecols=lambda name: name.strip() in wanted, on_bad_lines="error", engine="c",
    ).rename(columns=str.strip)  # fmt: skip
    for name in ("scan_location", "business_step", "event_type"):
        if name not in raw:
            raw[name] = ""
    table = pd.DataFrame({"file": path.name, "line": np.arange(2, len(raw) + 2), "file_id": number})
    for name in ("epc_code", "scan_location", "business_step", "event_type"):
        table[name] = raw[name].str.strip()
    table["event_time"] = parse_times(raw["event_time"])
    table["location_id"] = _location_ids(raw, locations)
    if "event_id" in raw:
        table["event_id"] = pd.to_numeric(raw["event_id"], errors="coerce", dtype_backend="numpy_nullable")
    else:
        table["event_id"] = np.arange(first_row, first_row + len(raw))
    return _check_rows(table)


_ROWS = pa.DataFrameSchema(
    {
        "event_time": pa.Column("datetime64[us, UTC]", nullable=False),
        "location_id": pa.Column(float, nullable=False, coerce=True),
        "event_id": pa.Column(float, nullable=False, coerce=True),
    }
)
_PROBLEMS = {
    "event_time": "event_time is no time; write it like 2025-07-01 10:34:17",
    "location_id": "location_id is no number and scan_location is not in locations.csv",
    "event_id": "event_id is no number",
}


def _check_rows(table: pd.DataFrame) -> pd.DataFrame:
    table["problem"] = ""
    try:
        _ROWS.validate(table, lazy=True)
    except pa.errors.SchemaErrors as errors:
        for column, index in errors.failure_cases[["column", "index"]].itertuples(index=False):
            table.loc[index, "problem"] = _PROBLEMS[column]
    return table


def parse_times(text: pd.Series) -> pd.Series:
    """Return times in UTC at microseconds, NaT if unreadable; formats may be mixed, a time without zone is UTC."""
    times = pd.to_datetime(text.str.strip(), format="ISO8601", utc=True, errors="coerce")
    unread = times.isna() & (text.str.strip() != "")
    if unread.any():
        times[unread] = pd.to_datetime(text[unread].str.strip(), format="mixed", utc=True, errors="coerce")
    return times.astype("datetime64[us, UTC]")


def _location_ids(raw: pd.DataFrame, locations: pd.DataFrame) -> pd.Series:
    ids = pd.Series(np.nan, index=raw.index)
    if "location_id" in raw:
        ids = pd.to_numeric(raw["location_id"], errors="coerce")
    if "scan_location" in locations:
        by_name = locations.drop_duplicates("scan_location").set_index("scan_location")["location_id"]
        ids = ids.fillna(raw["scan_location"].str.strip().map(by_name))
    return ids


def _check_ids(rows: pd.DataFrame, folder: Path) -> None:
    twice = rows["event_id"].duplicated()
    if twice.any():
        row = rows[twice].iloc[0]
        raise DataError(f"{folder / row['file']} line {row['line']}: event_id {int(row['event_id'])} stands twice")


def _columns(rows: pd.DataFrame) -> Events:
    epc, codes = factorize(rows["epc_code"].tolist())
    return Events(
        event_id=rows["event_id"].to_numpy(np.int64),
        epc=epc,
        epc_codes=codes,
        location_id=rows["location_id"].to_numpy(np.int64),
        step=step_codes(rows["business_step"].tolist()),
        event_type=type_codes(rows["event_type"].tolist()),
        time_us=rows["event_time"].to_numpy("datetime64[us]").astype(np.int64),
        file_id=rows["file_id"].to_numpy(np.int64),
    )


def _masters(folder: Path, locations: pd.DataFrame, rows: pd.DataFrame) -> Masters:
    """Return the masters by location id; names that the location master lacks are taken from the events."""
    known = locations.dropna(subset=["location_id"]).drop_duplicates("location_id").sort_values("location_id")
    id_of = rows.drop_duplicates("scan_location").set_index("scan_location")["location_id"]
    if "scan_location" in known:
        id_of = pd.concat([known.set_index("scan_location")["location_id"], id_of])
    id_of = id_of[~id_of.index.duplicated()]
    routes = _read_table(folder / TRANSITIONS, ("from_scan_location", "to_scan_location", *TRANSIT_COLUMNS))
    routes["from"] = routes["from_scan_location"].map(id_of)
    routes["to"] = routes["to_scan_location"].map(id_of)
    routes = routes.dropna(subset=["from", "to", *TRANSIT_COLUMNS]).drop_duplicates(["from", "to"])
    count = routes["time_taken_hours_count"] if "time_taken_hours_count" in routes else pd.Series(1.0, routes.index)
    return Masters(
        location_id=known["location_id"].to_numpy(np.int64),
        latitude=pd.to_numeric(known["Latitude"], errors="coerce").to_numpy(np.float64),
        longitude=pd.to_numeric(known["Longitude"], errors="coerce").to_numpy(np.float64),
        route_from=routes["from"].to_numpy(np.int64),
        route_to=routes["to"].to_numpy(np.int64),
        route_hours=routes[list(TRANSIT_COLUMNS)].to_numpy(np.float64),
        route_count=np.asarray(count.fillna(1.0), dtype=np.float64),
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
