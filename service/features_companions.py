"""Features of an item among its companions: the mates of its lot that travel in the same shipments.

What a lot's mates do is the strongest hint of all: an item that left with its mates and arrived alone, elsewhere,
earlier or later than they did is suspicious however plausible its own journey looks. Companions are those of the same
request (or stored history); causal judgements see only what they did before.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from service.features_journey import Columns
from service.journeys import Group, combine
from service.trail import Trail, nearest

COMPANION_FEATURES: tuple[tuple[str, str, str], ...] = (
    # name, kind served, meaning and formula
    ("lot_mates", "epcFake", "log1p of other items of the lot"),
    ("product_mates", "epcFake", "log1p of other items of the product"),
    ("lot_day_share", "epcFake", "share of the lot's other items with the same date part"),
    (
        "serial_gap",
        "epcFake",
        "log1p of the difference to the nearest serial of the lot's other items, 20 if there are none",
    ),
    ("scan_mates", "locErr", "log1p of the mates' scans of this type at this place"),
    ("scan_share", "locErr", "share of the mates' scans of this type that happened at this place"),
    ("scan_mate_gap", "jump", "log1p of the minutes to the nearest of the mates' scans here"),
    (
        "scan_mate_offset",
        "jump",
        "asinh of the hours by which this scan is later than the mean of the mates' scans here",
    ),
    ("leg_mates", "locErr", "log1p of mates that came here from the same previous scan"),
    ("leg_share", "locErr", "share of the mates leaving the previous scan that came here"),
    ("leg_gap_ratio", "jump", "log gap minus the mean log gap of the mates on the same leg"),
    ("leg_partner_ratio", "jump", "log gap minus that of the mate on this leg that departed nearest in time"),
    ("leg_partner_departure", "jump", "log1p of the minutes between the departures of the two"),
    ("partner_share", "locErr", "share of the four mates departing nearest in time, within two hours, that came here"),
    ("partners", "locErr", "number of those mates, 0..4"),
)

_NO_SERIAL = 20.0
_PARTNER_STEPS = (-1, 1, -2, 2)
_TOGETHER_MINUTES = 120.0


def lot_features(trail: Trail) -> Columns:
    """How many other items of the lot and product there are, and how well the code fits in with theirs."""
    parts, epc = trail.parts, trail.events.epc
    lot = _own_if_malformed(trail, combine(parts.company, parts.product, parts.lot))
    product = _own_if_malformed(trail, combine(parts.company, parts.product))
    lot_mates = _other_items(trail, lot[epc])
    same_day = _other_items(trail, combine(lot, parts.day)[epc])
    return {
        "lot_mates": np.log1p(lot_mates),
        "product_mates": np.log1p(_other_items(trail, product[epc])),
        "lot_day_share": _share(same_day, lot_mates),
        "serial_gap": _serial_gap(trail, lot),
    }


def _own_if_malformed(trail: Trail, key: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the keys [U] with a key of its own for every malformed code: those have no mates."""
    own = int(key.max(initial=0)) + 1 + np.arange(len(key))
    return np.where(trail.parts.well_formed, key, own)


