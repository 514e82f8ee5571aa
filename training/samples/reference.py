"""Learns the reference tables from normal events and from the location and transition masters."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from service.detect.hours import hour_counts
from service.events import codes
from service.events.columns import Events
from service.events.foreign import NO_DAY
from service.events.journeys import Journeys
from service.events.vocabulary import START, TYPES, type_index
from service.features.keys import company_product_key, product_lot_key, product_type_key, scan_key
from service.features.reference import Counts, Reference
from training.datasets.masters import Masters

_FAR = 10**18
"""Beyond all days and serials."""

_STEADY = 0.95
"""Share of the differences between serials that are multiples of their step, at least."""

_SHRINK = 10.0
"""A lane's quantiles count as much as those of its pair of types when it was seen this often."""


def learn(events: Events, normal: NDArray[np.bool_], masters: Masters) -> Reference:
    """Learn the tables from the ``normal`` [N] of N events: an anomalous event teaches nothing, nor do its gaps."""
    journeys = Journeys.of(events)
    ordered, good = journeys.events, normal[journeys.order]
    location_id, latitude, longitude = _places(ordered.location_id[good], masters)
    shell = _empty(location_id, latitude, longitude)  # gives the keys; its tables are filled in below
    place = shell.place_of(ordered.location_id)
    kind = type_index(ordered.event_type)
    scan = scan_key(place, kind)
    before, has_before = journeys.previous()
    usable = good & (good[before] | ~has_before)
    scan_from = np.where(has_before, scan[before], shell.start_scan)
    kind_from = np.where(has_before, kind[before], START)
    type_pair = np.zeros((TYPES + 1, TYPES))
    np.add.at(type_pair, (kind_from[usable], kind[usable]), 1.0)

    minutes = (ordered.time_us - ordered.time_us[before]) / 60e6
    timed = usable & has_before
    gap = np.log1p(np.maximum(minutes[timed], 0.0))
    pair_key = np.ravel_multi_index((kind_from[timed], kind[timed]), type_pair.shape)
    type_pair_gap = _pair_quantiles(pair_key, gap)
    lane_key = shell.lane_key(scan_from, scan)
    lane, lane_gap = _lane_quantiles(lane_key[usable], lane_key[timed], gap, pair_key, type_pair_gap)

    parts = codes.parse(events.epc_codes)
    route_key = shell.route_key(shell.place_of(masters.route_from), shell.place_of(masters.route_to))
    route_rows = np.argsort(route_key)
    return replace(
        _with_issued(shell, parts, _normal_codes(ordered, good)),
        scan=_count(scan[good]),
        type_pair=type_pair,
        type_pair_gap=type_pair_gap.reshape(TYPES + 1, TYPES, 4),
        lane=lane,
        lane_gap=lane_gap,
        route=Counts(route_key[route_rows], masters.route_count[route_rows]),
        route_hours=masters.route_hours[route_rows],
        product_scan=_count(shell.product_scan_key(parts.product[ordered.epc], scan)[good]),
        product_type=_count(product_type_key(parts.product[ordered.epc], kind)[good]),
        zones=masters.zones,
        dialect=masters.dialect,
        hours=hour_counts(kind[good], masters.zones.local_us(ordered.time_us[good], ordered.location_id[good])),
    )


