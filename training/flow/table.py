"""Daily flow as a CSV file: what ``flow measure --out`` and ``flow generate`` write."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import numpy as np

from service.flow.series import PLANT_DIMENSIONS, SCAN_DIMENSIONS, FlowSeries
from training.errors import DataError

_KEYS = {
    ("location_id", "step", "product"): SCAN_DIMENSIONS,
    ("plant", "application", "panel_size"): PLANT_DIMENSIONS,
}
"""Columns of the keys, and the dimensions that they are."""

_MOST = 1e12
_NUMBERS = ("wip", "departures", "cycle_h")
_NEEDED = ("day", *_NUMBERS)


def is_flow_table(path: Path) -> bool:
    """Return whether a path is a file with the columns of daily flow."""
    return path.is_file() and path.suffix == ".csv" and set(_NEEDED) <= set(_header(path))


def read_table(path: Path) -> FlowSeries:
    """Return the series of a file, without days that are not complete.

    Raises:
        DataError: it cannot be read, a column is missing, or a row cannot be.
    """
    header = _header(path)
    columns = next((columns for columns in _KEYS if set(columns) <= set(header)), None)
    if columns is None:
        raise DataError(f"{path}: there are neither the columns location_id, step, product nor plant, application,"
                        " panel_size")  # fmt: skip
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            rows = [_checked(path, reader.line_num, row, columns) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: {error}") from None
    late = min((row["day"] for row in rows if row.get("complete") == "False"), default="9999-12-31")
    kept = [row for row in rows if row["day"] < late]
    try:
        return FlowSeries.from_rows(
            _KEYS[columns],
            [np.array([row[column] for row in kept]) for column in columns],
            np.array([row["day"] for row in kept], dtype="datetime64[D]").astype(np.int64),
            *(np.array([float(row[name] or "nan") for row in kept]) for name in _NUMBERS),
        )
    except (ValueError, TypeError) as error:
        raise DataError(f"{path}: {error}") from None


def _checked(path: Path, line: int, row: dict[str, str], columns: Sequence[str]) -> dict[str, str]:
    """Return a row; raises DataError that names the line and the column of what is missing, no number or no day."""
    if short := [name for name in (*columns, *_NEEDED) if row[name] is None]:
        raise DataError(f"{path}: line {line}: has no {short[0]}: the row is shorter than the header")
    try:
        column = "day"
        date.fromisoformat(row[column])
        for column in _NUMBERS:
            is_none = column == "cycle_h" and not row[column]  # where nothing left
            if not is_none and not 0 <= float(row[column]) <= _MOST:
                raise ValueError
    except ValueError:
        wanted = "a day such as 2025-12-31" if column == "day" else f"a number from 0 to {_MOST:g}"
        raise DataError(f"{path}: line {line}: {column} is {row[column][:40]!r}: give {wanted}") from None
    return row


def _header(path: Path) -> list[str]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return next(csv.reader(file), [])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: {error}") from None
