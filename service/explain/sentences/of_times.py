"""Why is a scan too early or too late?"""

from __future__ import annotations

import math

from service.explain.facts import Facts
from service.explain.norms import Times
from service.explain.scans import Scan
from service.explain.sentences import Sentences
from service.explain.words import Words
from service.features.mates import TOGETHER
from service.features.table import INDEX

_ENOUGH = 100
"""Legs from which the quantiles are the lane's own: fewer are shrunk towards those of like legs, see `learn`."""


def _too_fast(f: Facts, w: Words, row: int) -> str:
    scan, before = f.scan(row), f.previous(row)
    km = f.kilometres(before, scan) if before else None
    if before is None or km is None or scan.minutes_since(before) < 1:
        return _leg(f, w, row)
    minutes = scan.minutes_since(before)
    names = {"km": w.km(km), "span": w.duration(minutes), "speed": w.number(km / minutes * 60)}
    message = "{km} in {span} ({speed} km/h), from place {from_place} to place {place}"
    return w.say(message, from_place=before.location_id, place=scan.location_id, **names) + _norm(f, w, before, scan)


def _leg(f: Facts, w: Words, row: int) -> str:
    """Say how long the leg took, what is normal, and how long the mates took that left with it."""
    scan, before = f.scan(row), f.previous(row)
    if before is None:
        return _unusual(f, w, row)
    span, km = w.duration(scan.minutes_since(before)), f.kilometres(before, scan)
    if scan.location_id == before.location_id:
        message = "{span} at place {place} between {before} and {type}"
        said = w.say(message, span=span, place=scan.location_id, before=w.type(before.kind), type=w.type(scan.kind))
    elif km is None:
        message = "{span} from place {from_place} to place {place}"
        said = w.say(message, span=span, from_place=before.location_id, place=scan.location_id)
    else:
        message = "{km} in {span}, from place {from_place} to place {place}"
        said = w.say(message, km=w.km(km), span=span, from_place=before.location_id, place=scan.location_id)
    return said + _norm(f, w, before, scan) + _mates(f, w, row) + _neighbours(f, w, row)


def _overtook(f: Facts, w: Words, row: int) -> str:
    """Say how long the leg took, and how long all others on this lane took that day."""
    of = f.case.features[row]
    count = round(math.expm1(of[INDEX["road_day_scans"]]))
    minutes = math.expm1(of[INDEX["gap_prev"]] - of[INDEX["road_day_gap_ratio"]])
    message = "; {n} other on this lane that day took {span}"
    many = "; {n} others on this lane that day took {span} (geometric mean)"
    return _leg(f, w, row) + w.count(message, many, count, span=w.duration(minutes))


def _norm(f: Facts, w: Words, before: Scan, scan: Scan) -> str:
    """Return the second part of a sentence: how long such legs take."""
    times, hours = f.norms.lane_times(before, scan), f.norms.route_hours(before, scan)
    by_master = ""
    if hours is not None:
        by_master = w.say("; the transition master gives {range}", range=w.span(hours[0] * 60, hours[1] * 60))
    if times is not None:
        minutes = scan.minutes_since(before)
        is_odd = hours is not None and not hours[0] * 60 <= minutes <= hours[1] * 60
        return _of_lane(w, times) + (by_master if is_odd and times.low <= minutes <= times.high else "")
    if by_master:
        return by_master
    times = f.norms.types_times(before, scan)
    if times is not None:
        message = "; no normal item took this lane, but {n} leg from {before} to {type}: {range}"
        many = "; no normal item took this lane, but {n} legs from {before} to {type}: {range}"
        names = {"before": w.type(before.kind), "type": w.type(scan.kind)}
        return w.count(message, many, times.count, range=w.span(times.low, times.high), **names)
    return w.say("; no such leg is known")


def _of_lane(w: Words, times: Times) -> str:
    if times.count >= _ENOUGH:
        message = "; this lane takes {range}, 98 % of {n} legs"
        return w.say(message, range=w.span(times.low, times.high), n=w.number(times.count))
    message = "; this lane takes {range}, estimated from {n} leg and from others between such scans"
    many = "; this lane takes {range}, estimated from {n} legs and from others between such scans"
    return w.count(message, many, times.count, range=w.span(times.low, times.high))


def _mates(f: Facts, w: Words, row: int) -> str:
    """Return the last part of a sentence: how long the mates took that left with it, "" without mates."""
    count, minutes = f.mates.minutes(row)
    if not count:
        return ""
    message = "; {n} mate that left in the same two hours took {span}"
    many = "; {n} mates that left in the same two hours took {span} (median)"
    return w.count(message, many, count, span=w.duration(minutes))


def _neighbours(f: Facts, w: Words, row: int) -> str:
    """Return the last part of a sentence: what all around it took that went together without it, "" if none did.

    By the features, which know the scans of a history too.
    """
    of = f.case.features[row]
    if not 0 <= of[INDEX["neighbours_gap_difference"]] <= TOGETHER:
        return ""
    minutes = math.expm1(of[INDEX["gap_prev"]] - of[INDEX["neighbour_below_gap_ratio"]])
    return w.say("; the serial numbers below and above it went together and took {span}", span=w.duration(minutes))


def _unusual(f: Facts, w: Words, row: int) -> str:
    scan, before = f.scan(row), f.previous(row)
    if before is not None:
        return _leg(f, w, row)
    message = "The journey begins with {scan} at {time}, unlike the times of such items"
    return w.say(message, scan=w.scan(scan.kind, scan.location_id), time=w.time(scan.local_us))


SENTENCES: Sentences = {
    "too_fast_to_travel": _too_fast,
    "faster_than_traffic": _overtook,
    "faster_than_lane": _leg,
    "slow_transit": _leg,
    "stalled": _leg,
    "time_unusual": _unusual,
}
