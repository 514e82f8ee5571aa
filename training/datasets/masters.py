"""The masters of a data folder: where its locations are, and how long the routes between them take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from unicodedata import normalize

import numpy as np
import pandas as pd
import pandera.pandas as pa
from numpy.typing import NDArray

from service.dialect.dialect import Dialect
from service.events.zones import TimeZones, is_zone
from service.rawfiles.rows import whole_number
from training.datasets.tables import read_table
from training.errors import DataError

LOCATIONS, TRANSITIONS = "locations.csv", "transitions.csv"

TRANSIT_COLUMNS = tuple(f"time_taken_hours_{name}" for name in ("mean", "std", "min", "max"))

SUCH_AS = "write one such as Asia/Seoul"

_COUNT = "time_taken_hours_count"

_ENDS = {"from": "from_scan_location", "to": "to_scan_location"}

_PLACES = pa.DataFrameSchema(
    {
        "location_id": pa.Column("Int64", unique=True, nullable=False, report_duplicates="exclude_first"),
        "latitude": pa.Column(float, pa.Check.in_range(-90, 90), nullable=True),
        "longitude": pa.Column(float, pa.Check.in_range(-180, 180), nullable=True),
    }
)

_ROUTES = pa.DataFrameSchema(
    dict.fromkeys(_ENDS, pa.Column("Int64", nullable=False))
    | dict.fromkeys((*TRANSIT_COLUMNS, _COUNT), pa.Column(float, [pa.Check.ge(0), pa.Check.lt(np.inf)])),
    unique=list(_ENDS),
    report_duplicates="exclude_first",
)


def read_locations(folder: Path) -> tuple[pd.DataFrame, list[str]]:
    """Return (location_id, scan_location, latitude, longitude, time_zone of the usable rows of the location master,
    warnings); without a zone it is "".

    Raises:
        DataError: there is no location master, it lacks a column, none of its rows can be used, or one has a zone that
            there is not.
    """
    path = folder / LOCATIONS
    if not path.is_file():
        raise DataError(
            f"{path}: not found; a data folder needs it, with location_id, scan_location, Latitude, Longitude"
        )
    raw, warnings = _read(path, ("location_id", "latitude", "longitude"))
    places = raw[["line", "problem"]].assign(
        location_id=by_value(raw["location_id"], whole_number),
        scan_location=place_names(raw["scan_location"]) if "scan_location" in raw else "",
        latitude=_numbers(raw["latitude"]),
        longitude=_numbers(raw["longitude"]),
        time_zone=raw["time_zone"].str.strip() if "time_zone" in raw else "",
    )
    _check_zones(places, path)
    usable, bad = _usable(places, _PLACES, path)
    return usable, [*warnings, *bad]


def _check_zones(places: pd.DataFrame, path: Path) -> None:
    known = {zone: not zone or is_zone(zone) for zone in places["time_zone"].unique().tolist()}
    for line, zone in places.loc[~places["time_zone"].map(known).astype(bool), ["line", "time_zone"]].to_numpy():
        raise DataError(f"{path}: line {line}: column time_zone: {zone!r} is no time zone; {SUCH_AS}")


def zones_of(locations: pd.DataFrame, default: str) -> TimeZones:
    """Return the time zones of a location master, ``default`` where it says none.

    Raises:
        DataError: there is no such zone as ``default``.
    """
    if not is_zone(default):
        raise DataError(f"time_zone {default!r} is no time zone; {SUCH_AS}")
    named = locations[~locations["time_zone"].isin(["", default])]
    return TimeZones(default, dict(zip(named["location_id"].tolist(), named["time_zone"].tolist(), strict=True)))


def read_masters(
    folder: Path, locations: pd.DataFrame, rows: pd.DataFrame, zones: TimeZones, dialect: Dialect | None = None
) -> tuple[Masters, list[str]]:
    """Return (the masters, warnings); ``rows`` are events, which name places that the location master lacks.

    Raises:
        DataError: the transition master lacks a column, or none of its rows can be used.
    """
    routes, warnings = _read_routes(folder / TRANSITIONS, ids_by_name(locations, rows))
    places = locations.sort_values("location_id")
    masters = Masters(
        location_id=places["location_id"].to_numpy(np.int64),
        latitude=places["latitude"].to_numpy(np.float64),
        longitude=places["longitude"].to_numpy(np.float64),
        route_from=routes["from"].to_numpy(np.int64),
        route_to=routes["to"].to_numpy(np.int64),
        route_hours=routes[list(TRANSIT_COLUMNS)].to_numpy(np.float64),
        route_count=routes[_COUNT].to_numpy(np.float64),
        zones=zones,
        dialect=dialect,
    )
    return masters, warnings


def _read_routes(path: Path, id_of: pd.Series) -> tuple[pd.DataFrame, list[str]]:
    if not path.is_file():
        none = pd.DataFrame(columns=[*_ENDS, *TRANSIT_COLUMNS, _COUNT])
        return none, [f"no {path.name}: transit times are learned from the events alone"]
    mean, deviation, least, most = TRANSIT_COLUMNS
    raw, warnings = _read(path, (*_ENDS.values(), mean, least, most))
    routes = raw[["line", "problem"]].copy()
    for end, name in _ENDS.items():
        routes[end] = place_names(raw[name]).map(id_of).astype("Int64")
    for column in TRANSIT_COLUMNS:
        routes[column] = _numbers(raw[column]) if column in raw else np.nan
    routes[deviation] = routes[deviation].fillna(0.0)  # a route that was seen once has none
    routes[_COUNT] = _numbers(raw[_COUNT]).fillna(1.0) if _COUNT in raw else 1.0
    usable, bad = _usable(routes, _ROUTES, path)
    return usable, [*warnings, *bad]


def ids_by_name(locations: pd.DataFrame, rows: pd.DataFrame | None = None) -> pd.Series:
    """Return the location id by name: of the location master, else the one that most of the ``rows`` give the name.

    A name of two ids in the master is nobody's.
    """
    known = locations[locations["scan_location"] != ""].drop_duplicates("scan_location", keep=False)
    id_of = known.set_index("scan_location")["location_id"]
    if rows is None:
        return id_of
    named = rows.loc[rows["scan_location"] != "", ["scan_location", "location_id"]]
    seen = named.value_counts().reset_index().drop_duplicates("scan_location")
    both: pd.Series = pd.concat([id_of, seen.set_index("scan_location")["location_id"]])
    return both[~both.index.duplicated()]


def place_names(text: pd.Series) -> pd.Series:
    """Return names that compare equal if they look equal: outer blanks removed, one Unicode form."""
    code, distinct = pd.factorize(text)
    names = [normalize("NFC", name.strip()) for name in distinct.tolist()]
    return pd.Series(np.array(names, dtype=object)[code] if names else "", index=text.index, dtype=text.dtype)


def by_value(text: pd.Series, of: Callable[[str], int | None]) -> pd.Series:
    """Return whole numbers (nullable, exact) from text; ``of`` is called once per distinct text."""
    code, distinct = pd.factorize(text, use_na_sentinel=False)
    values = pd.array([of(str(value)) for value in distinct.tolist()], dtype="Int64")
    return pd.Series(values.take(code), index=text.index)


def _read(path: Path, needed: tuple[str, ...]) -> tuple[pd.DataFrame, list[str]]:
    table = read_table(path)
    if missing := [name for name in needed if name not in table.rows]:
        raise DataError(f"{path}: no column {', '.join(missing)}; it needs {', '.join(needed)}")
    return table.rows, [f"{path.name} {table.warning}"] if table.warning else []


def _numbers(text: pd.Series) -> pd.Series:
    """Return floats, NaN where there is none; a decimal comma is one, as in files that semicolons separate."""
    numbers: pd.Series = pd.to_numeric(text.str.strip().str.replace(",", "."), errors="coerce").astype(np.float64)
    return numbers


def _usable(rows: pd.DataFrame, schema: pa.DataFrameSchema, path: Path) -> tuple[pd.DataFrame, list[str]]:
    """Return (the rows in which the schema finds no failure, a warning that counts and shows the others).

    Raises:
        DataError: there are rows, and not one of them can be used.
    """
    rows, table = rows.copy(), rows[rows["problem"] == ""]
    try:
        schema.validate(table, lazy=True)
    except pa.errors.SchemaErrors as errors:
        for case in errors.failure_cases.drop_duplicates("index").itertuples():
            rows.loc[case.index, "problem"] = f"{case.column}: {case.failure_case} ({case.check})"
    bad = rows[rows["problem"] != ""]
    shown = "; ".join(f"line {line}: {problem}" for line, problem in bad[["line", "problem"]].head(3).to_numpy())
    if 0 < len(rows) == len(bad):
        raise DataError(f"{path}: none of its {len(rows)} rows can be used: {shown}")
    warnings = [f"{path.name}: {len(bad)} of {len(rows)} rows are left out: {shown}"] if len(bad) else []
    return rows[rows["problem"] == ""].drop(columns=["line", "problem"]), warnings


@dataclass(frozen=True, slots=True, eq=False)
class Masters:
    """The location and transition masters of a data folder."""

    location_id: NDArray[np.int64]  # [P] sorted, distinct
    latitude: NDArray[np.float64]  # [P] degrees, NaN if unknown
    longitude: NDArray[np.float64]  # [P] degrees, NaN if unknown
    route_from: NDArray[np.int64]  # [R] location ids
    route_to: NDArray[np.int64]  # [R] location ids
    route_hours: NDArray[np.float64]  # [R, 4] mean, standard deviation, minimum, maximum hours
    route_count: NDArray[np.float64]  # [R]
    zones: TimeZones = field(default_factory=TimeZones)  # of the places
    dialect: Dialect | None = None  # how the network writes its events; None: as the model does
