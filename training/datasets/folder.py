"""Folders of raw files to typed rows: each row is an event, or has a problem that is named and goes to quarantine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pandera.pandas as pa

from service.dialect.dialect import Dialect, words_of
from service.events.columns import code_columns, type_codes
from service.events.vocabulary import LEVEL_OF_TYPE
from service.events.words import OWN_WORDS, Wording
from service.events.zones import SEOUL, TimeZones
from service.rawfiles.folders import left_out, raw_files_of
from service.rawfiles.rows import other_names, whole_number
from service.rawfiles.table import EITHER, taken_from
from service.rawfiles.times import DATES_ONLY, dates_only, has_zone, time_us
from training.datasets.masters import LOCATIONS, by_value, ids_by_name, place_names, read_locations, zones_of
from training.datasets.tables import NOT_UTF8, RawTable, raw_text, read_header, read_table
from training.errors import DataError

_TEXTS = ("epc_code", "scan_location", "business_step", "event_type")
NEEDED = ("epc_code", "event_time", "location_id", "event_type", "business_step")
"""The columns of a raw file; of location_id the scan_location will do, and one of the latter two."""
USED = {*NEEDED, "scan_location", "event_id", "file_id"}
_INSTEAD = {"event_type": "business_step", "business_step": "event_type", "location_id": "scan_location"}
_SHOWN = 3

_ROWS = pa.DataFrameSchema(
    {
        "event_time": pa.Column("datetime64[us, UTC]", nullable=False),
        "location_id": pa.Column("Int64", nullable=False),
        "event_id": pa.Column("Int64", nullable=False),
        "file_id": pa.Column("Int64", nullable=False),
    }
)
_PROBLEMS = {
    "event_time": "{event_time} is no time that can be read without a guess; write it like 2025-07-01 10:34:17",
    "location_id": f"{{location_id}} is no whole number, and {{scan_location}} is not in {LOCATIONS}",
    "event_id": "{event_id} is no whole number",
    "file_id": "{file_id} is no whole number",
}
"""Why a row cannot be used, by the column, with the names that the files have for columns to be filled in."""
REPEATED = "repeats an earlier row, its id included"


@dataclass(frozen=True, slots=True, eq=False)
class RawFolder:
    """The M rows of a data folder, usable or not."""

    folder: Path
    files: dict[str, RawTable]  # by file name; their rows are in ``rows``
    rows: pd.DataFrame  # [M] file, line, problem ("" if usable) and the columns of an event
    locations: pd.DataFrame  # location_id, scan_location, latitude, longitude, time_zone
    zones: TimeZones  # of the locations
    warnings: list[str]
    dirty_codes: int = 0  # rows of which something around the code was left out
    dialect: Dialect | None = None


def read_folder(
    folder: Path, time_zone: str = SEOUL, dialect: Dialect | None = None, *, go_on: bool = False
) -> RawFolder:
    """Read all raw files of ``folder`` and its location master.

    Times without a zone are local to their place. A place of which the master says no zone is in ``time_zone``.
    Columns, words and codes are those of ``dialect``. With ``go_on`` a raw file that cannot be read is a warning, as
    long as there is another one.

    Raises:
        DataError: no raw files, a file without the needed columns, two different events of one id, no locations.csv,
            a time zone that there is not.
    """
    words, columns = words_of(dialect), dialect.columns if dialect else {}
    called = names_in_files(columns)
    tables, unreadable = _tables(folder, columns, go_on=go_on)
    locations, warnings = read_locations(folder)
    zones = zones_of(locations, time_zone)
    warnings += [*left_out([folder], columns), *unreadable]
    files, parts, first_row, dirty = {}, [], 1, 0
    for number, (path, table) in enumerate(tables, 1):
        warnings += [f"{path.name} {table.warning}"] if table.warning else []
        warnings += [
            f"{path.name} {taken_from(name, other, columns)}"
            for name, other in _INSTEAD.items()
            if name not in table.header.names
        ]
        codes, warning, count = clean_codes(table.rows["epc_code"], words)
        warnings += [f"{path.name}: {warning}"] if warning else []
        dirty += count
        typed = _typed(table.rows.assign(epc_code=codes), path.name, number, first_row, locations, words, called)
        if dates_only(typed["event_time"].dropna().to_numpy("datetime64[us]").astype(np.int64)):
            warnings.append(f"{path.name} {DATES_ONLY}")
        parts.append(typed.assign(event_time=_instants(typed, table.rows["event_time"], zones)))
        first_row += len(table.rows)
        files[path.name] = replace(table, rows=table.rows.iloc[:0])
    rows = pd.concat(parts, ignore_index=True)
    _set_repeated_aside(rows, folder, called["event_id"])
    return RawFolder(folder, files, rows, locations, zones, warnings, dirty, dialect)


def _tables(folder: Path, columns: Mapping[str, str], *, go_on: bool) -> tuple[list[tuple[Path, RawTable]], list[str]]:
    """Return (the raw files with their rows, why others could not be read: with ``go_on``, else that is an error).

    ``columns`` are names that the files have in place of the model's.

    Raises:
        DataError: there are none that can be read, or, unless ``go_on``, one cannot be read or lacks a column.
    """
    tables: list[tuple[Path, RawTable]] = []
    unreadable: list[DataError] = []
    for path in raw_files(folder, columns):
        try:
            _check_header(path, columns)
            tables.append((path, read_table(path, USED, columns)))
        except DataError as error:
            if not go_on:
                raise
            unreadable.append(error)
    if not tables:
        raise unreadable[0]
    return tables, [f"{error} (the file is left out)" for error in unreadable]


def raw_files(folder: Path, columns: Mapping[str, str] | None = None) -> list[Path]:
    """Return the raw files of ``folder`` in name order, see `service.rawfiles.folders`.

    ``columns`` are names that the files have in place of the model's.

    Raises:
        DataError: there are none.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; name the one that holds the raw files")
    own = columns or {}
    found = raw_files_of(folder, own)
    if not found:
        code, time = (own.get(name, name) for name in ("epc_code", "event_time"))
        others = "".join(f"; {text}" for text in left_out([folder], own))
        raise DataError(
            f"{folder}: no raw event file (.csv or .tsv with the columns {code} and {time}){others}; {other_names(own)}"
        )
    return found


