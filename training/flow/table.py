"""Daily flow as a CSV file: what ``flow measure --out`` and ``flow generate`` write."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from service.flow.series import PLANT_DIMENSIONS, SCAN_DIMENSIONS, FlowSeries
from training.errors import DataError

_KEYS = {
    ("location_id", "step", "product"): SCAN_DIMENSIONS,
    ("plant", "application", "panel_size"): PLANT_DIMENSIONS,
}
"""Columns of the keys, and the dimensions that they are."""

_NEEDED = ("day", "wip", "departures", "cycle_h")


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
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: {error}") from None
    late = min((row["day"] for row in rows if row.get("complete") == "False"), default="9999-12-31")
    kept = [row for row in rows if row["day"] < late]
    try:
        return FlowSeries.from_rows(
            _KEYS[columns],
            [np.array([row[column] for row in kept]) for column in columns],
            np.array([row["day"] for row in kept], dtype="datetime64[D]").astype(np.int64),
            *(np.array([float(row[name] or "nan") for row in kept]) for name in ("wip", "departures", "cycle_h")),
        )
    except (ValueError, TypeError) as error:
        raise DataError(f"{path}: {error}") from None


def _header(path: Path) -> list[str]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return next(csv.reader(file), [])
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: {error}") from None
