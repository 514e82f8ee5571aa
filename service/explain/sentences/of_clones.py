"""Why are there two items under one code?"""

from __future__ import annotations

from service.events.vocabulary import EVENT_TYPES
from service.explain.facts import Facts
from service.explain.scans import Scan
from service.explain.sentences import Sentences
from service.explain.words import Words

_POS_SELL = EVENT_TYPES.index("POS_Sell")


def _after_sale(f: Facts, w: Words, row: int) -> str:
    scan = f.scan(row)
    sale = next((other for other in f.earlier(row) if other.kind == _POS_SELL), None)
    if sale is None:
        return _unusual(f, w, row)
    return w.say(
        "{scan}, {span} after it was sold at place {place} on {time}",
        scan=w.scan(scan.kind, scan.location_id),
        span=w.duration(scan.minutes_since(sale)),
        place=sale.location_id,
        time=w.time(sale.local_us),
    )


def _sold_upstream(f: Facts, w: Words, row: int) -> str:
    scan, before = f.scan(row), f.previous(row)
    if before is None:
        said = w.say("{scan} without any earlier scan", scan=w.scan(scan.kind, scan.location_id))
    else:
        said = w.say(
            "{scan}, {span} after {before}",
            scan=w.scan(scan.kind, scan.location_id),
            before=w.scan(before.kind, before.location_id),
            span=w.duration(scan.minutes_since(before)),
        )
    pairs = f.reference.type_pair[:, scan.kind]
    most = int(pairs.argmax())
    if not pairs[most] or most >= len(EVENT_TYPES):
        return said
    message = "; {n} of {total} normal scans of type {type} come directly after {most}"
    numbers = {"n": w.number(pairs[most]), "total": w.number(pairs.sum())}
    return said + w.say(message, type=w.type(scan.kind), most=w.type(most), **numbers)


def _nearest_elsewhere(f: Facts, scan: Scan) -> Scan | None:
    """Return the scan of the same type at another place that is nearest in time, the earlier of two."""
    others = [o for o in f.others(scan.row) if o.kind == scan.kind and o.location_id != scan.location_id]
    return min(others, key=lambda other: abs(scan.time_us - other.time_us), default=None)


def _at_once(f: Facts, w: Words, row: int) -> str:
    scan = f.scan(row)
    if (other := f.in_its_second_elsewhere(row)) is not None:
        both = {"scan": w.scan(scan.kind, scan.location_id), "other": w.scan(other.kind, other.location_id)}
        if (km := f.kilometres(scan, other)) is None:
            return w.say("{scan} and {other} in the same second", **both)
        return w.say("{scan} and {other}, {km} away, in the same second", km=w.km(km), **both)
    other = _nearest_elsewhere(f, scan)
    if other is None:
        return _unusual(f, w, row)
    minutes, km = abs(scan.minutes_since(other)), f.kilometres(scan, other)
    names = {"scan": w.scan(scan.kind, scan.location_id), "place": other.location_id, "span": w.duration(minutes)}
    if km is None:
        return w.say("{scan} and the same at place {place} within {span}", **names)
    if minutes < 1:
        return w.say("{scan} and the same at place {place}, {km} away, within {span}", km=w.km(km), **names)
    message = "{scan} and the same at place {place}, {km} away, within {span}: {speed} km/h"
    return w.say(message, km=w.km(km), speed=w.number(km / minutes * 60), **names)


def _elsewhere_too(f: Facts, w: Words, row: int) -> str:
    scan = f.scan(row)
    other = _nearest_elsewhere(f, scan)
    if other is None:
        return _unusual(f, w, row)
    names = {"scan": w.scan(scan.kind, scan.location_id), "place": other.location_id, "event": other.event_id}
    span = w.duration(abs(scan.minutes_since(other)))
    if other.row < row:
        return w.say("{scan}, and the same at place {place} {span} earlier (event {event})", span=span, **names)
    return w.say("{scan}, and the same at place {place} {span} later (event {event})", span=span, **names)


def _two_journeys(f: Facts, w: Words, row: int) -> str:
    scan, before = f.scan(row), f.previous(row)
    further = max(f.earlier(row), key=lambda other: (other.is_known, other.kind), default=None)
    if before is not None and scan.location_id != before.location_id:
        here = next((o for o in f.earlier(row) if o.location_id == scan.location_id), None)
        if here is not None and here.row == row - 2:
            return w.say(
                "{scan}, back from place {place} after {span}; it had been here {since} before",
                scan=w.scan(scan.kind, scan.location_id),
                place=before.location_id,
                span=w.duration(scan.minutes_since(before)),
                since=w.duration(scan.minutes_since(here)),
            )
    if further is None or not further.is_known or further.kind <= scan.kind:
        return _unusual(f, w, row)
    return w.say(
        "{scan}, although {further} was {span} earlier (event {event})",
        scan=w.scan(scan.kind, scan.location_id),
        further=w.scan(further.kind, further.location_id),
        span=w.duration(scan.minutes_since(further)),
        event=further.event_id,
    )


def _unusual(f: Facts, w: Words, row: int) -> str:
    scan = f.scan(row)
    journey = [scan, *f.others(row)]
    times = [other.time_us for other in journey]
    return w.say(
        "{scan}: the journey as a whole, scans: {n}, places: {places}, time: {span}, is unlike that of one item",
        scan=w.scan(scan.kind, scan.location_id),
        n=w.number(len(journey)),
        places=w.number(len({other.location_id for other in journey})),
        span=w.duration((max(times) - min(times)) / 60e6),
    )


SENTENCES: Sentences = {
    "alive_after_sale": _after_sale,
    "sold_while_upstream": _sold_upstream,
    "two_places_at_once": _at_once,
    "received_elsewhere_too": _elsewhere_too,
    "two_journeys": _two_journeys,
    "journey_unusual": _unusual,
}
