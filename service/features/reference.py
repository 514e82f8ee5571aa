"""Reference tables: what is normal here. Places, lanes and their times, flows of products, issued codes.

Learned by `training.samples.reference` from normal events and the location and transition masters, stored in the
manifest, looked up by the features. Every table has a defined answer for what it does not know.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from service.dialect.dialect import Dialect, ranks
from service.events.vocabulary import LEVEL_OF_TYPE, LEVELS, TYPES
from service.events.zones import TimeZones
from service.features.tables import Tables

LANE_QUANTILES = ("low", "median", "high", "spread")
"""Of the log gap in minutes, `log1p(minutes)`: 1 %, 50 % and 99 % quantiles, and (75 % - 25 %) / 1.35."""

_LATER = ("zones", "hours", "dialect", "serial_step")


@dataclass(frozen=True, eq=False)
class Counts:
    """How often each key was seen: K sorted keys, any number of looked-up ones."""

    key: NDArray[np.int64]  # [K]
    count: NDArray[np.float64]  # [K]

    def find(self, keys: NDArray[np.int64]) -> NDArray[np.intp]:
        """Return the row [N] of each key, K (one past the end) if it is not there."""
        row = self.key.searchsorted(keys)
        row[self._key_or_none[row] != keys] = len(self.key)
        return row

    @cached_property
    def _key_or_none(self) -> NDArray[np.int64]:
        return np.append(self.key, np.iinfo(np.int64).max)  # in the row of keys that are not there


@dataclass(frozen=True, eq=False)
class Reference:
    """The tables of one model version. ``place`` below is the index of a location, P for an unknown one.

    A *scan* is a place and an event type; a *lane* is two consecutive scans of a journey. Keys are those of `keys`, or
    of the methods here where they depend on how many places there are.
    """

    location_id: NDArray[np.int64]  # [P] sorted ids of the known places
    latitude: NDArray[np.float64]  # [P] degrees, NaN if unknown
    longitude: NDArray[np.float64]  # [P] degrees, NaN if unknown
    scan: Counts  # scans seen, by scan_key
    type_pair: NDArray[np.float64]  # [TYPES + 1, TYPES] how often a type followed a type, START included
    type_pair_gap: NDArray[np.float64]  # [TYPES + 1, TYPES, 4] LANE_QUANTILES by pair of types, for lanes never seen
    lane: Counts  # lanes seen, by lane_key
    lane_gap: NDArray[np.float64]  # [lanes, 4] LANE_QUANTILES by lane
    route: Counts  # pairs of places of the transition master, by route_key
    route_hours: NDArray[np.float64]  # [routes, 4] mean, standard deviation, minimum, maximum transit time in hours
    product_scan: Counts  # scans seen by product, by product_scan_key
    product_type: Counts  # scans seen by product and type, by product_type_key
    header: Counts  # issued codes by header
    company: Counts  # issued codes by company
    product: Counts  # issued codes by product
    company_product: Counts  # issued codes by company_product_key
    lot: Counts  # issued codes by lot number alone
    product_lot: Counts  # issued codes by product_lot_key
    lot_day: NDArray[np.float64]  # [product lots, 2] first and last date part, in days since 1970-01-01
    lot_serial: NDArray[np.float64]  # [product lots, 2] lowest and highest serial
    # What reference tables of earlier releases do not have: their models learned the hours of UTC.
    zones: TimeZones = field(default_factory=TimeZones)  # of the places: hours, weekdays and dates are theirs
    hours: NDArray[np.float64] | None = None  # [TYPES, 24] normal scans of a type by hour of the place's day
    dialect: Dialect | None = None  # how the network writes its events; None: as the model does
    serial_step: float = 1.0  # between the serials of a lot: differences are counted in it

    @property
    def start_scan(self) -> int:
        """The scan that stands before a journey's first."""
        return self.scans - TYPES

    @property
    def scans(self) -> int:
        """How many scans there are: of the known places, of one for all others, and of the start of journeys."""
        return (len(self.location_id) + 2) * TYPES

    def place_of(self, location_id: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the place index [N] of each location id, P if it is unknown."""
        return self.known_places.find(location_id).astype(np.int64)

    def ranks(self) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Return the places of levels [LEVELS] and types [TYPES] along the journeys of this network."""
        return ranks(self.dialect)

    @cached_property
    def known_places(self) -> Counts:
        """The known places by their ids."""
        return Counts(self.location_id, np.ones(len(self.location_id)))

    @cached_property
    def tables(self) -> Tables:
        """What the compiled loops look things up in.

        Raises:
            ValueError: rows of tables that belong together are not as many; the loops would read past their ends.
        """
        self._check_lengths()
        return Tables(self)

    def _check_lengths(self) -> None:
        lots, places = len(self.product_lot.key), len(self.location_id)
        pairs = {
            each.name: (table.key, table.count)
            for each in fields(self)
            if isinstance(table := getattr(self, each.name), Counts)
        }
        found = {name: len(count) - len(key) for name, (key, count) in pairs.items()}
        found |= {"lane_gap": len(self.lane_gap) - len(self.lane.key)}
        found |= {"route_hours": len(self.route_hours) - len(self.route.key)}
        found |= {name: len(getattr(self, name)) - lots for name in ("lot_day", "lot_serial")}
        found |= {name: len(getattr(self, name)) - places for name in ("latitude", "longitude")}
        if odd := [name for name, difference in found.items() if difference]:
            raise ValueError(f"the reference tables {', '.join(odd)} have not as many rows as what they belong to")

    def lane_key(self, scan_from: NDArray[np.int64], scan_to: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the key [N] of the lane between two scans; a journey's start is `start_scan`."""
        return scan_from * self.scans + scan_to

    def route_key(self, place_from: NDArray[np.int64], place_to: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the key [N] of the route between two places."""
        return place_from * (len(self.location_id) + 1) + place_to

    def product_scan_key(self, product: NDArray[np.int64], scan: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the key [N] of a scan of a product (a number of up to 7 digits, or -1)."""
        return (product + 1) * self.scans + scan

    @cached_property
    def area(self) -> NDArray[np.int64]:
        """The area of each place [P], by the place of its hub: that from which most of what comes to it came."""
        places, hub = len(self.location_id), LEVELS.index("Logistics_HUB")
        scan_from, scan_to = np.divmod(self.lane.key, self.scans)
        place_from, place_to = scan_from // TYPES, scan_to // TYPES
        level_from, level_to = LEVEL_OF_TYPE[scan_from % TYPES], LEVEL_OF_TYPE[scan_to % TYPES]
        comes = (
            (place_from < places)
            & (place_to < places)
            & (place_from != place_to)
            & (hub <= level_from)
            & (level_from < level_to)
        )
        at = np.flatnonzero(comes)
        at = at[np.argsort(self.lane.count[at], kind="stable")]
        source = np.arange(places)
        source[place_to[at]] = place_from[at]  # the last one, that of the most legs, stays
        for _ in LEVELS:
            source = source[source]
        return source

    def area_id(self, location_id: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the location id [N] of each place's area, its own if it is unknown."""
        place = self.place_of(location_id)
        return np.where(place < len(self.location_id), np.append(self.location_id[self.area], 0)[place], location_id)

    @cached_property
    def unit_vectors(self) -> NDArray[np.float64]:
        """Return the places [P + 1, 3] as points of the unit sphere, NaN where the coordinates are unknown."""
        latitude = np.radians(np.append(self.latitude, np.nan))
        longitude = np.radians(np.append(self.longitude, np.nan))
        cos_latitude = np.cos(latitude)
        return np.stack([cos_latitude * np.cos(longitude), cos_latitude * np.sin(longitude), np.sin(latitude)], axis=1)

    def to_json(self) -> dict[str, JsonValue]:
        """Return the tables as JSON values: whole numbers exactly, others to 6 significant digits, NaN as null."""
        tables = {each.name: _plain(getattr(self, each.name)) for each in fields(self) if each.name not in _LATER}
        if self.dialect is not None:
            tables["dialect"] = self.dialect.model_dump(mode="json")
        if self.serial_step != 1:
            tables["serial_step"] = self.serial_step
        if self.hours is None:
            return tables
        return tables | {"zones": self.zones.to_json(), "hours": _plain(self.hours)}

    @classmethod
    def from_json(cls, tables: Mapping[str, Any]) -> Reference:
        """Read the tables back.

        Raises:
            KeyError, TypeError, ValueError: a table is missing or damaged.
        """
        reference = cls(
            location_id=np.asarray(tables["location_id"], dtype=np.int64),
            latitude=_floats(tables["latitude"], -1, may_be_unknown=True),
            longitude=_floats(tables["longitude"], -1, may_be_unknown=True),
            scan=_counts(tables["scan"]),
            type_pair=_floats(tables["type_pair"], TYPES + 1, TYPES),
            type_pair_gap=_floats(tables["type_pair_gap"], TYPES + 1, TYPES, len(LANE_QUANTILES)),
            lane=_counts(tables["lane"]),
            lane_gap=_floats(tables["lane_gap"], -1, len(LANE_QUANTILES)),
            route=_counts(tables["route"]),
            route_hours=_floats(tables["route_hours"], -1, 4),
            product_scan=_counts(tables["product_scan"]),
            product_type=_counts(tables["product_type"]),
            header=_counts(tables["header"]),
            company=_counts(tables["company"]),
            product=_counts(tables["product"]),
            company_product=_counts(tables["company_product"]),
            lot=_counts(tables["lot"]),
            product_lot=_counts(tables["product_lot"]),
            lot_day=_floats(tables["lot_day"], -1, 2),
            lot_serial=_floats(tables["lot_serial"], -1, 2),
            zones=TimeZones.from_json(tables["zones"]) if "zones" in tables else TimeZones(),
            hours=_floats(tables["hours"], TYPES, 24) if "hours" in tables else None,
            dialect=Dialect.model_validate(tables["dialect"]) if "dialect" in tables else None,
            serial_step=_step(tables.get("serial_step", 1.0)),
        )
        reference._check_lengths()
        return reference


def _step(value: Any) -> float:  # noqa: ANN401 - of a JSON file
    step = float(value)
    if not 1 <= step < math.inf:
        raise ValueError(f"the step of the serials is {step}; it is 1 or more")
    return step


def _counts(table: Mapping[str, Any]) -> Counts:
    return Counts(np.asarray(table["key"], dtype=np.int64), _floats(table["count"], -1))


def _floats(values: Sequence[Any], *shape: int, may_be_unknown: bool = False) -> NDArray[np.float64]:
    """Return nested lists of numbers as an array; None becomes NaN, if a value may be unknown.

    Raises:
        ValueError: a value is not finite: it would be above no bound, and so pass as normal.
    """
    numbers = np.asarray(values, dtype=np.float64).reshape(shape)
    if not may_be_unknown and not np.isfinite(numbers).all():
        raise ValueError("a number of a reference table is not finite")
    return numbers


def _plain(table: Counts | NDArray[np.int64] | NDArray[np.float64]) -> JsonValue:
    if isinstance(table, Counts):
        return {"key": _plain(table.key), "count": _plain(table.count)}
    return [_plain(row) for row in table] if table.ndim > 1 else [_plain_number(value) for value in table.tolist()]


def _plain_number(value: float) -> float | None:
    if math.isnan(value):
        return None
    return value if value == int(value) else float(f"{value:.6g}")