def _places(
    seen: NDArray[np.int64], masters: Masters
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Return ids, latitudes and longitudes of the masters' places and of those that only the events know."""
    location_id = np.unique(np.concatenate([seen, masters.location_id, masters.route_from, masters.route_to]))
    latitude, longitude = np.full(len(location_id), np.nan), np.full(len(location_id), np.nan)
    rows = np.searchsorted(location_id, masters.location_id)
    latitude[rows], longitude[rows] = masters.latitude, masters.longitude
    return location_id, latitude, longitude


def _count(keys: NDArray[np.int64]) -> Counts:
    key, count = np.unique(keys, return_counts=True)
    return Counts(key, count.astype(np.float64))


def _normal_codes(ordered: Events, good: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which codes [U] have no anomalous event at all: a forged code must not count as issued."""
    normal = np.zeros(len(ordered.epc_codes), dtype=np.bool_)
    normal[ordered.epc] = True
    normal[ordered.epc[~good]] = False
    return normal


def _empty(location_id: NDArray[np.int64], latitude: NDArray[np.float64], longitude: NDArray[np.float64]) -> Reference:
    """Return a reference that knows places and nothing else."""
    none = Counts(np.zeros(0, dtype=np.int64), np.zeros(0))
    return Reference(
        location_id=location_id,
        latitude=latitude,
        longitude=longitude,
        scan=none,
        type_pair=np.zeros((TYPES + 1, TYPES)),
        type_pair_gap=np.zeros((TYPES + 1, TYPES, 4)),
        lane=none,
        lane_gap=np.zeros((0, 4)),
        route=none,
        route_hours=np.zeros((0, 4)),
        product_scan=none,
        product_type=none,
        header=none,
        company=none,
        product=none,
        company_product=none,
        lot=none,
        product_lot=none,
        lot_day=np.zeros((0, 2)),
        lot_serial=np.zeros((0, 2)),
    )


def _with_issued(reference: Reference, parts: codes.Codes, normal: NDArray[np.bool_]) -> Reference:
    """Return ``reference`` with the tables of issued codes, from the parts of the normal ones."""
    use = normal & parts.well_formed
    lot_key = product_lot_key(parts.product, parts.lot)[use]
    product_lot = _count(lot_key)
    ends = np.cumsum(product_lot.count).astype(np.intp)
    starts = ends - product_lot.count.astype(np.intp)
    order = np.argsort(lot_key)

    def ranges(values: NDArray[np.int64], known: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Return the least and the greatest value of each lot; where none is known, none lies outside."""
        low = np.minimum.reduceat(np.where(known, values, _FAR)[order], starts).astype(np.float64)
        high = np.maximum.reduceat(np.where(known, values, -_FAR)[order], starts).astype(np.float64)
        none = low > high
        return np.stack([np.where(none, -_FAR, low), np.where(none, _FAR, high)], axis=1)

    return replace(
        reference,
        header=_count(parts.header[use]),
        company=_count(parts.company[use]),
        product=_count(parts.product[use]),
        company_product=_count(company_product_key(parts.company, parts.product)[use]),
        lot=_count(parts.lot[use]),
        product_lot=product_lot,
        lot_day=ranges(parts.day[use], parts.day[use] != NO_DAY),
        lot_serial=ranges(parts.serial[use], parts.serial[use] >= 0),
        serial_step=_serial_step(lot_key, parts.serial[use]),
    )


def _serial_step(lot: NDArray[np.int64], serial: NDArray[np.int64]) -> float:
    """Return the step between the serials [N] of the lots: the usual difference of neighbours, if others are its
    multiples, else 1. A network that numbers by nines is as dense as one that numbers by ones.
    """
    order = np.lexsort((serial, lot))
    neighbours = (lot[order][1:] == lot[order][:-1]) & (serial[order][:-1] >= 0)
    difference = np.diff(serial[order])[neighbours]
    difference = difference[difference > 0]
    if not len(difference):
        return 1.0
    step, count = np.unique(difference, return_counts=True)
    usual = int(step[np.argmax(count)])
    return float(usual) if np.mean(difference % usual == 0) >= _STEADY else 1.0


def _quantiles(group: NDArray[np.int64], values: NDArray[np.float64], groups: int) -> NDArray[np.float64]:
    """Return LANE_QUANTILES [groups, 4] of ``values`` by ``group`` (0..groups-1); zeros for an empty group."""
    order = np.lexsort((values, group))
    size = np.bincount(group, minlength=groups)
    start = np.cumsum(size) - size
    ordered = np.append(values[order], 0.0)

    def at(share: float) -> NDArray[np.float64]:
        place = start + np.floor(share * np.maximum(size - 1, 0)).astype(np.intp)
        found: NDArray[np.float64] = ordered[np.minimum(place, len(values))]
        return found

    table = np.stack([at(0.01), at(0.5), at(0.99), (at(0.75) - at(0.25)) / 1.35], axis=1)
    table[size == 0] = 0.0
    return table


def _pair_quantiles(pair_key: NDArray[np.int64], gap: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return LANE_QUANTILES [(TYPES + 1) * TYPES, 4] by pair of types, shrunk towards those of all gaps."""
    pairs = (TYPES + 1) * TYPES
    overall = _quantiles(np.zeros(len(gap), np.int64), gap, 1)
    size = np.bincount(pair_key, minlength=pairs)[:, None]
    shrunk: NDArray[np.float64] = (size * _quantiles(pair_key, gap, pairs) + _SHRINK * overall) / (size + _SHRINK)
    return shrunk


def _lane_quantiles(
    all_keys: NDArray[np.int64],
    timed_keys: NDArray[np.int64],
    gap: NDArray[np.float64],
    pair_key: NDArray[np.int64],
    pair_gap: NDArray[np.float64],
) -> tuple[Counts, NDArray[np.float64]]:
    """Return the lanes and their LANE_QUANTILES, shrunk towards those of the lane's pair of types."""
    lane = _count(all_keys)
    row = lane.find(timed_keys)
    size = np.bincount(row, minlength=len(lane.key))[:, None]
    pair_of_lane = np.zeros(len(lane.key), dtype=np.int64)
    pair_of_lane[row] = pair_key
    table = (size * _quantiles(row, gap, len(lane.key)) + _SHRINK * pair_gap[pair_of_lane]) / (size + _SHRINK)
    return lane, table