def _other_items(trail: Trail, key: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the number [N] of other items whose events have this key, by their first scans."""
    first = trail.journeys.position == 0
    items = Group(key, trail.journeys.by_time).sum_of_others(first.astype(np.float64), causal=trail.causal)
    return items - ~first  # the own first scan, which is always earlier


def _share(part: NDArray[np.generic], whole: NDArray[np.generic]) -> NDArray[np.float64]:
    """Return (part + 0.5) / (whole + 1): 0.5 where nothing is known."""
    return (part + 0.5) / (whole + 1.0)


def _serial_gap(trail: Trail, lot: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return log1p [N] of the distance to the nearest serial of the lot, among those already seen if causal."""
    journeys, epc = trail.journeys, trail.events.epc
    seen_at = np.empty(len(lot), dtype=np.intp)
    seen_at[epc[journeys.start]] = journeys.rank[journeys.start]
    by_serial = Group(lot, np.argsort(trail.parts.serial, kind="stable"))
    best = np.full(len(epc), np.inf)
    for step in (*_PARTNER_STEPS, -3, 3) if trail.causal else (-1, 1):
        there, exists = by_serial.neighbour(step)
        distance = np.where(exists, np.abs(trail.parts.serial - trail.parts.serial[there]), np.inf)
        seen = (seen_at[there][epc] < journeys.rank) | (not trail.causal)
        best = np.where(seen, np.minimum(best, distance[epc]), best)
    return np.where(np.isfinite(best), np.log1p(np.where(np.isfinite(best), best, 0.0)), _NO_SERIAL)


def scan_features(trail: Trail) -> Columns:
    """This scan among the mates' scans: where they had scans of this type, and when they were here."""
    causal, by_time = trail.causal, trail.journeys.by_time
    lot = _lot_of_event(trail)
    here = Group(combine(lot, trail.spot, trail.kind), by_time)
    any_place = Group(combine(lot, trail.kind), by_time)
    mates = here.others(causal=causal) - trail.same_scan.others(causal=causal)
    mates_any_place = any_place.others(causal=causal) - trail.same_type.others(causal=causal)
    _, gap = nearest(here, trail.minute, steps=(-1,) if causal else (-1, 1))
    hours = (trail.minute - trail.minute.min(initial=np.inf)) / 60
    others = np.maximum(here.others(causal=causal), 1)
    offset = hours - here.sum_of_others(hours, causal=causal) / others
    return {
        "scan_mates": np.log1p(mates),
        "scan_share": _share(mates, mates_any_place),
        "scan_mate_gap": np.where(mates > 0, np.log1p(np.where(np.isfinite(gap), gap, 0.0)), 0.0),
        "scan_mate_offset": np.where(mates > 0, np.arcsinh(offset), 0.0),
    }


def leg_features(trail: Trail) -> Columns:
    """The leg from the previous scan among the mates that left from there: where they went, how long they took."""
    causal, journeys, before = trail.causal, trail.journeys, trail.before
    lot = _lot_of_event(trail)
    scan_from = np.where(trail.has_before, combine(trail.spot, trail.kind)[before], -1)
    left = combine(lot, scan_from)
    leg = combine(left, trail.spot, trail.kind)
    on_leg = Group(leg, journeys.by_time)
    mates = on_leg.others(causal=causal)
    mean_gap = on_leg.sum_of_others(trail.log_gap, causal=causal) / np.maximum(mates, 1)

    departure = np.where(trail.has_before, trail.minute[before], trail.minute)
    by_departure = np.argsort(np.where(trail.has_before, journeys.rank[before], journeys.rank), kind="stable")
    partner, between = _partner(trail, Group(leg, by_departure), departure)
    has_partner = np.isfinite(between)
    same, all_partners = _partners(trail, Group(left, by_departure), departure, leg)
    return {
        "leg_mates": np.log1p(mates),
        "leg_share": _share(mates, Group(left, journeys.by_time).others(causal=causal)),
        "leg_gap_ratio": np.where(mates > 0, trail.log_gap - mean_gap, 0.0),
        "leg_partner_ratio": np.where(has_partner, trail.log_gap - trail.log_gap[partner], 0.0),
        "leg_partner_departure": np.where(has_partner, np.log1p(np.where(has_partner, between, 0.0)), 0.0),
        "partner_share": _share(same, all_partners),
        "partners": all_partners,
    }


def _lot_of_event(trail: Trail) -> NDArray[np.int64]:
    parts = trail.parts
    return _own_if_malformed(trail, combine(parts.company, parts.product, parts.lot))[trail.events.epc]


def _partner(
    trail: Trail, on_leg: Group, departure: NDArray[np.float64]
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return ([N] the arrival of the mate that departed nearest in time, [N] minutes between, infinite if none)."""
    best, between = np.zeros(len(departure), dtype=np.intp), np.full(len(departure), np.inf)
    for step in _PARTNER_STEPS:
        there, known = _known_neighbour(trail, on_leg, step)
        gap = np.where(known, np.abs(departure - departure[there]), np.inf)
        closer = gap < between
        best, between = np.where(closer, there, best), np.where(closer, gap, between)
    return best, between


def _partners(
    trail: Trail, left: Group, departure: NDArray[np.float64], leg: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return ([N] mates that departed together with the item and came here, [N] all that departed together with it)."""
    same, together = np.zeros(len(leg), dtype=np.int64), np.zeros(len(leg), dtype=np.int64)
    for step in _PARTNER_STEPS:
        there, known = _known_neighbour(trail, left, step)
        close = known & (np.abs(departure - departure[there]) <= _TOGETHER_MINUTES)
        together += close
        same += close & (leg == leg[there])
    return same, together


def _known_neighbour(trail: Trail, group: Group, step: int) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Return the neighbour of `Group.neighbour` and whether its arrival is known to the judgement."""
    there, exists = group.neighbour(step)
    return there, exists & ((trail.journeys.rank[there] < trail.journeys.rank) | (not trail.causal))
