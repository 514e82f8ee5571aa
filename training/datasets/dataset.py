"""Data sets: the usable events of a folder of raw files, its masters, and what is known to be anomalous in it."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from service.dialect.dialect import Dialect, words_of
from service.events.columns import Events, step_codes, type_codes
from service.events.words import Wording
from service.events.zones import SEOUL
from service.model.manifest import digest_of
from service.rawfiles.cells import no_formula
from training.datasets.folder import REPEATED, RawFolder, quarantine_summary, quarantined, read_folder
from training.datasets.masters import Masters, read_masters
from training.errors import DataError

QUARANTINE = "quarantine.csv"

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Dataset:
    """One data folder."""

    events: Events
    masters: Masters
    files: dict[str, str]  # file name: SHA-256
    quarantined: int  # rows set aside, see QUARANTINE
    warnings: tuple[str, ...] = ()  # one line each: what is missing or was set aside, and where
    files_are_named: bool = False  # every raw file says by itself which file_id its rows have


def load(
    folder: Path,
    quarantine: Path | None = None,
    time_zone: str = SEOUL,
    dialect: Dialect | None = None,
    *,
    go_on: bool = False,
) -> Dataset:
    """Read all raw files of ``folder`` and its masters; ``time_zone`` is of the places of which they say none.

    Columns, words and codes of the raw files are those of ``dialect``; the masters have the model's columns.

    A raw file is a .csv, .tsv or .txt (or one of these with .gz) with the columns epc_code, event_time, location_id or
    scan_location, event_type or business_step; `service.rawfiles.rows` says what its lines mean. The event_id is the
    column of that name, or else the number of the row, from 1 over all files in name order, unusable rows counted.

    Rows that cannot be used are set aside: file, line, problem and text of each go to ``quarantine`` (a CSV, written
    if there are any). So do rows that repeat an earlier one, its id included. What was set aside or is missing is
    logged as a warning, which the commands show on stderr. With ``go_on`` a file without a usable row is one too,
    as long as there is another file.

    Raises:
        DataError: no raw files, a file without the needed columns, two different events of one id, a file (masters
            too) without a usable row, or no locations.csv. Without transitions.csv there are no routes, and a warning.
    """
    raw = read_folder(folder, time_zone, dialect, go_on=go_on)
    if quarantine is not None:
        write_quarantine(raw, quarantine)
    loaded = to_dataset(raw)
    for name, why in _useless_files(raw).items() if not go_on else ():
        raise DataError(f"{folder / name}: {why}; correct the file, or take it out of the folder")
    for warning in loaded.warnings:
        _LOG.warning("warning: %s: %s", folder, warning)
    if loaded.quarantined and quarantine is not None:
        _LOG.warning("warning: the rows that cannot be used are in %s", quarantine)
    return loaded


def write_quarantine(raw: RawFolder, path: Path) -> None:
    """Write the rows that cannot be used to ``path``; no file if there are none, not even one of an earlier run.

    What a spreadsheet would run gets an apostrophe before it.
    """
    path.unlink(missing_ok=True)
    if len(bad := quarantined(raw)):
        bad.assign(**{name: bad[name].map(no_formula) for name in ("file", "text")}).to_csv(path, index=False)


def to_dataset(raw: RawFolder) -> Dataset:
    """Return the usable rows of a folder. Raises DataError if there are none."""
    rows = raw.rows[raw.rows["problem"] == ""]
    summary = quarantine_summary(raw.rows)
    if rows.empty:
        raise DataError(f"{raw.folder}: {summary or 'no rows below the header lines; add files with events'}")
    masters, warnings = read_masters(raw.folder, raw.locations, rows, raw.zones, raw.dialect)
    return Dataset(
        events=_events(rows, words_of(raw.dialect)),
        masters=masters,
        files={name: digest_of(raw.folder / name) for name in raw.files},
        quarantined=len(raw.rows) - len(rows),
        warnings=(
            *raw.warnings,
            *([summary] if summary else []),
            *(f"{name}: {why}" for name, why in _useless_files(raw).items()),
            *_copies(raw),
            *warnings,
        ),
        files_are_named=all("file_id" in table.header.names for table in raw.files.values()),
    )


def _useless_files(raw: RawFolder) -> dict[str, str]:
    """Return the files that have rows, of which not one can be used, and why; copies of others are `_copies`."""
    found = {}
    for name, rows in raw.rows.groupby("file", sort=False):
        if (rows["problem"] != "").all() and (rows["problem"] != REPEATED).any():
            found[str(name)] = f"none of its {len(rows)} rows can be used: {rows['problem'].iloc[0]}"
    return found


def _copies(raw: RawFolder) -> list[str]:
    """Return a warning per file that mostly repeats earlier rows, as "icn (1).csv" beside icn.csv does."""
    usable = raw.rows[raw.rows["problem"].isin(["", REPEATED])]
    again = usable.duplicated(["epc_code", "event_time", "location_id", "event_type"]).groupby(usable["file"])
    return [
        f"{name}: {count} of {total} rows repeat EPC, time, place and type of an earlier row: is it a copy?"
        for name, count, total in zip(again.groups, again.sum(), again.size(), strict=True)
        if 2 * count >= total
    ]


def _events(rows: pd.DataFrame, words: Wording) -> Events:
    (epc, codes), (step, steps), (kind, types) = (
        pd.factorize(rows[name]) for name in ("epc_code", "business_step", "event_type")
    )
    return Events(
        event_id=rows["event_id"].to_numpy(np.int64),
        epc=epc.astype(np.int32),
        epc_codes=codes.tolist(),
        location_id=rows["location_id"].to_numpy(np.int64),
        step=step_codes(steps.tolist(), words)[step],
        event_type=type_codes(types.tolist(), words)[kind],
        time_us=rows["event_time"].to_numpy("datetime64[us]").astype(np.int64),
        file_id=rows["file_id"].to_numpy(np.int64),
    )
