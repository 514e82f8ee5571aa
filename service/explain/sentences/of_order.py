"""Why are scans out of order?"""

from __future__ import annotations

from collections.abc import Iterator

from service.explain.facts import Facts
from service.explain.scans import Scan
from service.explain.sentences import Sentences
from service.explain.words import Words


def _books(f: Facts, scan: Scan) -> Iterator[Scan]:
    """Return the earlier scans that are booked where this one is, at its place and level, the latest first."""
    same = (o for o in f.earlier(scan.row) if (o.location_id, o.level) == (scan.location_id, scan.level))
    return (other for other in same if other.direction)


def _out_before_in(f: Facts, w: Words, row: int) -> str:
    scan = f.scan(row)
    booked = list(_books(f, scan))
    inbound = sum(other.direction > 0 for other in booked)
    names = {"scan": w.scan(scan.kind, scan.location_id), "into": w.number(inbound)}
    out = next((other for other in booked if other.direction < 0), None)
    if scan.direction > 0 and out is not None:
        message = "{scan}, {span} after {out} (event {event}); inbound there before: {into}"
        names |= {"span": w.duration(scan.minutes_since(out)), "event": str(out.event_id)}
        return w.say(message, out=w.type(out.kind), **names)
    message = "{scan}, yet the item is not there: inbound there before: {into}, outbound: {out}"
    return w.say(message, out=w.number(len(booked) - inbound), **names)


def _in_twice(f: Facts, w: Words, row: int) -> str:
    scan = f.scan(row)
    last = next((other for other in _books(f, scan) if other.direction > 0), None)
    if last is None:
        return _unusual(f, w, row)
    message = "{scan} again, {span} after event {event}, without an outbound between"
    names = {"scan": w.scan(scan.kind, scan.location_id), "span": w.duration(scan.minutes_since(last))}
    between = any(other.direction < 0 and other.row > last.row for other in _books(f, scan))
    if between:
        message = "{scan} again, {span} after event {event}, with more inbound than outbound before"
    return w.say(message, event=last.event_id, **names)


def _out_twice(f: Facts, w: Words, row: int) -> str:
    scan = f.scan(row)
    same = [o for o in f.others(row) if (o.location_id, o.kind) == (scan.location_id, scan.kind)]
    if not same:
        return _unusual(f, w, row)
    other = min(same, key=lambda o: abs(o.time_us - scan.time_us))
    span = w.duration(abs(scan.minutes_since(other)))
    names = {"scan": w.scan(scan.kind, scan.location_id), "event": other.event_id, "span": span}
    low, high = sorted((other.row, row))
    if any(o.direction > 0 and low < o.row < high and o.location_id == scan.location_id for o in f.others(row)):
        message = "{scan} more than once: also event {event}, {span} apart"
    elif other.row < row:
        message = "{scan} again, {span} after event {event}, without an inbound between"
    else:
        message = "{scan}, and again {span} later (event {event}), without an inbound between"
    return w.say(message, **names)


def _rolled_back(f: Facts, w: Words, row: int) -> str:
    scan, before = f.scan(row), f.previous(row)
    if before is None or before.event_id < scan.event_id:
        return _unusual(f, w, row)
    return w.say(
        "Event {later} has the higher id, yet is dated {span} before event {event}: {before} before {scan}",
        later=before.event_id,
        event=scan.event_id,
        span=w.duration(scan.minutes_since(before)),
        before=w.scan(before.kind, before.location_id),
        scan=w.scan(scan.kind, scan.location_id),
    )


def _before_leaving(f: Facts, w: Words, row: int) -> str:
    """Say what `causes` asks, in its order: an earlier scan further on, a step left out, a next scan further back."""
    scan, before, after = f.scan(row), f.previous(row), f.next(row)
    names = {"scan": w.scan(scan.kind, scan.location_id)}
    further = max((o for o in f.earlier(row) if o.is_known), key=lambda o: o.kind, default=None)
    if scan.is_known and further is not None and further.kind > scan.kind:
        message = "{scan}, {span} after {other}, which is {n} step further on (event {event})"
        many = "{scan}, {span} after {other}, which is {n} steps further on (event {event})"
        steps, other = further.kind - scan.kind, further
    elif scan.is_known and before is not None and before.is_known and scan.kind - before.kind > 1:
        message = "{scan} directly after {other}, {span} before (event {event}): {n} step is missing between"
        many = "{scan} directly after {other}, {span} before (event {event}): {n} steps are missing between"
        steps, other = scan.kind - before.kind - 1, before
    elif scan.is_known and after is not None and after.is_known and after.kind < scan.kind:
        message = "{scan}, and only {span} later {other}, which is {n} step further back (event {event})"
        many = "{scan}, and only {span} later {other}, which is {n} steps further back (event {event})"
        steps, other = scan.kind - after.kind, after
    else:
        return _unusual(f, w, row)
    names |= {"other": w.scan(other.kind, other.location_id), "event": str(other.event_id)}
    return w.count(message, many, steps, span=w.duration(abs(scan.minutes_since(other))), **names)


def _unusual(f: Facts, w: Words, row: int) -> str:
    scan, before = f.scan(row), f.previous(row)
    if before is None:
        return w.say(
            "{scan} is the first scan; the order as a whole is unusual", scan=w.scan(scan.kind, scan.location_id)
        )
    pairs = f.reference.type_pair[before.kind]
    return w.say(
        "{scan} after {before}: the order as a whole is unusual; {n} of {total} normal scans after {before} are {type}",
        scan=w.scan(scan.kind, scan.location_id),
        before=w.type(before.kind),
        n=w.number(pairs[scan.kind]),
        total=w.number(pairs.sum()),
        type=w.type(scan.kind),
    )


SENTENCES: Sentences = {
    "out_before_in": _out_before_in,
    "in_twice": _in_twice,
    "out_twice": _out_twice,
    "clock_rolled_back": _rolled_back,
    "arrived_before_leaving": _before_leaving,
    "order_unusual": _unusual,
}