def names_in_files(columns: Mapping[str, str]) -> dict[str, str]:
    """Return what raw files call each column that is used, where ``columns`` are the names that they have otherwise."""
    return {name: columns.get(name, name) for name in USED}


def _check_header(path: Path, columns: Mapping[str, str]) -> None:
    try:
        names = set(read_header(path).renamed(columns).names)
    except UnicodeDecodeError:
        raise DataError(f"{path}: {NOT_UTF8}") from None
    if not {"location_id", "scan_location"} & names:
        raise DataError(_lacks(path, "location_id", "scan_location", columns))
    if not set(EITHER) & names:
        raise DataError(_lacks(path, *EITHER, columns))


def _lacks(path: Path, name: str, other: str, columns: Mapping[str, str]) -> str:
    called = names_in_files(columns)
    return f"{path}: no column {called[name]} (or {called[other]}); {other_names(columns)}"


def _typed(  # noqa: PLR0913, PLR0917 - a file, where it stands, and what it is read with
    raw: pd.DataFrame,
    name: str,
    number: int,
    first_row: int,
    locations: pd.DataFrame,
    words: Wording,
    called: Mapping[str, str],
) -> pd.DataFrame:
    """Return the rows of a file with the columns of an event, and in ``problem`` why a row cannot be used."""
    rows = raw[["line", "problem"]].assign(file=name)
    for column in _TEXTS:
        rows[column] = raw.get(column, "")
    if "event_type" not in raw:
        rows["event_type"] = raw["business_step"]  # the backend writes some types into it
    if "business_step" not in raw:
        levels = LEVEL_OF_TYPE[type_codes(raw["event_type"].tolist(), words)]
        rows["business_step"] = np.array(words.step_names, object)[levels]
    rows["scan_location"] = place_names(rows["scan_location"])
    rows["event_time"] = parse_times(raw["event_time"])
    named = rows["scan_location"].map(ids_by_name(locations)).astype("Int64")
    rows["location_id"] = by_value(raw["location_id"], whole_number).fillna(named) if "location_id" in raw else named
    rows["event_id"] = first_row + np.arange(len(raw), dtype=np.int64)
    rows["file_id"] = np.int64(number)
    for column in ("event_id", "file_id"):
        rows[column] = by_value(raw[column], whole_number) if column in raw else rows[column].astype("Int64")
    try:
        _ROWS.validate(rows, lazy=True)
    except pa.errors.SchemaErrors as errors:
        for column, cases in errors.failure_cases.groupby("column", sort=False):
            failed = rows.index.isin(cases["index"]) & (rows["problem"] == "")
            rows.loc[failed, "problem"] = _PROBLEMS[str(column)].format(**called)
    return rows


def clean_codes(text: pd.Series, words: Wording = OWN_WORDS) -> tuple[pd.Series, str, int]:
    """Return (codes without what transport put around them, see `codes.without_dirt`; a warning or ""; dirty rows)."""
    epc, codes, spelling = code_columns(text.tolist(), words)
    if spelling is None:
        return text, "", 0
    clean = pd.Series(np.array(codes, dtype=object)[epc], index=text.index)
    return clean, spelling.warning(np.ones(len(text), dtype=np.bool_)), int(spelling.is_dirty.sum())


def parse_times(text: pd.Series) -> pd.Series:
    """Return times at microseconds, NaT if unreadable, see `rawfiles.times.time_us`; formats may be mixed.

    They are in UTC, and those that name no zone as if they were.
    """
    values = by_value(text, time_us)
    times = values.fillna(0).to_numpy(np.int64).view("datetime64[us]").copy()
    times[values.isna().to_numpy()] = np.datetime64("NaT")
    return pd.Series(times, index=text.index).dt.tz_localize("UTC")


def _instants(rows: pd.DataFrame, text: pd.Series, zones: TimeZones) -> pd.Series:
    """Return the times of the rows; those of which the ``text`` names no zone were local to their place."""
    times, is_local = rows["event_time"].copy(), by_value(text, lambda cell: int(not has_zone(cell))) == 1
    is_local &= times.notna()
    local_us = times[is_local].to_numpy("datetime64[us]").astype(np.int64)
    place = rows.loc[is_local, "location_id"].fillna(0).to_numpy(np.int64)
    instants = zones.instant_us(local_us, place).view("datetime64[us]")
    times[is_local] = pd.Series(instants, index=times.index[is_local]).dt.tz_localize("UTC")
    return times


def _set_repeated_aside(rows: pd.DataFrame, folder: Path, called: str) -> None:
    """Mark rows that repeat an earlier event, id included; raise if two different events have one id."""
    usable = rows[rows["problem"] == ""]
    twice = usable[usable["event_id"].duplicated(keep=False)]
    again = twice.duplicated(["event_id", "epc_code", "event_time", "location_id", "event_type", "business_step"])
    rows.loc[twice.index[again], "problem"] = REPEATED
    other = twice[~again]
    other = other[other["event_id"].duplicated()]
    if len(other):
        row = other.iloc[0]
        raise DataError(
            f"{folder / row['file']} line {row['line']}: {called} {row['event_id']} stands twice, for different events;"
            " give every event its own id, or leave the column out"
        )


def quarantined(raw: RawFolder, count: int | None = None) -> pd.DataFrame:
    """Return file, line, problem and text of the rows that cannot be used, the first ``count`` or all."""
    bad = raw.rows.loc[raw.rows["problem"] != "", ["file", "line", "problem"]].iloc[:count].reset_index(drop=True)
    texts = {name: raw_text(raw.folder / str(name), set(rows["line"])) for name, rows in bad.groupby("file")}
    return bad.assign(text=[texts[file][line] for file, line in zip(bad["file"], bad["line"], strict=True)])


def quarantine_summary(rows: pd.DataFrame) -> str:
    """Return in one line how many of the rows cannot be used, why, and where the first is; "" if all can."""
    bad = rows[rows["problem"] != ""]
    if bad.empty:
        return ""
    kinds = bad.groupby("problem", sort=False).agg(
        count=("line", "size"), file=("file", "first"), line=("line", "first")
    )
    shown = [
        f"{problem} ({count}, first {file} line {line})"
        for problem, count, file, line in kinds.head(_SHOWN).itertuples()
    ]
    more = f"; and {len(kinds) - _SHOWN} other problems" if len(kinds) > _SHOWN else ""
    return f"{len(bad)} of {len(rows)} rows cannot be used: {'; '.join(shown)}{more}"
